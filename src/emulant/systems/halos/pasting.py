"""Painted patches put back into the map of a whole box: smooth weights, shifts by parts of a pixel, mass conserved.

Maps are projections along z with node i at i dx; Msun/h per pixel. Dark matter closes to its own share of the box's
mass and gas with stars to theirs, by what lies outside of the patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array
from emulant.systems.halos.extraction import Geometry, project
from emulant.systems.halos.radii import r200c

Maps = NDArray[np.float64]
REACH = 4.0
"""Radii R200c at which a patch has faded out."""
MARGIN = 2
"""Pixels of a patch's rim that are never used."""


def box_map(positions: Array, masses: Array | float, geometry: Geometry) -> Maps:
    """(npix, npix) the projected mass of a whole box, by the extraction's own kernel."""
    whole = Geometry(geometry.box_size, geometry.npix, geometry.npix, (geometry.box_size,))
    return project(positions, masses, np.full(3, 0.5 * geometry.box_size), whole)


@dataclass(frozen=True)
class Places:
    """Where patches lie in a box: nodes, what part of a pixel their centres are off, and how much each counts."""

    geometry: Geometry
    nodes: NDArray[np.intp]
    """(H, 2) the node at or below each centre."""
    shifts: Maps
    """(H, 2) pixels from there to the centre, in [0, 1)."""
    weights: Maps
    """(H, r, r) at the nodes of each patch, before they are shared out."""
    total: Maps
    """(npix, npix) their sum."""

    @classmethod
    def of(cls, centers: Array, masses: Array, geometry: Geometry) -> Places:
        """For halos at (H, 3) Mpc/h of M200c (H,) Msun/h."""
        pixels, size = geometry.resolution, geometry.pixel
        where = np.asarray(centers, float)[:, :2] / size
        nodes = np.floor(where).astype(np.intp)
        shifts = where - nodes
        steps = np.arange(pixels) - pixels // 2
        across = steps - shifts[:, :1]
        down = steps - shifts[:, 1:]
        distance = size * np.hypot(across[:, :, None], down[:, None, :])
        weights = fading(distance, r200c(masses)[:, None, None], (pixels // 2 - MARGIN) * size)
        total = np.zeros((geometry.npix, geometry.npix))
        for node, weight in zip(nodes, weights, strict=True):
            total[_window(node, geometry)] += weight
        return cls(geometry, nodes, shifts, weights, total)

    def shares(self, halo: int) -> Maps:
        """(r, r) how much of each pixel is the patch's: overlapping ones share."""
        around = self.total[_window(self.nodes[halo], self.geometry)]
        shares: Maps = self.weights[halo] / np.maximum(1.0, around)
        return shares

    @property
    def outside(self) -> Maps:
        """(npix, npix) how much of each pixel is no patch's."""
        return 1.0 - np.minimum(self.total, 1.0)


def fading(distance: Array, radius: Array, furthest: float) -> Maps:
    """1 inside R200c, then half a cosine down to 0 at 4 R200c, or at the rim of the patch if that is nearer."""
    end = np.minimum(REACH * radius, furthest)
    start = np.minimum(radius, 0.8 * end)
    along = np.clip((distance - start) / (end - start), 0.0, 1.0)
    return np.asarray(0.5 * (1 + np.cos(np.pi * along)))


def paste(patches: Array, places: Places, background: Array, species_mass: tuple[float, float]) -> Maps:
    """One draw of a whole box.

    Args:
        patches: (H, 3, r, r) painted masses, each centred on its halo.
        places: Of the same halos.
        background: (3, npix, npix) what lies where no patch does, faded out where patches are.
        species_mass: Of dark matter, and of gas and stars together; the box's, Msun/h.

    Returns:
        (3, npix, npix)
    """
    box = np.zeros_like(background, dtype=np.float64)
    for halo, patch in enumerate(patches):
        window = _window(places.nodes[halo], places.geometry)
        shares = places.shares(halo)
        for species in range(len(box)):
            box[species][window] += shares * shifted(np.asarray(patch[species], float), places.shifts[halo])
    outside = background
    dark, baryons = species_mass
    box[0] += outside[0] * _closing(dark - box[0].sum(), outside[0].sum())
    box[1] += outside[1] * _closing(baryons - box[1:].sum() - outside[2].sum(), outside[1].sum())
    box[2] += outside[2]
    return box


def _closing(missing: float, there: float) -> float:
    """The factor that makes a background of the mass `there` hold what is missing; it cannot be negative."""
    return max(missing, 0.0) / there if there > 0 else 1.0


def shifted(patch: Maps, shift: Array) -> Maps:
    """A patch (r, r) moved by parts of a pixel in [0, 1)², by the phases of its waves; its mass stays.

    Interpolating would smooth away a third of the power at half the Nyquist wave number. Waves ring, though: what has
    become negative is cut off, and pixels that had nothing within reach of the shift stay empty.
    """
    if not patch.any() or not np.any(shift):
        return patch
    from scipy.fft import irfft2, rfft2

    pixels = len(patch)
    along, across = np.fft.fftfreq(pixels), np.fft.rfftfreq(pixels)
    phases = np.exp(-2j * np.pi * (along[:, None] * shift[0] + across[None, :] * shift[1]))
    moved = np.maximum(irfft2(rfft2(patch) * phases, s=patch.shape), 0.0)
    nearest = np.rint(shift).astype(int)
    moved[np.roll(patch, tuple(nearest), axis=(0, 1)) == 0] = 0.0
    mass = moved.sum()
    return moved * (patch.sum() / mass) if mass > 0 else np.roll(patch, tuple(nearest), axis=(0, 1))


def _window(node: Array, geometry: Geometry) -> tuple[Array, Array]:
    """The rows and columns of the box under a patch, across the edges too."""
    steps = np.arange(geometry.resolution) - geometry.resolution // 2
    return np.ix_((node[0] + steps) % geometry.npix, (node[1] + steps) % geometry.npix)

"""The Fourier (between walls: cosine) modes of a swarm: of the density on its grid, and of the particles themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.fft

from emulant.dataset.seams import Array

KERNEL_FLOOR = 0.01
"""Modes that the density kernel damps below this are not forecast: they hold 1e-4 of the variance of a disordered
swarm, and the density's own mode is the grid's divided by that factor, which would amplify aliasing and rounding."""

PARTICLES_AT_ONCE = 20_000


@dataclass(frozen=True)
class Box:
    """What a model must share with the data that it forecasts."""

    Lx: float
    Ly: float
    nx: int
    ny: int
    hx: float
    hy: float
    walls: bool
    step: float

    @classmethod
    def of(cls, geometry: Mapping[str, Any], step: float) -> Self:
        numbers = {name: geometry[name] for name in ("Lx", "Ly", "nx", "ny", "hx", "hy")}
        return cls(**numbers, walls=geometry["bc"] == "reflecting", step=step)

    def differences(self, other: Box) -> str:
        """How another box differs, as "name = theirs, not ours"; empty if it does not."""
        theirs = asdict(other)
        return ", ".join(
            f"{name} = {theirs[name]:g}, not {ours:g}"
            for name, ours in asdict(self).items()
            if not np.isclose(ours, theirs[name], rtol=1e-6)
        )


@dataclass(frozen=True)
class Modes:
    """The M Fourier (walls: cosine) modes of a box that are forecast, |k| > 0."""

    box: Box

    @cached_property
    def _axes(self) -> tuple[Array, Array]:
        box = self.box
        if box.walls:
            return np.pi * np.arange(box.nx) / box.Lx, np.pi * np.arange(box.ny) / box.Ly
        # A half plane: the modes at -k are the conjugates. Nyquist is left out (zero kernel): it has no phase.
        return (
            2 * np.pi * np.arange(box.nx // 2 + 1) / box.Lx,
            2 * np.pi * np.fft.fftfreq(box.ny, 1 / box.ny) / box.Ly,
        )

    @cached_property
    def _kept(self) -> tuple[Array, Array]:
        """Rows and columns of the modes in the spectrum."""
        kx, ky = self._axes
        box = self.box
        kernel = np.exp(-0.5 * ((box.hx * kx) ** 2 + (box.hy * ky[:, None]) ** 2))
        kernel[0, 0] = 0.0
        if not box.walls:
            kernel[:, 2 * np.arange(len(kx)) == box.nx] = 0.0
            kernel[2 * np.arange(len(ky)) == box.ny] = 0.0
        rows, columns = np.nonzero(kernel >= KERNEL_FLOOR)
        return rows, columns

    @cached_property
    def wavevectors(self) -> Array:
        """(M, 2) x and y."""
        (kx, ky), (rows, columns) = self._axes, self._kept
        return np.stack([kx[columns], ky[rows]], axis=-1)

    @cached_property
    def shell(self) -> Array:
        """(M,) the shell of each mode: |k| in units of the box's smallest wave number, rounded, counted from 0."""
        box = self.box
        smallest = (np.pi if box.walls else 2 * np.pi) / max(box.Lx, box.Ly)
        lengths = np.linalg.norm(self.wavevectors, axis=-1) / smallest
        return np.asarray(np.unique(np.round(lengths).astype(int), return_inverse=True)[1])

    @cached_property
    def _scale(self) -> Array:
        """(M,) the grid spectrum of the density over Σ_j exp(-i k·x_j): kernel, and phase of the cell centres."""
        box = self.box
        kx, ky = self.wavevectors.T
        kernel = np.exp(-0.5 * ((box.hx * kx) ** 2 + (box.hy * ky) ** 2)) * (box.nx * box.ny) / (box.Lx * box.Ly)
        if box.walls:
            return np.asarray(4.0 * kernel)  # scipy's DCT-II has a factor of two per axis
        return np.asarray(kernel * np.exp(0.5j * (kx * box.Lx / box.nx + ky * box.Ly / box.ny)))

    def analyse(self, rho: Array) -> Array:
        """Density (..., ny, nx) -> (..., M): Σ_j exp(-i k·x_j), between walls Σ_j cos(kx x_j) cos(ky y_j)."""
        spectrum = scipy.fft.dctn(rho, axes=(-2, -1)) if self.box.walls else scipy.fft.rfft2(rho)
        return np.asarray(spectrum[..., *self._kept] / self._scale)

    def synthesise(self, modes: Array, total: Array) -> Array:
        """Modes (..., M) and the sum over the cells (...) -> density (..., ny, nx)."""
        box = self.box
        kx, ky = self._axes
        spectrum = np.zeros((*modes.shape[:-1], len(ky), len(kx)), dtype=modes.dtype)
        spectrum[..., *self._kept] = modes * self._scale
        if box.walls:
            spectrum[..., 0, 0] = 4.0 * total
            return np.asarray(scipy.fft.idctn(spectrum, axes=(-2, -1), overwrite_x=True))
        spectrum[..., 0, 0] = total
        return np.asarray(scipy.fft.irfft2(spectrum, s=(box.ny, box.nx), overwrite_x=True))

    def moments(self, positions: Array, headings: Array, count: int) -> Array:
        """z_1 ... z_count (..., M, count) of particles (..., N, 2) with headings (..., N); periodic boxes."""
        leading, particles = headings.shape[:-1], headings.shape[-1]
        positions, headings = positions.reshape(-1, particles, 2), headings.reshape(-1, particles)
        at_once = max(1, PARTICLES_AT_ONCE // particles)
        pieces = [
            self._moments(positions[first : first + at_once], headings[first : first + at_once], count)
            for first in range(0, len(headings), at_once)
        ]
        return np.concatenate(pieces).reshape(*leading, -1, count)

    def _moments(self, positions: Array, headings: Array, count: int) -> Array:
        """Frames (F, N, ...) at once: exp(-i k·x) is a product over the axes, so the sum over particles is a matmul."""
        (kx, ky), (rows, columns) = self._axes, self._kept
        used_rows, row = np.unique(rows, return_inverse=True)
        used_columns, column = np.unique(columns, return_inverse=True)
        along_x = np.exp(-1j * positions[..., 0, None] * kx[used_columns])
        along_y = np.exp(-1j * positions[..., 1, None] * ky[used_rows]).swapaxes(-1, -2)
        direction = np.arctan2(self.wavevectors[:, 1], self.wavevectors[:, 0])
        moments = np.empty((len(headings), len(direction), count), dtype=complex)
        for m in range(1, count + 1):
            cosine, sine = (
                (along_y @ (along_x * weight[..., None]))[:, row, column]
                for weight in (np.cos(m * headings), np.sin(m * headings))
            )
            moments[..., m - 1] = (-1j) ** m * (cosine * np.cos(m * direction) + sine * np.sin(m * direction))
        return moments

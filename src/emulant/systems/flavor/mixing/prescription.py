"""The way of a cell: normalised, its crossings found and described; and, given how far it mixes, what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emulant.systems.flavor.fields import COUPLING
from emulant.systems.flavor.mixing.cells import distributions
from emulant.systems.flavor.mixing.crossings import Crossings, crossings
from emulant.systems.flavor.mixing.exchange import balanced, changes, step_to_the_cone
from emulant.systems.flavor.mixing.exponential import small
from emulant.systems.flavor.mixing.shapes import Shapes, shapes

INVALID, UNSEEN, STEPPED = 1, 2, 4
"""Bits of the status of a cell: its input is no four-flux, it is outside the training's range, the step to the cone
was needed."""
SLACK = 1e-9
"""By which |F| may exceed n, relatively: what is left of a beam after a host's own rounding."""
VACUUM = 1e-200
"""1/cm³. Less than this in a cell is nothing."""


@dataclass(frozen=True)
class Described:
    """Cells as the prescriptions see them."""

    f4: Any
    """(C, 4, 2, NF), n_tot = 1; zeros where the cell is invalid or empty."""
    total: Any
    """(C,) n_tot in 1/cm³."""
    valid: Any
    """(C,)."""
    crossed: Crossings
    shape: Shapes

    @property
    def flavors(self) -> int:
        return int(self.f4.shape[-1])


@dataclass(frozen=True)
class Outcome:
    """What a prescription says of cells."""

    final: Any
    """(C, 4, 2, NF) in 1/cm³; the very input where there is no crossing."""
    growth: Any
    """(C,) in 1/s; 0 if and only if there is no crossing."""
    stable: Any
    """(C,) bool."""
    status: Any
    """(C,) of the bits above."""


def is_valid(f4: Any, xp: Any) -> Any:
    """(C,): finite, n >= 0 and |F| <= n (1 + 1e-9) in every species."""
    finite = xp.isfinite(f4)
    largest = xp.amax(xp.abs(xp.where(finite, f4, 0.0)), (1, 2, 3))
    scaled = xp.where(finite, f4, 0.0) / xp.where(largest > 0.0, largest, 1.0)[:, None, None, None]
    n, flux = scaled[:, 3], scaled[:, :3]
    good = (n >= 0.0) & (xp.sum(flux * flux, axis=1) <= (n + small(SLACK, xp) * n) ** 2)
    return finite.all(-1).all(-1).all(-1) & good.all(-1).all(-1)


def describe(f4: Any, grid: tuple[int, int], xp: Any) -> Described:
    """Cells (C, 4, 2, NF) in 1/cm³ on a grid of polar times azimuthal directions."""
    valid = is_valid(f4, xp)
    total = xp.sum(xp.sum(xp.where(valid[:, None, None, None], f4, 0.0)[:, 3], axis=-1), axis=-1)
    occupied = valid & (total > small(VACUUM, xp)) & xp.isfinite(total)
    scale = xp.where(occupied, total, 1.0)[:, None, None, None]
    scaled = xp.where(occupied[:, None, None, None], f4, 0.0) / scale
    flavors = int(f4.shape[-1])
    species = xp.swapaxes(scaled.reshape(-1, 4, 2 * flavors), 1, 2)
    cells = distributions(species[..., :3], species[..., 3], grid, xp)
    crossed = crossings(cells, flavors, xp)
    return Described(scaled, xp.where(occupied, total, 0.0), valid, crossed, shapes(crossed, xp))


def outcome(cells: Described, f4: Any, q: Any, growth: Any, xp: Any) -> Outcome:
    """What `q` (C, P, D) and the growth factor (C, P) of K n_tot √(I+ I-) make of the cells; f4 as it was given."""
    present = cells.crossed.present
    unstable = present.any(1)
    change = changes(cells.crossed, balanced(cells.shape, q, cells.flavors, xp), cells.flavors, xp)
    t, short = step_to_the_cone(cells.f4, change, xp)
    moved = f4 + (cells.total * t)[:, None, None, None] * change
    return Outcome(
        xp.where(unstable[:, None, None, None], moved, f4),
        COUPLING * cells.total * xp.amax(xp.where(present, rate(cells, xp) * growth, 0.0), 1),
        ~unstable,
        xp.where(cells.valid, 0, INVALID) + xp.where(unstable & short, STEPPED, 0),
    )


def rate(cells: Described, xp: Any) -> Any:
    """√(I+ I-) of every pair, (C, P), n_tot = 1: what growth is in proportion to, about."""
    return xp.sqrt(cells.crossed.positive * cells.crossed.negative)

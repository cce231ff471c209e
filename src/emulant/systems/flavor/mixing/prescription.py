"""The way of a cell: normalised, its crossings found and described; and, given how far it mixes, what comes out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from emulant.systems.flavor.fields import COUPLING
from emulant.systems.flavor.mixing.cells import Distributions, distributions
from emulant.systems.flavor.mixing.crossings import Crossings, crossings
from emulant.systems.flavor.mixing.exchange import assembled, balanced, moments, step_to_the_cone
from emulant.systems.flavor.mixing.exponential import small
from emulant.systems.flavor.mixing.selection import chosen, distinct, plain, spread
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
    place: Any
    """(C, P): the row of every pair among those below, counted from 1; 0: it has no crossing."""
    crossed: Crossings
    """Rows (R,): of every crossing that is no copy of another."""
    shape: Shapes
    """The same rows."""

    @property
    def present(self) -> Any:
        """(C, P): whether a pair has a crossing."""
        return self.place > 0

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
    species = xp.swapaxes(scaled.reshape(-1, 4, 2 * int(f4.shape[-1])), 1, 2)
    cells = distributions(species[..., :3], species[..., 3], grid, xp)
    owners, members, place = distinct(scaled, xp)
    found = crossings(_of_pairs(cells, owners, members), xp)
    rows, crossed_place = chosen(found.present, xp)
    crossed = Crossings(*(getattr(found, field.name)[rows] for field in fields(Crossings)))
    place = spread(crossed_place, place, xp)
    return Described(scaled, xp.where(occupied, total, 0.0), valid, place, crossed, shapes(crossed, xp))


def _of_pairs(cells: Distributions, owners: Any, members: Any) -> Distributions:
    """Rows of four species: `members` (R, 4) of the cells `owners` (R,)."""
    which = owners[:, None] * int(cells.amplitude.shape[1]) + members
    amplitude, drift, values = (
        array.reshape(-1, *plain(array.shape[2:]))[which] for array in (cells.amplitude, cells.drift, cells.values)
    )
    return Distributions(amplitude, drift, cells.directions[owners], cells.weights, values)


def outcome(cells: Described, f4: Any, q: Any, growth: Any, xp: Any) -> Outcome:
    """What `q` (R, D) and the growth factor (R,) of K n_tot √(I+ I-) make of the cells; f4 as it was given."""
    unstable = cells.present.any(1)
    moved = moments(cells.crossed, balanced(cells.shape, q, cells.flavors, xp), xp)
    change = assembled(spread(moved, cells.place, xp), cells.flavors, xp)
    t, short = step_to_the_cone(cells.f4, change, xp)
    final = f4 + (cells.total * t)[:, None, None, None] * change
    return Outcome(
        xp.where(unstable[:, None, None, None], final, f4),
        COUPLING * cells.total * xp.amax(spread(rate(cells.crossed, xp) * growth, cells.place, xp), 1),
        ~unstable,
        xp.where(cells.valid, 0, INVALID) + xp.where(unstable & short, STEPPED, 0),
    )


def rate(crossed: Crossings, xp: Any) -> Any:
    """√(I+ I-) of every crossing, (R,), n_tot = 1: what growth is in proportion to, about."""
    return xp.sqrt(crossed.positive * crossed.negative)

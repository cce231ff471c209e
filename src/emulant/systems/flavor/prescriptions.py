"""The baselines: nothing happens; Box3D; and a continuous profile, which learns nothing either and is better."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Dataset
from emulant.dataset.tables import Table
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.mixing.exchange import box3d_q, profile_q
from emulant.systems.flavor.mixing.prescription import Outcome, describe, outcome
from emulant.systems.flavor.tables import PrescriptionTable

CHUNK = 128
"""Cells that are worked on at once: what belongs to them then stays in the processor's cache."""


class NoMixing:
    """The cell stays as it is, and counts as stable."""

    Config: ClassVar[type[Table]] = Table

    def __init__(self, config: Table | None = None) -> None:
        self.config = config or Table()

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Nothing to fit."""

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """All targets, one draw."""
        f4 = np.asarray(inputs.fields[F4_INITIAL], dtype=float)
        return targets(f4, np.zeros(len(f4)), np.ones(len(f4), dtype=bool))

    def save(self, folder: Path) -> list[Path]:
        """Nothing: there are no weights."""
        return []

    @classmethod
    def load(cls, folder: Path, config: Table | None = None) -> Self:
        return cls(config)


class Prescription(NoMixing):
    """A closed form for the large side of a crossing; the growth rate is K n_tot √(I+ I-)."""

    Config: ClassVar[type[PrescriptionTable]] = PrescriptionTable
    config: PrescriptionTable

    def __init__(self, config: PrescriptionTable | None = None) -> None:
        self.config = config or PrescriptionTable()

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """All targets, one draw."""
        found = self.outcome(np.asarray(inputs.fields[F4_INITIAL], dtype=float))
        return targets(found.final, found.growth, found.stable)

    def outcome(self, f4: Array) -> Outcome:
        """What becomes of cells (C, 4, 2, NF)."""
        grid = (self.config.polar, self.config.azimuthal)
        return in_chunks(lambda part: prescribed(part, self.config.law, grid), f4)


def prescribed(f4: Array, law: str, grid: tuple[int, int]) -> Outcome:
    """What a law makes of cells (C, 4, 2, NF)."""
    cells = describe(f4, grid, np)
    flavors = cells.flavors
    q = box3d_q(cells.shape, flavors, np) if law == "box3d" else profile_q(cells.shape, None, flavors, np)
    return outcome(cells, f4, q, 1.0, np)


def targets(final: Array, growth: Array, stable: Array) -> dict[str, Array]:
    """The target fields, (C, 1, ...): one draw."""
    return {F4_FINAL: final[:, None], GROWTH: growth[:, None], STABLE: stable.astype(np.uint8)[:, None]}


def in_chunks(work: Callable[[Array], Outcome], f4: Array) -> Outcome:
    """`work` on some cells at a time."""
    parts = [work(f4[first : first + CHUNK]) for first in range(0, max(len(f4), 1), CHUNK)]
    return Outcome(*(np.concatenate([getattr(part, name) for part in parts]) for name in Outcome.__annotations__))

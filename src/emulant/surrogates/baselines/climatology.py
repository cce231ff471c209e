"""The mean of everything seen in training."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in
from emulant.dataset.seams import Array, Context, Dataset, as_float64
from emulant.dataset.tables import Table
from emulant.errors import DataError, SurrogateError
from emulant.surrogates import MEND, read_weights

FILE = "climatology.npz"


class Climatology:
    """The mean over all frames of all training cases, whatever the context."""

    Config: ClassVar[type[Table]] = Table
    lag = 1

    def __init__(self, config: Table | None = None) -> None:
        self.config = config or Table()
        self._means: dict[str, Array] = {}

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        totals: dict[str, Array] = {}
        frames = 0
        for batch in train.batches(16, train.targets):
            for name, array in batch.items():
                totals[name] = totals.get(name, 0.0) + array.sum(axis=(0, 1), dtype=float)
            frames += int(np.prod(batch[train.targets[0]].shape[:2]))
        self._means = {name: np.asarray(total / frames) for name, total in totals.items()}

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """Every target field, (C, horizon, ...)."""
        if not self._means:
            raise SurrogateError("climatology: is not fitted.", "Call `fit` or `load` first.")
        cases = len(next(iter(context.fields.values())))
        return {name: np.broadcast_to(mean, (cases, horizon, *mean.shape)).copy() for name, mean in self._means.items()}

    def save(self, folder: Path) -> list[Path]:
        """`climatology.npz`: one mean frame per target field."""
        return [write_npz(folder / FILE, {name: as_float64(mean) for name, mean in self._means.items()})]

    @classmethod
    def load(cls, folder: Path, config: Table | None = None) -> Self:
        climatology = cls(config)
        try:
            names = names_in(folder / FILE)
        except DataError as error:
            raise SurrogateError(error.what, MEND) from error
        climatology._means = read_weights(folder / FILE, dict.fromkeys(names))
        return climatology

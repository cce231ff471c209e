"""Standing still."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError


class Persistence:
    """The last context frame, again and again."""

    Config: ClassVar[type[Table]] = Table
    lag = 1

    def __init__(self, config: Table | None = None) -> None:
        self.config = config or Table()
        self._targets: tuple[str, ...] = ()

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        self._targets = tuple(train.targets)

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """Every target field, or before `fit` every field, (C, horizon, ...)."""
        names = self._targets or tuple(context.fields)
        missing = [name for name in names if name not in context.fields]
        if missing:
            raise SurrogateError(f"persistence: the context has no field '{missing[0]}'.", "Give that field too.")
        return {name: np.repeat(context.fields[name][:, -1:], horizon, axis=1) for name in names}

    def save(self, folder: Path) -> list[Path]:
        """Nothing: there are no weights."""
        return []

    @classmethod
    def load(cls, folder: Path, config: Table | None = None) -> Self:
        return cls(config)

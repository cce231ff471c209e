"""A linear autoregression of the codes of a state."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.surrogates.baselines.regression import Regression, fitted, seen_by
from emulant.surrogates.sequence_tables import LinearTable

FILE = "linear.npz"


def affine(windows: Array) -> Array:
    """(N, lag, F) -> (N, lag F + 1): all values, and a one."""
    return np.concatenate([windows.reshape(len(windows), -1), np.ones((len(windows), 1))], axis=1)


class Linear:
    """The step to the next frame as an affine function of the past `lag` frames."""

    Config: ClassVar[type[LinearTable]] = LinearTable

    def __init__(self, config: LinearTable | None = None) -> None:
        self.config = config or LinearTable()
        self.lag = self.config.lag
        self.model: Regression | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Fit on all windows of all training cases.

        Raises:
            SurrogateError: The cases are too short.
        """
        self.model = Regression.fit(*seen_by(train, self.config), affine, self.lag, self.config.ridge)

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The target (C, horizon, ...); inf from where it has overflowed."""
        return fitted(self.model, "linear").forecast(context, horizon, affine)

    def save(self, folder: Path) -> list[Path]:
        """`linear.npz`."""
        return fitted(self.model, "linear").save(folder / FILE)

    @classmethod
    def load(cls, folder: Path, config: LinearTable | None = None) -> Self:
        """Read what `save` wrote. Raises SurrogateError naming the file."""
        surrogate = cls(config)
        surrogate.model = Regression.load(folder / FILE)
        surrogate.lag = surrogate.model.lag
        return surrogate

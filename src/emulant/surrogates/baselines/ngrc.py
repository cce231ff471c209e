"""Next-generation reservoir computing: all monomials of a few past frames.

After Gauthier, Bollt, Griffith, Barbosa (2021), "Next generation reservoir computing", Nature Communications 12:5564;
here on many runs at once, none of which touches another.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import combinations_with_replacement
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.surrogates.baselines.regression import Regression, fitted, seen_by
from emulant.surrogates.sequence_tables import NGRCTable

FILE = "ngrc.npz"


@cache
def recipe(values: int, degree: int) -> tuple[tuple[int, int], ...]:
    """How each monomial of degree >= 1 is made: an earlier one (0: the constant) times a value."""
    number: dict[tuple[int, ...], int] = {(): 0}
    for order in range(1, degree + 1):
        for factors in combinations_with_replacement(range(values), order):
            number[factors] = len(number)
    return tuple((number[factors[:-1]], factors[-1]) for factors in number if factors)


def monomials(windows: Array, degree: int) -> Array:
    """(N, lag, F) -> (N, M): all monomials up to `degree` of the lag·F values, the constant first."""
    values = windows.reshape(len(windows), -1).T
    steps = recipe(len(values), degree)
    products = np.empty((len(steps) + 1, len(windows)))
    products[0] = 1.0
    for index, (earlier, value) in enumerate(steps, 1):
        np.multiply(products[earlier], values[value], out=products[index])
    return products.T


class NGRC:
    """The step to the next frame as a polynomial of the last `lag` frames."""

    Config: ClassVar[type[NGRCTable]] = NGRCTable

    def __init__(self, config: NGRCTable | None = None) -> None:
        self.config = config or self.Config()
        self.lag = self.config.lag
        self.model: Regression | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Fit on all windows of all training cases.

        Raises:
            SurrogateError: The cases are too short.
        """
        view, seen = seen_by(train, self.config)
        self.model = Regression.fit(view, seen, self._features(), self.lag, self.config.ridge)

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The target (C, horizon, ...), its codes clipped to ±`bound` standard deviations."""
        return fitted(self.model, "ngrc").forecast(context, horizon, self._features(), self.config.bound)

    def save(self, folder: Path) -> list[Path]:
        """`ngrc.npz`."""
        return fitted(self.model, "ngrc").save(folder / FILE)

    @classmethod
    def load(cls, folder: Path, config: NGRCTable | None = None) -> Self:
        """Read what `save` wrote. Raises SurrogateError naming the file."""
        surrogate = cls(config)
        surrogate.model = Regression.load(folder / FILE)
        surrogate.lag = surrogate.model.lag
        return surrogate

    def _features(self) -> partial[Array]:
        return partial(monomials, degree=self.config.degree)

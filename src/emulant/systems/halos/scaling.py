"""Parameters as a learner sees them: each on [0, 1], in its logarithm where that is what was sampled evenly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array
from emulant.errors import DataError
from emulant.systems.halos.parameters import LOGARITHMIC, RANGES, Range

UNIVERSAL = RANGES["OmegaBaryon"].fiducial / RANGES["Omega0"].fiducial
"""The baryon fraction where the parameters do not tell it."""


@dataclass(frozen=True)
class ParameterScale:
    """Parameter rows -> [0, 1], in the order of `names`."""

    names: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    log: NDArray[np.bool_]

    @classmethod
    def of(cls, names: Sequence[str], training: Array) -> ParameterScale:
        """By the table of CAMELS where it has the name; else from the least to the largest of training (C, P)."""
        columns = np.asarray(training, float).reshape(len(training), len(names)).T
        ranges = [
            RANGES.get(name) or Range(0.0, column.min(), column.max(), bool(name in LOGARITHMIC and column.min() > 0))
            for name, column in zip(names, columns, strict=True)
        ]
        low, high = (np.array([getattr(each, key) for each in ranges], float) for key in ("low", "high"))
        return cls(tuple(names), low, high, np.array([each.log for each in ranges], bool))

    def __call__(self, rows: Array) -> NDArray[np.float64]:
        """(C, P) -> (C, P); beyond the range it goes beyond [0, 1]."""

        def stretched(values: Array) -> Array:
            return np.where(self.log, np.log10(np.where(self.log, values, 1.0)), values)

        low, width = stretched(self.low), stretched(self.high) - stretched(self.low)
        return np.asarray((stretched(np.asarray(rows, float)) - low) / np.where(width > 0, width, 1.0))

    def about(self) -> dict[str, Any]:
        """As JSON; `restored` reads it."""
        numbers = {key: getattr(self, key).tolist() for key in ("low", "high", "log")}
        return {"names": list(self.names), **numbers}

    @classmethod
    def restored(cls, about: Mapping[str, Any]) -> ParameterScale:
        low, high = (np.array(about[key], float) for key in ("low", "high"))
        return cls(tuple(about["names"]), low, high, np.array(about["log"], bool))

    def require(self, names: Sequence[str]) -> None:
        """See to it that rows have these columns.

        Raises:
            DataError: They have others.
        """
        if tuple(names) != self.names:
            raise DataError(
                f"the data have the parameters {', '.join(names) or 'none'}; "
                f"the model was trained with {', '.join(self.names) or 'none'}.",
                "Give it the same ones, in the same order; `emulant predict` takes them from a file, by --params.",
            )


def baryon_fraction(rows: Array, names: Sequence[str]) -> NDArray[np.float64]:
    """(C,) Omega_b / Omega_m; the fiducial one where the parameters (C, P) do not tell it."""
    if "Omega0" in names and "OmegaBaryon" in names:
        values, order = np.asarray(rows, float), list(names)
        return np.asarray(values[:, order.index("OmegaBaryon")] / values[:, order.index("Omega0")])
    return np.full(len(rows), UNIVERSAL)

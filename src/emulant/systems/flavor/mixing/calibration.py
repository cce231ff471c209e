"""How far a prediction is to be trusted: the size of the residuals, learned where the networks were not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emulant.dataset.seams import Array
from emulant.systems.flavor.mixing.shapes import FEATURES

if TYPE_CHECKING:
    from emulant.systems.flavor.mixing.learning import Residuals

RIDGE = 30.0
"""Cells' worth of doubt about every coefficient but the constant."""
STEPS = 100


def fitted_uncertainty(of_halves: Sequence[Residuals], held: Sequence[Residuals]) -> Array:
    """Coefficients of ln of the error over the root of the change, linear in |scaled features|; the last is constant.

    Residuals of a cell are taken for Gaussian with one standard deviation. Which cells are hard is learned from the
    many that networks of half the data have not seen, how large the error is from validation. Of the forms that were
    tried this one had the highest likelihood on validation.
    """
    if not of_halves:
        return log_scale(*_relative(held)) if held else np.zeros(len(FEATURES) + 1)
    found = log_scale(*_relative(of_halves))
    if held:
        inputs, squares = _relative(held)
        found[-1] = 0.5 * np.log(np.mean(squares * np.exp(-2.0 * inputs @ found[:-1])) + 1e-12)
    return found


def _relative(known: Sequence[Residuals]) -> tuple[Array, Array]:
    """Inputs, and mean squares over the change."""
    return (
        np.concatenate([each.inputs for each in known]),
        np.concatenate([each.squares / each.changes for each in known]),
    )


def log_scale(inputs: Array, squares: Array) -> Array:
    """w that minimises Σ (w·x + ½ square · exp(-2 w·x)), by Fisher scoring: x (C, F) and mean squares (C,)."""
    x = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    w = np.zeros(x.shape[1])
    if not len(x):
        return w
    penalty = RIDGE * np.ones(len(w))
    penalty[-1] = 1e-9
    w[-1] = 0.5 * np.log(np.mean(squares) + 1e-12)
    information = 2.0 * x.T @ x + np.diag(penalty)
    for _ in range(STEPS):
        surprise = np.minimum(squares * np.exp(-2.0 * x @ w), 10.0) - 1.0
        anchored = np.append(w[:-1], 0.0)
        w = w + 0.5 * np.linalg.solve(information, x.T @ surprise - penalty * anchored)
    return w

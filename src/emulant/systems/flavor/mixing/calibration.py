"""How far a prediction is to be trusted: the size of the residuals, learned where the networks were not fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from emulant.dataset.seams import Array, Dataset
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.examples import chunks, read
from emulant.systems.flavor.mixing.prescription import describe

if TYPE_CHECKING:
    from emulant.systems.flavor.mixing.emulator import Mixing

TERMS = 2
"""Coefficients: of the distance, and the constant."""
RIDGE = 3.0
"""Cells' worth of doubt about every coefficient but the constant."""
STEPS = 100


def fitted_uncertainty(model: Mixing, held: Dataset) -> Array:
    """Coefficients of ln of the error over the root of the change; zeros if there is no cell to learn from.

    Residuals of a cell are taken for Gaussian with one standard deviation, √change times exp(w·x), x the distance from
    the middle of the training data and 1. Of all forms that were tried on validation cells left out in turn (linear
    in the features, in the change, or none of it) this one had the highest likelihood.
    """
    start, final, _ = read(held)
    known = np.flatnonzero(np.isfinite(final).all(axis=(1, 2, 3)) & (start[:, 3].sum(axis=(1, 2)) > 0))
    weights = replace(model.networks(), uncertainty=np.array([1.0, 0.0]))  # its mean is the distance itself
    inputs, squares = [], []
    for rows in chunks(known):
        f4 = start[rows]
        cells = describe(f4, model.grid, np)
        found = networks.predict(f4, weights, model.grid, np).outcome
        moved = networks.rms_change(cells, found, f4, np)
        distance = networks.log_error(cells, networks.scaled_features(cells.shape.features, weights, np), weights, np)
        good = moved > 0
        residual = (found.final - final[rows])[good] / cells.total[good, None, None, None]
        inputs.append(distance[good, None])
        squares.append(np.mean(residual**2, axis=(1, 2, 3)) / moved[good])
    return log_scale(np.concatenate(inputs), np.concatenate(squares))


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

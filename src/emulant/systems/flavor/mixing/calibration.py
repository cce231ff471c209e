"""How far a prediction is to be trusted: the size of the residuals, learned where the networks were not fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emulant.dataset.seams import Array, Dataset
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.examples import chunks, read
from emulant.systems.flavor.mixing.prescription import describe, rate
from emulant.systems.flavor.mixing.selection import spread

if TYPE_CHECKING:
    from emulant.systems.flavor.mixing.emulator import Mixing

RIDGE = 10.0
"""Cells' worth of doubt about every coefficient but the constant."""
STEPS = 100


def fitted_uncertainty(model: Mixing, held: Dataset) -> Array:
    """Coefficients of ln of the relative error, linear in the scaled features; the last is the constant.

    Residuals of a cell are taken for Gaussian, their standard deviation for the rms change times exp(w·x). Zeros if
    there is no cell to learn from.
    """
    start, final, _ = read(held)
    known = np.flatnonzero(np.isfinite(final).all(axis=(1, 2, 3)) & (start[:, 3].sum(axis=(1, 2)) > 0))
    weights = model.networks()
    inputs, squares = [], []
    for rows in chunks(known):
        f4 = start[rows]
        cells = describe(f4, model.grid, np)
        found = networks.predict(f4, weights, model.grid, np).outcome
        scaled = networks.scaled_features(cells.shape.features, weights, np)
        shares = spread(rate(cells.crossed, np), cells.place, np)
        moved = networks.rms_change(cells, found, f4, np)
        good = moved > 0
        residual = (found.final - final[rows])[good] / cells.total[good, None, None, None]
        shares = shares[good] / shares[good].sum(axis=1, keepdims=True)
        inputs.append(np.sum(shares[..., None] * spread(scaled, cells.place, np)[good], axis=1))
        squares.append(np.mean(residual**2, axis=(1, 2, 3)) / moved[good] ** 2)
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

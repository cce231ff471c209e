"""What a case is: its start and its parameters, a pure function of the study, the split and its number."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seeds import case_stream
from emulant.systems.pendulum.config import PARAMETERS, QUANTITIES, PendulumConfig, Quantity

Array = NDArray[np.float64]

LEAST = 2.0**-54
"""Stands for a uniform number that came out as exactly 0, where a normal law would be at -inf."""


def draw(config: PendulumConfig, split: str, case: int) -> tuple[Array, Array]:
    """Start and parameters of one case.

    Nine numbers, uniform on [0, 1), are drawn from the case's own stream, one for each of l1, l2, m1, m2, g, theta1,
    theta2, theta1_dot, theta2_dot, in that order; each quantity is the quantile of its law at its number. So a law
    that changes leaves all other quantities as they were, and a case does not depend on its neighbours.

    Training cases walk through the grids in the same order, the last one fastest. Test cases start from
    `system.initial.states` where there are any.

    Returns:
        (4,) θ1, θ2 in rad, ω1, ω2 in rad/s; (5,) l1, l2 in m, m1, m2 in kg, g in m/s².
    """
    uniform = case_stream(config.seed, split, case).random(len(QUANTITIES))
    system, place = config.system, np.zeros(len(QUANTITIES), int)
    if split == "training":
        place[:] = np.unravel_index(case % np.prod(system.grid_shape), system.grid_shape)
    values = np.array(
        [
            _value(
                system.quantity(name), uniform[i], int(place[i]) if split == "training" else None, name in PARAMETERS
            )
            for i, name in enumerate(QUANTITIES)
        ]
    )
    parameters, start = values[: len(PARAMETERS)], values[len(PARAMETERS) :]
    if split == "test" and system.initial.states is not None:
        row = system.initial.states[case]
        start = np.array([*row, 0.0, 0.0][:4])
    return start, parameters


def _value(quantity: Quantity, u: float, place: int | None, positive: bool) -> float:
    """The quantile of a law at u, or its value at a place of the grid."""
    if quantity.constant is not None:
        return quantity.constant
    if quantity.choice is not None:
        return quantity.choice[int(u * len(quantity.choice))]
    if quantity.normal is not None:
        law = NormalDist(*quantity.normal)
        below = law.cdf(0.0) if positive else 0.0
        return law.inv_cdf(max(below + (1 - below) * u, LEAST))
    if quantity.grid is not None and place is not None:
        return float(np.linspace(*quantity.grid)[place])
    low, high = (quantity.uniform or quantity.grid or (0.0, 0.0))[:2]
    return low + (high - low) * u

"""Double pendulums for tests of learners, integrated here by Runge-Kutta; a spring may pull at the lower bob.

M(q) q̈ = f(q, q̇), from the Lagrangian of two point masses, by hand and apart from the package's equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = Any
UNIT = {"l1": 1.0, "l2": 1.0, "m1": 1.0, "m2": 1.0, "g": 9.81, "spring": 0.0}
ANCHOR = np.array([1.5, 0.5])
"""Where the spring is fixed: x to the right, y up, m."""


def accelerations(states: Array, p: Mapping[str, Array]) -> Array:
    """(..., 4) = q1, q2, q̇1, q̇2 -> (..., 2)"""
    q1, q2, v1, v2 = np.moveaxis(states, -1, 0)
    sine, cosine = np.sin(q1 - q2), np.cos(q1 - q2)
    x = p["l1"] * np.sin(q1) + p["l2"] * np.sin(q2) - ANCHOR[0]
    y = -p["l1"] * np.cos(q1) - p["l2"] * np.cos(q2) - ANCHOR[1]
    pull = [-p["spring"] * length * (x * np.cos(q) + y * np.sin(q)) for length, q in ((p["l1"], q1), (p["l2"], q2))]
    coupling = p["m2"] * p["l1"] * p["l2"]
    f1 = -coupling * sine * v2**2 - (p["m1"] + p["m2"]) * p["g"] * p["l1"] * np.sin(q1) + pull[0]
    f2 = coupling * sine * v1**2 - p["m2"] * p["g"] * p["l2"] * np.sin(q2) + pull[1]
    a, b, d = (p["m1"] + p["m2"]) * p["l1"] ** 2, coupling * cosine, p["m2"] * p["l2"] ** 2
    return np.stack([d * f1 - b * f2, a * f2 - b * f1], axis=-1) / (a * d - b * b)[..., None]


def pendulums(cases: int, frames: int, seed: int, swing: float = 1.2, **parameters: Array) -> dict[str, Array]:
    """`state` (C, T, 4) and `acceleration` (C, T, 2) of pendulums let go at random angles; 0.05 s between frames."""
    p = {name: np.broadcast_to(value, cases) for name, value in (UNIT | parameters).items()}
    rng, part = np.random.default_rng(seed), 0.005
    y = np.concatenate([rng.uniform(-swing, swing, (cases, 2)), np.zeros((cases, 2))], axis=1)

    def flow(y: Array) -> Array:
        return np.concatenate([y[:, 2:], accelerations(y, p)], axis=1)

    seen = [y]
    for _ in range(frames - 1):
        for _ in range(10):
            k1 = flow(y)
            k2 = flow(y + part / 2 * k1)
            k3 = flow(y + part / 2 * k2)
            y = y + part / 6 * (k1 + 2 * k2 + 2 * k3 + flow(y + part * k3))
        seen.append(y)
    states = np.stack(seen, axis=1)
    along = {name: value[:, None] for name, value in p.items()}
    return {"state": states, "acceleration": accelerations(states, along)}

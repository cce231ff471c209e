"""Oracles of the pendulum's physics: the Lagrangian itself, differentiated, and an independent integration."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from emulant.cli import main

STEP = 1e-30
"""Of a complex step: f(x + i h) = f(x) + i h f'(x) to the last bit, for nothing is subtracted."""


def lagrangian(q, w, parameters):
    """T - V of two masses at the ends of their rods, from where they are and how fast they move."""
    l1, l2, m1, m2, g = parameters
    height1, height2 = -l1 * np.cos(q[0]), -l1 * np.cos(q[0]) - l2 * np.cos(q[1])
    v1 = [l1 * w[0] * np.cos(q[0]), l1 * w[0] * np.sin(q[0])]
    v2 = [v1[0] + l2 * w[1] * np.cos(q[1]), v1[1] + l2 * w[1] * np.sin(q[1])]
    kinetic = m1 * (v1[0] ** 2 + v1[1] ** 2) / 2 + m2 * (v2[0] ** 2 + v2[1] ** 2) / 2
    return kinetic - g * (m1 * height1 + m2 * height2)


def gradient(function, x):
    """(2,) by complex steps."""
    return np.array([function(x + 1j * STEP * unit).imag / STEP for unit in np.eye(2)])


def momentum(q, w, parameters):
    """∂L/∂ω; L is quadratic in ω, so a central difference with any step is exact, for complex q as well."""
    ends = [[lagrangian(q, w + sign * unit, parameters) for sign in (1, -1)] for unit in np.eye(2)]
    return np.array([(plus - minus) / 2 for plus, minus in ends])


def euler_lagrange(state, parameters):
    """(2,) accelerations from d/dt ∂L/∂ω = ∂L/∂q, with every derivative of L taken by differentiation."""
    q, w = state[:2], state[2:]
    force = gradient(lambda q: lagrangian(q, w, parameters), q)
    mixed = np.stack([momentum(q + 1j * STEP * unit, w, parameters).imag / STEP for unit in np.eye(2)], axis=1)
    still = momentum(q, np.zeros(2), parameters)
    mass = np.stack([momentum(q, unit, parameters) - still for unit in np.eye(2)], axis=1)
    return np.linalg.solve(mass, force - mixed @ w)


def rates(_, y, l1, l2, m1, m2, g):
    """M(q) q̈ = f, solved in plain Python."""
    t1, t2, w1, w2 = y
    s, c = math.sin(t1 - t2), math.cos(t1 - t2)
    a, b, d = (m1 + m2) * l1 * l1, m2 * l1 * l2 * c, m2 * l2 * l2
    f1 = -m2 * l1 * l2 * s * w2 * w2 - (m1 + m2) * g * l1 * math.sin(t1)
    f2 = m2 * l1 * l2 * s * w1 * w1 - m2 * g * l2 * math.sin(t2)
    det = a * d - b * b
    return [w1, w2, (d * f1 - b * f2) / det, (a * f2 - b * f1) / det]


def integrated(start, parameters, times):
    """(T, 4) at a tolerance of 1e-12."""
    settings = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-12, "t_eval": times}
    return solve_ivp(rates, (0, times[-1]), start, args=tuple(parameters), **settings).y.T


@pytest.fixture
def lagrangian_accelerations() -> Callable[..., Any]:
    return euler_lagrange


@pytest.fixture
def lagrangian_momentum() -> Callable[..., Any]:
    return momentum


@pytest.fixture
def exact_path() -> Callable[..., Any]:
    return integrated


@pytest.fixture
def pendulums() -> Callable[..., Any]:
    """Starts (C, 4) and parameters (C, 5) with nothing equal to one."""

    def make(cases, seed=0, speed=2.0):
        rng = np.random.default_rng(seed)
        states = np.concatenate([rng.uniform(-np.pi, np.pi, (cases, 2)), rng.normal(0, speed, (cases, 2))], axis=1)
        parameters = np.concatenate([rng.uniform(0.4, 2.5, (cases, 4)), rng.uniform(3.0, 15.0, (cases, 1))], axis=1)
        return states, parameters

    return make


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A finished run with one network, hardly trained; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("pendulum") / "run"
    light = ["surrogates.lagrangian.enabled=false", "training.max_epochs=1", "evaluation.lyapunov_time=5.0"]
    settings = [word for setting in light for word in ("--set", setting)]
    assert main(["run", "pendulum:smoke", "-o", str(folder), "--quiet", "--workers", "1", *settings]) == 0
    return folder

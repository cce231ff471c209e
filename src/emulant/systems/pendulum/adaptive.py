"""Integrators that choose their own steps, one case at a time: scipy's, and heyoka's Taylor method if it is installed.

Their tolerance bounds the error of a step. It says little of where a chaotic case is at the end: that is what the trust
horizon is for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from emulant.errors import UsageError
from emulant.systems.pendulum.equations import Array, accelerate, compiled, reduced
from emulant.systems.pendulum.lanes import sincos

METHODS = {"dop853": "DOP853", "rk45": "RK45"}
"""scipy's name of an integrator of the study."""
TIGHTEST = 100 * np.finfo(float).eps
"""The least relative tolerance that scipy takes."""


@compiled  # type: ignore[untyped-decorator]
def _rates(_: float, y: Array, mu: float, nu: float, rho: float, gamma: float) -> Array:
    s1, c1 = sincos(y[0])
    s2, c2 = sincos(y[1])
    a1, a2 = accelerate(s1, c1, s2, c2, y[2], y[3], mu, nu, rho, gamma)
    return np.array([y[2], y[3], a1, a2])


def with_scipy(starts: Array, parameters: Array, times: Array, integrator: str, tolerance: float) -> Array:
    """Integrate C cases with `dop853` or `rk45`; samples between steps are interpolated.

    Args:
        starts: (C, 4) rad, rad/s.
        parameters: (C, 5).
        times: (T,) s, the first one 0.
        integrator: Of `METHODS`.
        tolerance: Relative and absolute, of each step.

    Returns:
        (C, T, 4); NaN from where a case could not be carried on.
    """
    from scipy.integrate import solve_ivp

    paths, tolerance = np.full((len(starts), len(times), 4), np.nan), max(tolerance, TIGHTEST)
    settings = {"method": METHODS[integrator], "t_eval": times, "rtol": tolerance, "atol": tolerance}
    with np.errstate(all="ignore"):  # a case that diverges is recorded as such
        for path, start, table in zip(paths, starts, reduced(parameters), strict=True):
            path[0] = start
            if np.isfinite(start).all():
                found = solve_ivp(_rates, (0.0, times[-1]), start, args=tuple(table), **settings)
                path[: len(found.t)] = np.transpose(found.y).reshape(-1, 4)
    return paths


def with_heyoka(starts: Array, parameters: Array, times: Array, tolerance: float) -> Array:
    """Integrate C cases by Taylor's method (Biscani & Izzo, MNRAS 504, 2614 (2021)); as `with_scipy`.

    Raises:
        UsageError: The package heyoka is not installed.
    """
    integrator = _taylor(_heyoka(), tolerance)
    paths = np.full((len(starts), len(times), 4), np.nan)
    for path, start, table in zip(paths, starts, reduced(parameters), strict=True):
        integrator.time, integrator.state[:], integrator.pars[:] = 0.0, start, table
        found = integrator.propagate_grid(times)[-1]
        path[: len(found)] = found
    return paths


def _heyoka() -> Any:
    try:
        return import_module("heyoka")
    except ImportError:
        raise UsageError(
            'system.integrator = "heyoka" needs the package heyoka, which is not installed.',
            'Run `pip install heyoka`, or set system.integrator = "rk8".',
        ) from None


def _taylor(heyoka: Any, tolerance: float) -> Any:
    """heyoka's integrator of the same formulas, which it takes as symbols."""
    theta1, theta2, w1, w2 = heyoka.make_vars("theta1", "theta2", "w1", "w2")
    waves = heyoka.sin(theta1), heyoka.cos(theta1), heyoka.sin(theta2), heyoka.cos(theta2)
    a1, a2 = accelerate.py_func(*waves, w1, w2, *(heyoka.par[i] for i in range(4)))
    system = [(theta1, w1), (theta2, w2), (w1, a1), (w2, a2)]
    return heyoka.taylor_adaptive(system, [0.0] * 4, tol=tolerance, pars=[0.0] * 4)

"""From starts to simulations: the study's integrator, its tolerance held, and how long each result can be trusted.

What they cost in energy and in trust, for default starts, T = 10 s, and a tolerance of 1e-9 (rk8, rk4: of the energy;
dop853, rk45: of a step; verlet: none, its step is at most 0.001 s). A test holds the orders of magnitude.

==========  ===================  =============================
integrator  median max|E - E0|   cases trusted for all of 10 s
==========  ===================  =============================
rk8         4e-10 J              98 %
rk4         7e-9 J               98 %
dop853      2e-7 J               78 %
rk45        6e-7 J               72 %
verlet      1.5e-3 J             42 %
==========  ===================  =============================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.errors import UsageError
from emulant.systems.pendulum import tableau
from emulant.systems.pendulum.adaptive import with_heyoka, with_scipy
from emulant.systems.pendulum.config import SystemTable
from emulant.systems.pendulum.equations import Array, energy_scale
from emulant.systems.pendulum.lanes import REACH, advance, observe
from emulant.systems.pendulum.tableau import Tableau

HALVINGS = 6
"""How often the step is halved before a case counts as failed."""
TRUSTED = 1e-3
"""rad and rad/s. Two integrations that differ by more have parted."""
TIGHTER = 100.0
"""By how much the tolerance of an adaptive method is lowered to see how long it can be trusted."""


@dataclass(frozen=True)
class FixedStep:
    """A method, the longest step that it starts with (s), and whether that is halved to hold a tolerance."""

    tableau: Callable[[], Tableau]
    longest: float
    halved: bool = True

    def substeps(self, dt: float) -> int:
        """The fewest equal steps per stored interval that are not too long."""
        return max(1, math.ceil(dt / self.longest - 1e-9))


FIXED = {
    "rk8": FixedStep(tableau.rk8, 0.01),
    "rk4": FixedStep(tableau.rk4, 0.002),
    "verlet": FixedStep(tableau.verlet, 0.001, halved=False),
}


@dataclass(frozen=True)
class Solution:
    """C simulations of T stored samples."""

    times: Array
    """(T,) s, k dt."""
    states: Array
    """(C, T, 4) θ1, θ2 in rad, not wrapped, and ω1, ω2 in rad/s."""
    accelerations: Array
    """(C, T, 2) rad/s²."""
    energy: Array
    """(C, T) J."""
    energy_drift: Array
    """(C,) max|E - E0| in J over the stored samples."""
    substeps: NDArray[np.int64]
    """(C,) steps per stored interval; 0 for methods that choose their own."""
    trust_horizon: Array
    """(C,) s: the first stored time at which a finer integration of the same case differs by more than 1e-3 in any
    state; the end if none does, 0 for cases that failed, NaN if it was not asked for."""
    reasons: tuple[str, ...]
    """Why a case is not to be used; "" for those that are."""

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """(C,) whether a case has left every bound; others with a reason are merely out of tolerance."""
        return ~np.isfinite(self.energy_drift)


def integrate(states: Array, parameters: Array, system: SystemTable, *, trust: bool = True) -> Solution:
    """Simulate C cases as `[system]` says. The bytes of a case do not depend on the others.

    Methods with a fixed step hold `tolerance` as a bound on max|E - E0| / E_scale: a case that exceeds it is done again
    with half the step, at most six times. The trust horizon compares with half the step, or with tolerance / 100.

    Args:
        states: (C, 4) θ1, θ2 in rad, ω1, ω2 in rad/s.
        parameters: (C, 5) l1, l2 in m, m1, m2 in kg, g in m/s².
        system: Its integrator, tolerance, T and dt.
        trust: Also work out the trust horizon, which costs twice as much as the rest.

    Raises:
        UsageError: The shapes do not fit, or the integrator's package is missing.
    """
    states, parameters = np.asarray(states, float), np.asarray(parameters, float)
    if states.ndim != 2 or states.shape[1:] != (4,) or parameters.shape != (len(states), 5):
        raise UsageError(
            f"states are {states.shape} and parameters {parameters.shape}.", "They must be (cases, 4) and (cases, 5)."
        )
    method = FIXED.get(system.integrator)
    if method is None:
        paths, substeps = _adaptive(states, parameters, system, system.tolerance), np.zeros(len(states), int)
    else:
        paths, substeps = _held(states, parameters, system, method)
    accelerations, energy = observe(paths, parameters)
    drift = _drift(energy)
    relative = drift / energy_scale(parameters)
    reasons = tuple(_reason(*case, system) for case in zip(paths, energy, relative, substeps, strict=True))
    horizon = np.full(len(states), np.nan)
    if trust:
        good = np.array([not reason for reason in reasons], bool)
        horizon[:] = 0.0
        horizon[good] = trust_horizon(paths[good], parameters[good], substeps[good], system)
    return Solution(_times(system), paths, accelerations, energy, drift, substeps, horizon, reasons)


def trust_horizon(paths: Array, parameters: Array, substeps: NDArray[np.int64], system: SystemTable) -> Array:
    """(C,) s: when C stored paths (C, T, 4) part from a finer integration of the same starts; the end if they do not.

    Args:
        substeps: (C,) that the paths were made with; 0 for methods that choose their own.
    """
    return _parted(paths, _finer(paths[:, 0], parameters, substeps, system), _times(system))


def settings_of(integrator: str, tolerance: float | None, dt: float, steps: int) -> SystemTable:
    """The table `[system]` as far as an integration goes, of data that say how they were made."""
    held = {} if tolerance is None else {"tolerance": tolerance}
    return SystemTable.model_validate({"integrator": integrator, "T": steps * dt, "dt": dt, **held})


def _times(system: SystemTable) -> Array:
    times: Array = np.arange(system.steps + 1) * np.float64(system.dt)
    return times


def _drift(energy: Array) -> Array:
    with np.errstate(invalid="ignore"):  # inf - inf: NaN is the answer
        drift: Array = np.abs(energy - energy[:, :1]).max(axis=1)
    return drift


def _fixed(states: Array, parameters: Array, substeps: NDArray[np.int64], system: SystemTable) -> Array:
    """(C, T, 4) with each case's own number of steps per stored interval."""
    method, counts = FIXED[system.integrator].tableau(), np.unique(substeps)
    if len(counts) == 1:
        return advance(states, parameters, system.dt, system.steps, int(counts[0]), method)
    paths = np.empty((len(states), system.steps + 1, 4))
    for count in counts:
        of = substeps == count
        paths[of] = advance(states[of], parameters[of], system.dt, system.steps, int(count), method)
    return paths


def _adaptive(states: Array, parameters: Array, system: SystemTable, tolerance: float) -> Array:
    if system.integrator == "heyoka":
        return with_heyoka(states, parameters, _times(system), tolerance)
    return with_scipy(states, parameters, _times(system), system.integrator, tolerance)


def _held(states: Array, parameters: Array, system: SystemTable, method: FixedStep) -> tuple[Array, NDArray[np.int64]]:
    """Paths that hold the tolerance as far as halving the step can make them, and the steps that it took."""
    substeps = np.full(len(states), method.substeps(system.dt))
    paths = _fixed(states, parameters, substeps, system)
    over, tried, allowed = np.arange(len(states)), paths, system.tolerance * energy_scale(parameters)
    for _ in range(HALVINGS if method.halved else 0):
        drift = _drift(observe(tried, parameters[over])[1])
        over = over[~(drift <= allowed[over])]  # NaN is over it, too
        if not over.size:
            break
        substeps[over] *= 2
        tried = paths[over] = _fixed(states[over], parameters[over], substeps[over], system)
    return paths, substeps


def _finer(states: Array, parameters: Array, substeps: NDArray[np.int64], system: SystemTable) -> Array:
    if system.integrator in FIXED:
        return _fixed(states, parameters, 2 * substeps, system)
    return _adaptive(states, parameters, system, system.tolerance / TIGHTER)


def _parted(paths: Array, finer: Array, times: Array) -> Array:
    """(C,) s: when two integrations of each case part, or the end."""
    apart = ~(np.abs(paths - finer) <= TRUSTED).reshape(len(paths), 4 * len(times))
    parted: Array = np.where(apart.any(axis=1), times[apart.argmax(axis=1) // 4], times[-1])
    return parted


def _reason(path: Array, energy: Array, drift: float, substeps: int, system: SystemTable) -> str:
    """Why a case failed, or ""; drift is in units of the energy's scale."""
    if not np.isfinite(drift):
        time = system.dt * int(np.isfinite(energy).argmin())
        turning = np.isfinite(path).all() and np.abs(path[:, :2]).max() > REACH
        return f"an angle beyond {REACH:g} rad at t = {time:g} s" if turning else f"diverged at t = {time:g} s"
    if system.integrator in FIXED and FIXED[system.integrator].halved and drift > system.tolerance:
        return (
            f"with {substeps} steps per dt the energy still drifts by {drift:.3g} of its scale, "
            f"more than the tolerance {system.tolerance:g}"
        )
    return ""

"""The state that a fast flavor instability leaves behind: a small quantum-kinetic box, run until it has saturated.

    i(∂_t + (û·v) ∂_z) ψ_v = H_v ψ_v

over a periodic interval along û, homogeneous but for seeds of size 1e-3; no vacuum, matter or collision terms, heavy
flavors equal (averaged if they are not). Strang splitting: advection by FFT, exact for what the cells resolve, between
Runge-Kutta steps of the precession. Units: time 1 / (K n_tot), length c / (K n_tot), densities n_tot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.systems.flavor.angles import lebedev
from emulant.systems.flavor.closure import closure, lepton_numbers, with_equal_heavies
from emulant.systems.flavor.crossings import Pair
from emulant.systems.flavor.fields import SETTLED

Array = NDArray[np.float64]

SEED_SIZE = 1e-3
PERIOD_GROWTHS = 42.0
"""T in growth times. Shorter, half of the averaging window would still be growth."""
BOX_LENGTH, LONGEST_BOX = 30.0, 400.0
"""Length in 1/σ, and at most."""
PRECESSION_STEP, LONGEST_STEP = 0.8, 4.0
"""dt times the largest precession rate 2 ∫|G| dΩ, and dt at most."""


@dataclass(frozen=True)
class Setting:
    """How a cell is simulated."""

    axis: Array
    """(3,) unit vector of the box."""
    growth: float
    """The fastest rate of linear analysis."""
    cells: int
    directions: int
    max_steps: int


@dataclass(frozen=True)
class Saturated:
    """What has become of a cell: the mean over the second half of the run, and over its seeds. n_tot = 1."""

    final: Array
    """(4, 2, NF)."""
    stddev: Array | None
    """(4, 2, NF): standard error of `final` by the spread of the seeds; None for a single seed."""
    drift: float
    """rms over components of the change between the two halves of the averaging window."""
    growth: float
    """The slope seen in the box; NaN if the growth was too short to be fitted."""
    steps: int
    """Of every seed."""
    saturated: bool

    @property
    def settled(self) -> bool:
        """Whether the mean has stopped moving."""
        return self.drift <= SETTLED


@dataclass(frozen=True)
class _Run:
    """One seed: final states (2, 4, 2, NF) over the third and the fourth quarter, and the rest of `Saturated`."""

    quarters: Array
    growth: float
    saturated: bool


def time_step(pair: Pair) -> float:
    """dt: bound by the precession, which the Runge-Kutta steps must follow."""
    return min(LONGEST_STEP, PRECESSION_STEP / (2.0 * (pair.positive + pair.negative)))


def steps_needed(pair: Pair, growth: float) -> int:
    """Steps of a run of T = 42 growth times."""
    return int(np.ceil(PERIOD_GROWTHS / growth / time_step(pair)))


def saturate(
    f4: Array, pair: Pair, setting: Setting, streams: Callable[[], Sequence[np.random.Generator]]
) -> Saturated:
    """Run a cell (4, 2, NF) with n_tot = 1 into saturation, once for every stream, and average what is left.

    Where the instability has not peaked in the first third of T, or the mean still moves, the cell is run once more
    from the same seeds, three times as long or as long as `max_steps` allows.
    """
    steps = steps_needed(pair, setting.growth)
    longer = min(3 * steps, setting.max_steps)
    result = _averaged([_run(f4, pair, setting, steps, stream) for stream in streams()], steps)
    if longer > steps and not (result.saturated and result.settled):
        result = _averaged([_run(f4, pair, setting, longer, stream) for stream in streams()], longer)
    return result


def _averaged(runs: Sequence[_Run], steps: int) -> Saturated:
    finals = np.stack([run.quarters.mean(axis=0) for run in runs])
    early, late = np.mean([run.quarters for run in runs], axis=0)
    return Saturated(
        final=finals.mean(axis=0),
        stddev=finals.std(axis=0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else None,
        drift=float(np.sqrt(np.mean((late - early) ** 2))),
        growth=float(np.mean([run.growth for run in runs])),
        steps=steps,
        saturated=all(run.saturated for run in runs),
    )


def _run(f4: Array, pair: Pair, setting: Setting, steps: int, generator: np.random.Generator) -> _Run:
    directions, weights = lebedev(setting.directions)
    distribution = closure(with_equal_heavies(f4)).at(directions)
    leptons = lepton_numbers(distribution)
    g = leptons[0] - leptons[1]
    survival, mixed = _evolve(weights * g, directions, steps, f4.shape[-1], pair, setting, generator)
    quarters = np.stack([_mixed(f4, distribution, g, directions, weights, part) for part in survival])
    reached = mixed[: steps // 3].max() > 0.5 * mixed.max()
    return _Run(quarters, _slope(mixed, time_step(pair)), bool(reached))


def _evolve(
    weighted: Array,
    directions: Array,
    steps: int,
    flavors: int,
    pair: Pair,
    setting: Setting,
    generator: np.random.Generator,
) -> tuple[Array, Array]:
    """Mean |ψ_e|² of every direction over the third and the fourth quarter (2, J), and the mixing at every step."""
    from scipy import fft

    from emulant.systems.flavor.reaction import react

    dt = time_step(pair)
    length = min(LONGEST_BOX, BOX_LENGTH / pair.sigma)
    wave_numbers = 2.0 * np.pi * np.fft.fftfreq(setting.cells, length / setting.cells)
    shift = np.exp(-1j * dt * np.outer(directions @ setting.axis, wave_numbers)).astype(np.complex64)[:, None, :]
    psi = _seeded(len(directions), setting.cells, flavors, generator)
    weights, velocities, step = weighted.astype(np.float32), directions.astype(np.float32), np.float32(dt)
    survival, total, mixed = np.empty(len(directions)), np.zeros((2, len(directions))), np.empty(steps)
    quarters = (steps // 2, 3 * steps // 4, steps)
    for number in range(steps):  # half an advection at either end of the run makes no difference to its means
        spectrum = fft.fft(psi, axis=-1, overwrite_x=True)
        spectrum *= shift
        psi = fft.ifft(spectrum, axis=-1, overwrite_x=True)
        mixed[number] = react(psi, weights, velocities, step, survival)
        if number >= quarters[0]:
            total[0 if number < quarters[1] else 1] += survival
    return total / np.diff(quarters)[:, None], mixed


def _seeded(directions: int, cells: int, flavors: int, generator: np.random.Generator) -> NDArray[np.complex64]:
    """Electron flavor but for small complex normal numbers, the same for all directions of a point: (J, 3, Z).

    Of two flavors the third component is 0, and stays so.
    """
    noise = generator.normal(size=(2, cells, 2)) @ np.array([1.0, 1j]) * SEED_SIZE
    noise[flavors - 1 :] = 0.0
    column = np.concatenate([np.ones((1, cells)), noise])
    column /= np.sqrt(np.sum(np.abs(column) ** 2, axis=0))
    return np.ascontiguousarray(np.broadcast_to(column, (directions, 3, cells)), np.complex64)


def _mixed(f4: Array, distribution: Array, g: Array, directions: Array, weights: Array, survival: Array) -> Array:
    """The four-fluxes when every direction keeps |ψ_e|² of its electron flavor.

    Written as a change of the given moments, so that the closure's error on this grid never enters. Electron lepton
    number holds to the scheme's 1e-5; the rest is taken from the side that exceeds.
    """
    exchanged = 1.0 - survival
    sides = [float(weights @ (np.maximum(sign * g, 0.0) * exchanged)) for sign in (1.0, -1.0)]
    least = min(sides)
    scale = [least / side if side > 0.0 else 0.0 for side in sides]
    exchanged = exchanged * np.where(g > 0.0, scale[0], scale[1])
    four_velocity = np.concatenate([directions.T, np.ones((1, len(directions)))])
    heavies = f4.shape[-1] - 1
    difference = distribution[:, 0] - distribution[:, 1]
    change = np.einsum("mj,sj->ms", four_velocity, weights * exchanged * difference)
    return np.concatenate([(f4[..., 0] - change)[..., None], f4[..., 1:] + (change / heavies)[..., None]], axis=-1)


def _slope(mixed: Array, dt: float) -> float:
    """Growth rate of what is mixed, between 1e-3 and 1e-1 of its peak."""
    peak = int(np.argmax(mixed))
    share = mixed[: peak + 1] / mixed[peak]
    inside = np.flatnonzero(share < 0.1)
    last = int(inside[-1]) if len(inside) else 0
    below = np.flatnonzero(share[:last] < 1e-3)
    first = int(below[-1]) + 1 if len(below) else int(np.argmin(share[: last + 1]))
    if last - first < 4 or share[last] < 3.0 * share[first]:
        return float("nan")
    times = dt * np.arange(first, last + 1)
    return float(np.polyfit(times, np.log(share[first : last + 1]), 1)[0])

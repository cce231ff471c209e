"""Checks that integrate again: does what is stored obey the equations of motion?

`equations` takes every stored step on its own, so it finds wrong equations, shifted times and edited values wherever
they are, however chaotic the case. The others (`emulant validate --deep N`) follow whole cases.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from emulant.dataset.seams import Array, Finding
from emulant.systems.pendulum import tableau
from emulant.systems.pendulum.blocks import Block, side_by_side
from emulant.systems.pendulum.config import PARAMETERS, STATE
from emulant.systems.pendulum.equations import accelerations
from emulant.systems.pendulum.files import ACCELERATION, Provenance
from emulant.systems.pendulum.integrate import FIXED, TRUSTED, settings_of, trust_horizon
from emulant.systems.pendulum.lanes import advance
from emulant.systems.pendulum.lyapunov import VOLUME, spectrum

ROUNDINGS = 200
"""So many units of rounding, relative to max(1, |y|), may a stored step be off the equations beside its tolerance."""
FOREIGN = 1e-5
"""The tolerance of a step for data that do not say theirs."""
FINER = 8
"""What seems to be off is integrated again in steps that are so much shorter before it is told."""
REVERSED = 1.0
"""s that a case is followed back; a longer way back multiplies its own errors."""
RETURN = 1e-6
SPECTRUM_TIME = 100.0
"""s of tangent dynamics for the self-test of the exponents."""
PAIRED = 20.0
"""Sums of a pair of exponents times the duration; they are bounded, because the pairing is exact in the limit."""


def equations(block: Block, columns: tuple[str, ...], tolerance: float) -> Iterator[tuple[str, str]]:
    """`equations`: each stored step, and each stored acceleration, is that of the equations of motion.

    Args:
        tolerance: Relative to max(1, |y|), |y| the largest component; rounding is allowed for beside it.

    Yields:
        The sim_id, and its first fault.
    """
    stored = [name for name in ACCELERATION if name in columns]
    arrays = block.read_unchecked((*STATE, "t", "dt", *stored))
    states = side_by_side(arrays, STATE)
    parameters = np.repeat(block.rows.select(PARAMETERS).to_numpy(), block.lengths, axis=0)
    tolerance += ROUNDINGS * float(np.finfo(arrays[STATE[0]].dtype).eps)
    off = np.zeros(len(states))
    off[1:] = _off(states, parameters, arrays["dt"], tolerance)
    off[block.starts] = 0.0
    yield from _told(block, off, tolerance, arrays["t"], "the step to t = {t:g} s is off the equations of motion")
    if len(stored) == len(ACCELERATION):
        with np.errstate(all="ignore"):
            exact = accelerations(states, parameters)
            scale = np.maximum(1.0, np.maximum(np.abs(exact), states[:, 2:] ** 2).max(axis=1))
            scale *= np.maximum(1.0, np.abs(states[:, :2]).max(axis=1))  # what rounding does to a large angle's sine
            off = np.abs(side_by_side(arrays, stored) - exact).max(axis=1) / scale
        yield from _told(block, off, tolerance, arrays["t"], "the acceleration at t = {t:g} s is off the equations")


def _off(states: Array, parameters: Array, dt: Array, tolerance: float) -> Array:
    """(rows - 1,) how far each row is from where the one before it leads, relative to max(1, |y|); NaN: no number."""
    off = np.full(len(states) - 1, np.nan)
    with np.errstate(all="ignore"):
        scale = np.maximum(1.0, np.abs(states[1:]).max(axis=1))
        sound = np.isfinite(states[:-1]).all(axis=1) & (dt[:-1] > 0) & (parameters[:-1] > 0).all(axis=1)
        sound &= np.isfinite(states[1:]).all(axis=1) & np.isfinite(dt[:-1])
        for step in np.unique(dt[:-1][sound]):
            rows = np.flatnonzero(sound & (dt[:-1] == step))
            for finer in (1, FINER):
                ends = advance(
                    states[rows], parameters[rows], float(step), 1, FIXED["rk8"].substeps(step) * finer, tableau.rk8()
                )
                off[rows] = np.abs(ends[:, -1] - states[rows + 1]).max(axis=1) / scale[rows]
                rows = rows[~(off[rows] <= tolerance)]
                if not rows.size:
                    break
    return off


def _told(block: Block, off: Array, tolerance: float, t: Array, what: str) -> Iterator[tuple[str, str]]:
    wrong = off > tolerance
    for number in np.flatnonzero(block.any(wrong)) if wrong.any() else ():
        start, length = block.starts[number], block.lengths[number]
        row = start + int(wrong[start : start + length].argmax())
        steps = int(wrong[start : start + length].sum())
        yield (
            str(block.rows["sim_id"][int(number)]),
            f"{what.format(t=t[row])} by {off[row]:.3g}, {tolerance:.3g} is allowed ({steps} such samples)",
        )


# -- whole cases --------------------------------------------------------------------------------------------------


def deep(block: Block, rows: Array, provenance: Provenance | None, tolerance: float) -> Iterator[Finding]:
    """`chaos`: time reversal, the trust horizon, and the exponents' own test, of some rows of a block's index."""
    index = block.rows[rows.tolist()]
    arrays = block.read_unchecked((*STATE, "dt"))
    eps = float(np.finfo(arrays[STATE[0]].dtype).eps)
    states, parameters = side_by_side(arrays, STATE), index.select(PARAMETERS).to_numpy()
    where = [f"{block.path.name}: {name}" for name in index["sim_id"]]
    starts, lengths, dt = block.starts[rows], block.lengths[rows], index["dt"].to_numpy()
    for k in range(len(rows)):
        path = states[starts[k] : starts[k] + lengths[k]]
        if not np.isfinite(path).all():
            continue  # `values` tells it
        yield from _reversed(path, parameters[k], float(dt[k]), max(RETURN, tolerance + ROUNDINGS * eps), where[k])
        horizon = index["trust_horizon"][k]
        if provenance is not None and horizon is not None and eps < 1e-12:  # a rounded start is another case
            yield from _trusted(
                path, parameters[k], float(dt[k]), provenance, int(index["substeps"][k]), horizon, where[k]
            )
    yield from _paired(states[starts], parameters, where)


def _reversed(path: Array, parameters: Array, dt: float, allowed: float, where: str) -> Iterator[Finding]:
    """From a later sample, with the velocities turned round, a case comes back to its start."""
    steps = min(len(path) - 1, max(1, round(REVERSED / dt)))
    turn = np.array([1.0, 1.0, -1.0, -1.0])
    back = advance(
        (path[steps] * turn)[None], parameters[None], dt, steps, 2 * FIXED["rk8"].substeps(dt), tableau.rk8()
    )
    off = float(np.abs(back[0, -1] * turn - path[0]).max() / max(1.0, np.abs(path[0]).max()))
    if not off <= allowed:
        what = f"followed back from t = {steps * dt:g} s it misses its start by {off:.3g}, {allowed:.3g} is allowed"
        yield Finding(where, "chaos", what)


def _trusted(
    path: Array, parameters: Array, dt: float, made: Provenance, substeps: int, stored: float, where: str
) -> Iterator[Finding]:
    """A finer integration parts from the stored path when the file says so."""
    system = settings_of(made.integrator, made.tolerance, dt, len(path) - 1)
    found = float(trust_horizon(path[None], parameters[None], np.array([substeps]), system)[0])
    if abs(found - stored) > 1.5 * dt:
        what = (
            f"a finer integration differs by {TRUSTED:g} from t = {found:g} s on; its trust horizon says {stored:g} s"
        )
        yield Finding(where, "chaos", what)


def _paired(starts: Array, parameters: Array, where: list[str]) -> Iterator[Finding]:
    """Exponents come in pairs of opposite sign, and volumes in phase space are kept."""
    good = np.flatnonzero(np.isfinite(starts).all(axis=1))
    found = spectrum(starts[good], parameters[good], SPECTRUM_TIME)
    first, second, third, fourth = found.exponents.T
    slack = PAIRED / found.time
    unpaired = (np.abs(first + fourth) > slack) | (np.abs(second + third) > slack)
    for k in np.flatnonzero(unpaired | ~(found.volume_error <= VOLUME)):
        values = ", ".join(f"{value:.3g}" for value in found.exponents[k])
        what = f"its Lyapunov exponents {values} 1/s are not paired (volume error {found.volume_error[k]:.2g})"
        yield Finding(where[good[k]], "chaos", what)

"""What a cell's labels are: exact stability, the growth rate of linear analysis, the final state of the box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import CaseResult
from emulant.dataset.seeds import SPLITS, stream
from emulant.systems.flavor.box import Setting, saturate, steps_needed
from emulant.systems.flavor.closure import total_density, with_equal_heavies
from emulant.systems.flavor.config import SystemTable
from emulant.systems.flavor.crossings import Pair, deepest, find_pairs
from emulant.systems.flavor.fields import (
    COUPLING,
    F4_FINAL,
    F4_INITIAL,
    F4_STDDEV,
    GROWTH,
    GROWTH_BOX,
    STABLE,
)
from emulant.systems.flavor.growth import Fastest, fastest_mode

Array = NDArray[np.float64]

OFF_AXIS = 0.8
"""Where the dipole axis grows slower than this share of the maximum, the box lies along the fastest wave vector."""


@dataclass(frozen=True)
class Label:
    """Everything known about a cell: arrays under the names of the files, and how it came by them."""

    arrays: Mapping[str, Any]
    outcome: str
    steps: int = 0
    fault: str = ""
    """Why there is no label at all."""


def label(f4: Array, system: SystemTable, streams: Any, *, simulate: bool) -> Label:
    """Label one cell (4, 2, NF) in 1/cm³.

    Args:
        f4: The start.
        system: Size of the box and what it may cost.
        streams: Gives fresh random streams for the seeds of the box, the same ones at every call.
        simulate: Whether its final state is wanted.
    """
    total = float(total_density(f4))
    found = find_pairs(f4)
    pair = deepest(found)
    known = {F4_INITIAL: f4, "margin": np.float64(pair.margin if pair else 0.0)}
    if pair is None or not pair.crossed:
        stable = {STABLE: np.uint8(1), GROWTH: np.float64(0.0), F4_FINAL: f4.copy()}
        return Label(known | stable, "stable")
    candidates = [(fast, pair) for pair in found if pair.crossed and (fast := fastest_mode(pair)) is not None]
    if not candidates:
        return Label({}, "", fault=f"no growing mode can be resolved at margin {pair.margin:.2g}")
    fastest, fast_pair = max(candidates, key=lambda candidate: candidate[0].mode.growth)
    known |= {STABLE: np.uint8(0), GROWTH: np.float64(COUPLING * total * fastest.mode.growth)}
    if not simulate:
        return Label(known, "labels_only")
    return _simulated(f4, fastest, fast_pair, system, streams, known)


def _simulated(
    f4: Array, fastest: Fastest, pair: Pair, system: SystemTable, streams: Any, known: Mapping[str, Any]
) -> Label:
    scaled = f4 / float(total_density(f4))
    if not np.array_equal(f4[..., 1:], with_equal_heavies(f4)[..., 1:]):  # the box has one heavy flavor
        pair = find_pairs(with_equal_heavies(scaled))[0]
        again = fastest_mode(pair) if pair.crossed else None
        if again is None:
            return Label(known, "labels_only")
        fastest = again
    growth = fastest.mode.growth
    if steps_needed(pair, growth) > system.max_steps:
        return Label(known, "slow", steps_needed(pair, growth))
    axis = box_axis(fastest)
    setting = Setting(axis, growth, system.n_cells, system.n_directions, system.max_steps)
    end = saturate(scaled, pair, setting, streams)
    total = float(total_density(f4))
    arrays = {**known, F4_FINAL: end.final * total, "axis": axis, "drift": np.float64(end.drift)}
    if end.stddev is not None:
        arrays[F4_STDDEV] = end.stddev * total
    if np.isfinite(end.growth):
        arrays[GROWTH_BOX] = np.float64(end.growth * COUPLING * total)
    outcome = "not_saturated" if not end.saturated else "simulated" if end.settled else "not_converged"
    return Label(arrays, outcome, end.steps)


def box_axis(fastest: Fastest) -> Array:
    """Along the dipole, or along the fastest wave vector where that grows much faster."""
    wave_vector = fastest.mode.wave_vector
    size = float(np.sqrt(np.sum(wave_vector**2)))
    if size == 0.0 or fastest.on_dipole >= OFF_AXIS * fastest.mode.growth:
        return fastest.dipole
    return np.asarray(wave_vector / size)


def labelled_case(
    f4: Array, family: str, split: str, case: int, seed: int, system: SystemTable, *, simulate: bool
) -> CaseResult:
    """The labels of one cell as a case of a split."""

    def streams() -> list[np.random.Generator]:
        return [stream(seed, "simulation", SPLITS[split], case, number) for number in range(system.seeds)]

    found = label(f4, system, streams, simulate=simulate)
    if found.fault:
        return CaseResult(case, status="rejected", reason=found.fault)
    record = {"family": family, "outcome": found.outcome, "steps": found.steps}
    return CaseResult(case, found.arrays, record)

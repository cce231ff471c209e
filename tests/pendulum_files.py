"""Small pendulums for tests of files: integrated by plain RK4, written as emulant and as others write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.seams import CaseResult, Shard
from emulant.dataset.store import Store
from emulant.systems.pendulum.config import STATE
from emulant.systems.pendulum.equations import accelerations
from emulant.systems.pendulum.files import Provenance, write_shard

PARAMETERS = {"l1": 1.0, "l2": 0.8, "m1": 1.2, "m2": 0.7, "g": 9.81}


def simulate(cases: int, samples: int, dt: float = 0.05, seed: int = 0, substeps: int = 0) -> np.ndarray:
    """States (C, T, 4) of pendulums that start at rest from random angles."""
    y = np.zeros((cases, 4))
    y[:, :2] = np.random.default_rng(seed).uniform(0, np.pi, (cases, 2))
    parameters = np.array(list(PARAMETERS.values()))
    states, n = [y], substeps or max(1, round(dt / 0.005))
    for _ in range(samples - 1):
        for _ in range(n):
            y = _step(y, dt / n, parameters)
        states.append(y)
    return np.stack(states, axis=1)


def _step(y: np.ndarray, h: float, parameters: np.ndarray) -> np.ndarray:
    def rate(y: np.ndarray) -> np.ndarray:
        return np.concatenate([y[:, 2:], accelerations(y, parameters)], axis=1)

    a = rate(y)
    b = rate(y + h / 2 * a)
    c = rate(y + h / 2 * b)
    d = rate(y + h * c)
    return y + h / 6 * (a + 2 * b + 2 * c + d)


def product(states: np.ndarray, dt: float = 0.05, first: int = 0, **changes: Any) -> list[CaseResult]:
    """The cases as a simulator hands them over; `changes` are of `Provenance`, and `accelerations=True`."""
    with_accelerations = changes.pop("accelerations", False)
    provenance = Provenance(**{"integrator": "rk8", "tolerance": 1e-6, "seed": 7, "g": 9.81, **changes})
    rows = []
    for case, state in enumerate(states, first):
        arrays = {"state": state}
        if with_accelerations:
            exact = accelerations(state.astype(float), np.array(list(PARAMETERS.values())))
            arrays["acceleration"] = exact.astype(state.dtype)
        record = {
            "parameters": PARAMETERS,
            "dt": dt,
            "substeps": 5,
            "trust_horizon": 1.5,
            "provenance": asdict(provenance),
        }
        rows.append(CaseResult(case, arrays, record))
    return rows


def write_split(folder: Path, states: np.ndarray, shard_cases: int = 4, **changes: Any) -> Path:
    """A finished split as `emulant generate` leaves it."""
    store = Store(folder)
    store.begin()
    results = product(states, **changes)
    for number, start in enumerate(range(0, len(results), shard_cases)):
        some = results[start : start + shard_cases]
        shard = Shard(f"{number:05d}", folder.name, tuple(result.case for result in some))
        store.commit(shard, "key", some, write_shard(shard, some, folder), 0.0)
    return folder


def frame(states: np.ndarray, dt: float = 0.05, parameters: Mapping[str, float] = PARAMETERS) -> pl.DataFrame:
    """The eleven columns as others would make them, with whole numbers for sim_id."""
    cases, samples = states.shape[:2]
    columns: dict[str, Any] = {
        "sim_id": np.repeat(np.arange(cases), samples),
        "t": np.tile(np.arange(samples) * dt, cases),
        **{name: states[:, :, number].ravel() for number, name in enumerate(STATE)},
        **{name: np.full(cases * samples, parameters[name]) for name in ("l1", "l2", "m1", "m2")},
        "dt": np.full(cases * samples, dt),
    }
    return pl.DataFrame(columns)

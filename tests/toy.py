"""A system for tests: cases are a few numbers, and some of them misbehave on demand.

`behaviour` maps case numbers to how they end: raise, nan, hang, crash, kill (SIGKILL), reject.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.seams import CaseResult, Field
from emulant.dataset.seeds import case_stream
from emulant.dataset.tables import DataConfig, SplitsTable, Table
from emulant.systems.base import BaseSystem


class ToyTable(Table):
    name: str = "toy"
    size: int = 4
    frames: int = 6
    seconds: float = 0.0
    """How long a case takes."""
    behaviour: Mapping[str, str] = {}
    once: str | None = None
    """A folder: misbehaviour happens only the first time, which is noted there."""
    log: str | None = None
    """A folder: a file per simulated case, so that tests can count."""


class ToySplits(SplitsTable):
    training: int = 6
    test: int = 3


class ToyConfig(DataConfig):
    system: ToyTable = ToyTable()
    splits: ToySplits = ToySplits()


class Toy(BaseSystem):
    """Random walks."""

    name = "toy"
    summary = "Random walks, for tests."
    Config = ToyConfig
    fields: Mapping[str, Field] = {"walk": Field("<f8", ("time", "site"))}
    targets = ("walk",)

    def simulate_case(self, split: str, case: int, config: Any) -> CaseResult:
        table = config.system
        if table.log:
            (Path(table.log) / f"{split}_{case}_{time.monotonic_ns()}").touch()
        time.sleep(table.seconds)
        how = table.behaviour.get(f"{split}/{case}", "")
        if how and _due(table.once, split, case):
            if how == "reject":
                return CaseResult(case, status="rejected", reason="did not converge")
            _misbehave(how)
        rng = case_stream(config.seed, split, case)
        walk = rng.normal(size=(table.frames, table.size)).cumsum(axis=0)
        if how == "nan":
            walk[-1, 0] = np.nan
        return CaseResult(case, {"walk": walk}, {"family": "even" if case % 2 == 0 else "odd"})

    def geometry(self, config: Any | None) -> Mapping[str, Any]:
        return {"step": 0.5}


def _due(once: str | None, split: str, case: int) -> bool:
    if once is None:
        return True
    mark = Path(once) / f"{split}_{case}"
    was_there = mark.exists()
    mark.touch()
    return not was_there


def _misbehave(how: str) -> None:
    if how == "raise":
        raise ValueError("the toy broke")
    if how == "hang":
        time.sleep(3600)
    if how == "crash":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


system = Toy()

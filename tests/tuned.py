"""A system for tests of sweeps: its surrogates say how good they are to be, and note when they are fitted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from emulation import NOISE, TURN, Turn, TurnConfig, TurnTable

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import read_arrays
from emulant.dataset.seams import CaseResult, Dataset, Inputs, Learner
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError


class ScaledTable(Table):
    scale: float = 1.0
    """Of the answer; 1 is right."""
    shift: float = 0.0
    log: str = ""
    """A folder that gets a file for every fit."""
    fault: float | None = None
    """The scale that cannot be fitted."""


class Scaled:
    """The right answer, times a factor."""

    Config = ScaledTable

    def __init__(self, config: ScaledTable) -> None:
        self.config = config

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        if self.config.scale == self.config.fault:
            raise SurrogateError("the loss is not finite.", "Lower the scale.")
        if self.config.log:
            (Path(self.config.log) / f"fit_{time.monotonic_ns()}").touch()

    def predict(self, inputs: Inputs, *, samples: int = 1, seed: int = 0) -> dict[str, Any]:
        return {"after": (self.config.scale * inputs.fields["before"] @ TURN.T + self.config.shift)[:, None]}

    def save(self, folder: Path) -> list[Path]:
        return [write_npz(folder / "scale.npz", {"scale": np.array(self.config.scale)})]

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self:
        read_arrays(folder / "scale.npz", ["scale"])
        return cls(config)


class TunedTable(TurnTable):
    name: str = "tuned"
    noise: float = NOISE
    seconds: float = 0.0
    """How long a case takes."""
    log: str = ""
    """A folder that gets a file for every simulated case."""


class TunedConfig(TurnConfig):
    system: TunedTable = TunedTable()


class Tuned(Turn):
    """Vectors that are turned, by those who know how."""

    name = "tuned"
    Config = TunedConfig
    surrogates: Mapping[str, Learner] = {"scaled": Learner(ScaledTable, Scaled), "other": Learner(ScaledTable, Scaled)}

    def simulate_case(self, split: str, case: int, config: Any) -> CaseResult:
        table = config.system
        if table.log:
            (Path(table.log) / f"{split}_{case}_{time.monotonic_ns()}").touch()
        time.sleep(table.seconds)
        result = super().simulate_case(split, case, config)
        return CaseResult(case, {**result.arrays, "after": result.arrays["after"] + table.noise}, result.record)


system = Tuned()

"""What a model has put out for scenes: one NPZ per split, without padding, and how fast it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from emulant.dataset.atomic import write_json, write_npz
from emulant.dataset.npz import read_arrays
from emulant.dataset.seams import Array, Fields
from emulant.errors import DataError
from emulant.evaluation.forecasts import Forecasts, Start
from emulant.evaluation.predictions import Predictions
from emulant.systems.scenes.arrays import padded_states

SPEED = "speed.json"


@dataclass(frozen=True)
class ScenePredictions(Predictions):
    """Below `evaluation/predictions/NAME/`: `test.npz` with `cases` (C,), `bodies` (C,) in each, `state` (H, ΣN, 6)
    float32, `times` (H,) and `context`, the number of frames that were shown."""

    def write(self, split: str, start: Start, forecasts: Forecasts, times: Array) -> list[Path]:
        """Keep forecasts as they come; what of their time was spent on making them is counted."""
        cases: list[int] = []
        states: list[Array] = []
        begun = time.process_time()
        for some, fields in forecasts:
            cases += some
            states += [_trimmed(state) for state in fields["state"]]
        seconds = time.process_time() - begun
        frames = len(states[0])
        self._count(split + start.label, frames * len(cases), seconds)
        arrays = {
            "cases": np.array(cases),
            "bodies": np.array([state.shape[1] for state in states]),
            "state": np.concatenate(states, axis=1).astype(np.float32),
            "times": times[start.index + 1 :][:frames],
            "context": np.array(start.index + 1),
        }
        return [write_npz(self._file(split, start.label), arrays)]

    def read(
        self, split: str, start: Start, targets: Sequence[str], cases: Sequence[int], batch_cases: int
    ) -> Iterator[tuple[Sequence[int], Fields]]:
        """The kept forecasts, at most `batch_cases` cases at a time, padded to the largest of them.

        Raises:
            DataError: The file is missing or damaged.
        """
        states, _ = self._states(split, start.label)
        for first in range(0, len(cases), batch_cases):
            some = cases[first : first + batch_cases]
            yield some, {"state": padded_states([states[case] for case in some])[0]}

    def one(self, split: str, case: int, label: str, targets: Sequence[str]) -> dict[str, Any]:
        """The kept forecast of one case: `state` (H, N, 6), `times` (H,), `context` (a number).

        Raises:
            DataError: The file is missing or damaged.
        """
        states, arrays = self._states(split, label)
        return {"state": states[case], "times": arrays["times"], "context": arrays["context"]}

    def speed(self) -> float | None:
        """Scene-frames per second of CPU time, reading included; None if it was not measured."""
        try:
            counted = list(self._counted().values())
            return float(sum(frames for frames, _ in counted) / sum(seconds for _, seconds in counted))
        except (OSError, ValueError, TypeError, AttributeError, ZeroDivisionError):
            return None

    def _file(self, split: str, label: str) -> Path:
        return self.folder / f"{split}{label}.npz"

    def _states(self, split: str, label: str) -> tuple[dict[int, Array], dict[str, Any]]:
        path = self._file(split, label)
        arrays = read_arrays(path, ["cases", "bodies", "state", "times", "context"])
        if arrays["state"].shape[1:] != (arrays["bodies"].sum(), 6) or len(arrays["cases"]) != len(arrays["bodies"]):
            raise DataError(f"{path}: its arrays do not fit together.", "`emulant evaluate` makes it anew.")
        parts = np.split(arrays["state"].astype(np.float64), np.cumsum(arrays["bodies"])[:-1], axis=1)
        return dict(zip(arrays["cases"].tolist(), parts, strict=True)), arrays

    def _count(self, what: str, scene_frames: int, seconds: float) -> None:
        """A clock does not belong into what is signed, so this is a file of its own."""
        before = self._counted() if (self.folder / SPEED).is_file() else {}
        write_json(self.folder / SPEED, {**before, what: [scene_frames, seconds]})

    def _counted(self) -> dict[str, list[float]]:
        counted: dict[str, list[float]] = orjson.loads((self.folder / SPEED).read_bytes())
        return counted


def _trimmed(state: Array) -> Array:
    """(H, N, 6) without the padding at its end, which is zero throughout."""
    there = np.flatnonzero(state.any(axis=(0, 2)))
    return state[:, : there[-1] + 1 if there.size else 0]

"""What evaluation asks of emulators: the inputs handed over, the prediction made, the answer checked and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import read_arrays
from emulant.dataset.seams import Array, Dataset, EmulationOracle, Emulator, Fields, Inputs
from emulant.dataset.seeds import stream
from emulant.errors import DataError, SurrogateError
from emulant.evaluation.forecasts import Forecasts, Start, parameters
from emulant.evaluation.predictions import Signed

CASE = "case"


def inputs(dataset: Dataset, cases: Sequence[int]) -> Inputs:
    """What an emulator may see of the given cases: every field but the targets, and the parameters."""
    names = [name for name in dataset.schema if name not in dataset.targets]
    return Inputs(dataset.read(names, cases), dataset.geometry, parameters(dataset, cases))


def emulate(
    model: Emulator | EmulationOracle,
    dataset: Dataset,
    *,
    samples: int = 1,
    seed: int = 0,
    name: str = "",
    batch_cases: int = 64,
) -> Forecasts:
    """The predictions of a model for a whole split, at most `batch_cases` cases at a time.

    Args:
        model: What predicts. Only an oracle is given the truth.
        samples: Draws that are asked for.
        seed: Of the study.
        name: What errors call the model.

    Yields:
        Case numbers and the target fields, (C, S, ...) each. Infinite values are let through: they are scored.

    Raises:
        SurrogateError: A field is missing, has the wrong shape or type, or holds NaN ("not put out").
    """
    name = name or type(model).__name__
    numbers = dataset.cases["case"].to_list()
    for first in range(0, len(numbers), batch_cases):
        cases = tuple(numbers[first : first + batch_cases])
        given, truth = inputs(dataset, cases), dataset.read(dataset.targets, cases)
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is scored, not raised
            if isinstance(model, Emulator):
                chance = int(stream(seed, "rollout", first).integers(2**31))
                answer: Fields = model.predict(given, samples=samples, seed=chance)
            else:
                answer = model.predict_with_truth(given, truth)
        yield cases, {target: _checked(answer, target, truth[target], samples, name) for target in dataset.targets}


def _checked(answer: Fields, target: str, truth: Array, samples: int, name: str) -> Array:
    if target not in answer:
        raise SurrogateError(f"{name}: the prediction has no field '{target}'.", "It must put out every target field.")
    array = np.asarray(answer[target])
    allowed = [(len(truth), draws, *truth.shape[1:]) for draws in (samples, 1)]
    if array.shape not in allowed:
        raise SurrogateError(
            f"{name}: predicted field '{target}' has shape {array.shape}.",
            f"It must be {allowed[0]}: cases, draws (or one), then the field.",
        )
    missing = np.isnan(array).reshape(len(array), -1).any(axis=1)
    if missing.any():
        raise SurrogateError(
            f"{name}: no prediction (NaN) of '{target}' for {missing.sum()} of {len(array)} cases.",
            "An emulator must put out every case; one that diverges puts out inf.",
        )
    return array


@dataclass(frozen=True)
class Emulations(Signed):
    """What one emulator has put out, below `evaluation/predictions/NAME/SPLIT/`: an NPZ of the target fields
    (C, S, ...) and the numbers of their cases, for every so many cases."""

    def write(self, split: str, start: Start, predictions: Forecasts, times: Array) -> list[Path]:
        written = []
        for number, (cases, fields) in enumerate(predictions):
            path = self.folder / split / f"{number:05d}.npz"
            written.append(write_npz(path, {CASE: np.array(cases), **fields}, durable=False))
        return written

    def read(
        self, split: str, start: Start, targets: Sequence[str], cases: Sequence[int], batch_cases: int
    ) -> Iterator[tuple[Sequence[int], Fields]]:
        """The kept predictions, as they were made.

        Raises:
            DataError: A file is missing or damaged.
        """
        for path in self._files(split):
            arrays = read_arrays(path, [CASE, *targets])
            yield arrays.pop(CASE).tolist(), arrays

    def one(self, split: str, case: int, label: str, targets: Sequence[str]) -> dict[str, Any]:
        """The kept prediction of one case: the target fields (S, ...).

        Raises:
            DataError: It is not there, or its file is damaged.
        """
        for path in self._files(split):
            if case in (numbers := read_arrays(path, [CASE])[CASE].tolist()):
                row = numbers.index(case)
                return {name: array[row] for name, array in read_arrays(path, targets).items()}
        raise DataError(f"{self.folder}: no prediction of {split} case {case}.", "`emulant evaluate` makes it.")

    def _files(self, split: str) -> list[Path]:
        return [path for path in self.files() if path.parent.name == split]

"""A system for tests whose surrogates map a state to a state: a vector, turned and stretched, with noise that the
surrogate may only guess. Half of the training cases of the family `bare` have no label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import read_arrays
from emulant.dataset.seams import CaseResult, Dataset, Field, Inputs, Learner, Metric
from emulant.dataset.seeds import case_stream
from emulant.dataset.tables import DataConfig, SplitsTable, Table
from emulant.evaluation.table import EmulationTable
from emulant.systems.base import BaseSystem

TURN = np.array([[0.0, -2.0], [2.0, 0.0]])
NOISE = 0.1
WAVES = (1.0, 2.5)


class Zero:
    """Puts out zero."""

    Config = Table

    def __init__(self, config: Any) -> None:
        self.config = config

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        pass

    def predict(self, inputs: Inputs, *, samples: int = 1, seed: int = 0) -> dict[str, Any]:
        return {"after": np.zeros((len(inputs), 1, 2))}

    def save(self, folder: Path) -> list[Path]:
        return []

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self:
        return cls(config)


class Fitted(Zero):
    """Least squares, and draws about it."""

    matrix: Any = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        arrays = train.read(["before", "after"])
        known = np.isfinite(arrays["after"]).all(axis=1)
        self.matrix = np.linalg.lstsq(arrays["before"][known], arrays["after"][known], rcond=None)[0].T

    def predict(self, inputs: Inputs, *, samples: int = 1, seed: int = 0) -> dict[str, Any]:
        assert "after" not in inputs.fields
        mean = inputs.fields["before"] @ self.matrix.T
        noise = np.random.default_rng(seed).normal(scale=NOISE, size=(samples, *mean.shape))
        return {"after": np.swapaxes(mean + noise, 0, 1)}

    def save(self, folder: Path) -> list[Path]:
        return [write_npz(folder / "matrix.npz", {"matrix": self.matrix})]

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self:
        made = cls(config)
        made.matrix = read_arrays(folder / "matrix.npz", ["matrix"])["matrix"]
        return made


class Truth(Zero):
    """The truth itself."""

    predict: ClassVar[None] = None  # type: ignore[assignment]

    def predict_with_truth(self, inputs: Inputs, truth: Mapping[str, Any]) -> dict[str, Any]:
        return {"after": np.nan_to_num(truth["after"])[:, None]}


def square(truth: Any, prediction: Any, info: Any) -> Any:
    return ((prediction["after"].mean(axis=1) - truth["after"]) ** 2).mean(axis=1)


def lengths(truth: Any, prediction: Any, info: Any) -> Any:
    return np.stack([np.linalg.norm(array, axis=-1) for array in (prediction["after"].mean(axis=1), truth["after"])])


def in_waves(truth: Any, prediction: Any, info: Any) -> Any:
    return np.outer(square(truth, prediction, info), WAVES)


def draws(truth: Any, prediction: Any, info: Any) -> Any:
    return np.full(len(truth["after"]), float(prediction["after"].shape[1]))


def size(truth: Any, prediction: Any, info: Any) -> Any:
    return info["probe"]["size"]


def probe(name: str, model: Any, dataset: Dataset, evaluation: Any) -> dict[str, Any]:
    return {
        "size": np.full(len(dataset), np.nan if getattr(model, "matrix", None) is None else abs(model.matrix).max())
    }


class TurnSplits(SplitsTable):
    training: int = 40
    test: int = 12


class TurnTable(Table):
    name: str = "turn"


class TurnConfig(DataConfig):
    system: TurnTable = TurnTable()
    splits: TurnSplits = TurnSplits()


class Turn(BaseSystem):
    """Vectors that are turned."""

    name = "turn"
    summary = "Vectors that are turned, for tests."
    task = "emulation"
    Config = TurnConfig
    Evaluation = EmulationTable
    headline = "rms"
    fields: Mapping[str, Field] = {"before": Field("<f8", ("axis",)), "after": Field("<f8", ("axis",), optional=True)}
    targets = ("after",)
    surrogates: Mapping[str, Learner] = {"fitted": Learner(Table, Fitted)}
    baselines: Mapping[str, Learner] = {"zero": Learner(Table, Zero)}
    oracles: Mapping[str, Learner] = {"truth": Learner(Table, Truth)}
    probe = "emulation:probe"
    metrics: ClassVar[Mapping[str, Metric]] = {  # type: ignore[misc]
        "rms": Metric(square, "1", "error", "lower", aggregate="rms"),
        "worst": Metric(square, "1", "largest squared error", "lower", aggregate="max"),
        "q95": Metric(square, "1", "squared error", "lower", aggregate="q95"),
        "bias": Metric(lengths, "1", "length", "lower", 1.0, aggregate="ratio"),
        "waves": Metric(in_waves, "1", "error by wave", "lower", horizons=WAVES),
        "draws": Metric(draws, "1", "draws", "lower"),
        "size": Metric(size, "1", "largest entry", "higher", horizons=()),
    }

    def simulate_case(self, split: str, case: int, config: Any) -> CaseResult:
        rng = case_stream(config.seed, split, case)
        before = rng.normal(size=2)
        after = TURN @ before + rng.normal(scale=NOISE, size=2)
        bare = case % 4 == 3
        if bare:
            after[:] = np.nan
        return CaseResult(case, {"before": before, "after": after}, {"family": "bare" if bare else "full"})

    def describe(self, dataset: Dataset, evaluation: Any, folder: Path) -> pl.DataFrame:
        far = np.linalg.norm(dataset.read(["before"])["before"], axis=1) > 1
        return dataset.cases.with_columns(groups=pl.Series([["far", "any"] if each else ["any"] for each in far]))


system = Turn()

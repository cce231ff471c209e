from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from emulant.dataset.npz import ArrayDataset
from emulant.dataset.seams import Array, Context, Field, Fields, Forecaster
from emulant.errors import SurrogateError
from emulant.surrogates.tables import PodMvarTable, TuningTable
from emulant.systems.swarm.pod_mvar import SwarmPodMvar as PodMvar

FAMILIES = ("uniform", "gaussian_cluster", "ring", "two_clusters")
SHAPE = (10, 14)


@dataclass(frozen=True)
class Memory(ArrayDataset):
    arrays: Fields = field(default_factory=dict)

    def load(self, path: Path, fields: Sequence[str]) -> dict[str, Array]:
        return {name: self.arrays[name] for name in fields}


def blobs(cases: int, seed: int, frames: int = 16) -> Memory:
    """Two blobs per case that travel on a torus, in a little noise: a wave that a few modes and lags almost carry."""
    rng = np.random.default_rng(seed)
    start, velocity = rng.uniform(0, 1, (cases, 1, 2, 2)), rng.normal(0, 0.02, (cases, 1, 2, 2))
    centre = start + velocity * np.arange(frames)[None, :, None, None]
    y, x = (((np.arange(n) + 0.5) / n)[:, None] for n in SHAPE)
    profile = [np.exp((np.cos(2 * np.pi * (g - centre[..., None, :, i])) - 1) / 0.4) for i, g in enumerate((x, y))]
    rho = np.einsum("ctyb,ctxb->ctyx", profile[1], profile[0]) + 0.01 * rng.normal(size=(cases, frames, *SHAPE))
    rows = [
        {"case": c, "split": "training", "group_key": f"training/{c}", "family": FAMILIES[c % 4], "status": "ok"}
        for c in range(cases)
    ]
    schema = {"rho": Field("<f8", ("time", "y", "x"))}
    files = {case: (Path("memory"), case) for case in range(cases)}
    geometry = {"step": 0.1, "nx": np.int64(14), "ny": 10}
    return Memory("training", pl.DataFrame(rows), schema, ("rho",), geometry, files, {"rho": rho})


def seen(data: Memory, frames: int = 4) -> Context:
    return Context({"rho": data.arrays["rho"][:, :frames].copy()}, 0.1 * np.arange(frames), 0.1, data.geometry)


def r2(forecast: Array, truth: Array) -> float:
    mean = truth.mean(axis=(1, 2, 3), keepdims=True)
    missed = ((forecast - truth) ** 2).sum(axis=(1, 2, 3)) / ((truth - mean) ** 2).sum(axis=(1, 2, 3))
    return float(np.mean(1 - missed))


SMALL = TuningTable(ranks=(3, 6, 12), lags=(1, 2, 4), ridges=(1e-6, 1e-2, 1.0), folds=3)


@pytest.fixture(scope="module")
def training() -> Memory:
    return blobs(30, 0)


@pytest.fixture(scope="module")
def held_out() -> Memory:
    return blobs(12, 1)


def fitted(training: Memory, **settings: object) -> PodMvar:
    model = PodMvar(PodMvarTable.model_validate(settings))
    assert isinstance(model, Forecaster)
    model.fit(training)
    return model


def test_the_defaults_are_the_documents() -> None:
    table = PodMvarTable()
    assert (table.energy, table.lag, table.ridge, table.rank, table.intercept) == (0.995, 4, 1e-6, None, False)
    assert table.tune is None
    assert not table.blend


def test_the_folder_is_the_documents_and_gives_the_same_r2(training: Memory, held_out: Memory, tmp_path: Path) -> None:
    """The rollout in a few lines of numpy, from the two files alone."""
    model = fitted(training)
    written = model.save(tmp_path)
    assert [path.name for path in written] == [
        "pod_model.npz", "mvar_model.npz", "training_metadata.json", "index_mapping.csv",
    ]  # fmt: skip
    assert set(tmp_path.iterdir()) == set(written)
    pod, mvar = (np.load(tmp_path / name, allow_pickle=False) for name in ("pod_model.npz", "mvar_model.npz"))
    truth, forecast = held_out.arrays["rho"][:, 4:], []
    for case in held_out.arrays["rho"]:
        y = [(frame.reshape(-1) - pod["mean"]) @ pod["U"] for frame in case[:4]]
        for _ in range(12):
            y.append(sum(mvar["A_matrices"][k] @ y[-1 - k] for k in range(mvar["p"])))
        forecast.append([(pod["U"] @ code + pod["mean"]).reshape(SHAPE) for code in y[4:]])
    reported = r2(model.forecast(seen(held_out), 12)["rho"], truth)
    assert r2(np.array(forecast), truth) == pytest.approx(reported, abs=1e-9)
    assert {*mvar.files} == {"A_matrices", "p", "alpha", "train_r2", "train_rmse"}
    assert mvar["A_matrices"].shape == (4, pod["R_POD"], pod["R_POD"])
    assert pod["energy"] >= pod["target_energy"] == 0.995


def test_metadata_and_index_tell_what_it_was_trained_on(training: Memory, tmp_path: Path) -> None:
    model = fitted(training)
    model.save(tmp_path)
    metadata = json.loads((tmp_path / "training_metadata.json").read_text())
    assert metadata["N_train"] == 30
    assert metadata["IC_distribution"] == {"uniform": 8, "gaussian_cluster": 8, "ring": 7, "two_clusters": 7}
    assert metadata["config"]["surrogate"]["ridge"] == 1e-6
    assert metadata["config"]["simulation"]["nx"] == 14
    assert model.model is not None
    assert metadata["spectral_radius"] == pytest.approx(model.model.forecaster.spectral_radius())
    with (tmp_path / "index_mapping.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30 * 16
    assert rows[17] == {"global_idx": "17", "run_name": "train_001", "ic_type": "gaussian_cluster", "time_idx": "1"}


@pytest.mark.parametrize("settings", [{}, {"blend": True, "folds": 3}, {"tune": SMALL, "intercept": True}])
def test_files_bring_it_back(training: Memory, held_out: Memory, tmp_path: Path, settings: dict[str, object]) -> None:
    model = fitted(training, **settings)
    model.save(tmp_path / "a")
    loaded = PodMvar.load(tmp_path / "a", model.config)
    assert loaded.lag == model.lag
    np.testing.assert_array_equal(loaded.forecast(seen(held_out), 40)["rho"], model.forecast(seen(held_out), 40)["rho"])
    written = loaded.save(tmp_path / "b")
    assert len(written) == 2
    for path in written:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()


def test_tuning_finds_what_rolls_out_best_on_cases_it_has_not_seen(
    training: Memory, held_out: Memory, tmp_path: Path
) -> None:
    truth, context = held_out.arrays["rho"][:, 4:], seen(held_out)
    tuned = fitted(training, tune=SMALL)
    score = r2(tuned.forecast(context, 12)["rho"], truth)
    rivals = [
        r2(fitted(training, rank=rank, lag=lag, ridge=ridge).forecast(context, 12)["rho"], truth)
        for rank in SMALL.ranks for lag in SMALL.lags for ridge in SMALL.ridges
    ]  # fmt: skip
    assert score > np.median(rivals) + 0.05
    assert score > max(rivals) - 0.05
    tuned.save(tmp_path)
    chosen = json.loads((tmp_path / "training_metadata.json").read_text())["tuned"]
    assert tuned.lag == chosen["lag"]
    assert chosen["r2_on_folds"] == pytest.approx(score, abs=0.2)


def test_tuning_does_not_look_further_back_than_the_context() -> None:
    with pytest.raises(ValidationError, match=r"tune\.lags"):
        PodMvarTable(lag=2, tune=TuningTable(lags=(1, 4)))


def test_unblended_it_diverges_in_silence_and_blended_it_does_not(training: Memory, held_out: Memory) -> None:
    plain, blended = fitted(training, ridge=1e-9), fitted(training, ridge=1e-9, blend=True)
    assert plain.model is not None
    if plain.model.forecaster.spectral_radius() > 1:
        assert not np.isnan(plain.forecast(seen(held_out), 15_000)["rho"]).any()
    long = blobs(12, 1, frames=80)
    truth = long.arrays["rho"][:, 4:]
    climate = np.broadcast_to(training.arrays["rho"].mean(axis=(0, 1)), truth.shape)
    forecast = blended.forecast(seen(long), 76)["rho"]
    for horizon in range(1, 77):
        assert r2(forecast[:, :horizon], truth[:, :horizon]) >= r2(climate[:, :horizon], truth[:, :horizon])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("mvar_model.npz", "", "mvar_model"),
        ("pod_model.npz", None, "pod_model"),
    ],
)
def test_damaged_files_are_named(training: Memory, tmp_path: Path, name: str, content: str | None, says: str) -> None:
    fitted(training).save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(SurrogateError, match=says) as caught:
        PodMvar.load(tmp_path)
    assert name in str(caught.value)


def test_models_that_do_not_fit_together_are_refused(training: Memory, tmp_path: Path) -> None:
    fitted(training, rank=5).save(tmp_path / "a")
    fitted(training, rank=6).save(tmp_path / "b")
    (tmp_path / "a" / "pod_model.npz").write_bytes((tmp_path / "b" / "pod_model.npz").read_bytes())
    with pytest.raises(SurrogateError, match="5 modes"):
        PodMvar.load(tmp_path / "a")


def test_contexts_that_do_not_fit_are_refused(training: Memory, held_out: Memory) -> None:
    model = fitted(training)
    with pytest.raises(SurrogateError, match="3 frames"):
        model.forecast(seen(held_out, 3), 1)
    with pytest.raises(SurrogateError, match="grid"):
        model.forecast(Context({"rho": np.ones((1, 4, 14, 10))}, np.arange(4.0), 0.1), 1)
    with pytest.raises(SurrogateError, match="not fitted"):
        PodMvar().forecast(seen(held_out), 1)


def test_files_made_elsewhere_need_only_the_documented_keys(training: Memory, held_out: Memory, tmp_path: Path) -> None:
    model = fitted(training)
    model.save(tmp_path)
    for name, keys in {
        "pod_model.npz": ("U", "S", "mean", "energy", "R_POD", "target_energy"),
        "mvar_model.npz": ("A_matrices", "p"),
    }.items():
        with np.load(tmp_path / name) as file:
            arrays = {key: file[key] for key in keys}
        np.savez(tmp_path / name, **arrays)
    loaded = PodMvar.load(tmp_path)
    np.testing.assert_array_equal(loaded.forecast(seen(held_out), 9)["rho"], model.forecast(seen(held_out), 9)["rho"])
    with pytest.raises(SurrogateError, match="grid"):
        loaded.forecast(Context({"rho": np.ones((1, 4, 3, 10))}, np.arange(4.0), 0.1), 1)

"""The pendulum from simulator to report, as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emulant.cli import main

LIGHT = ["--set", "report.films=false", "--set", "evaluation.lyapunov_time=5.0", "--set", "training.max_epochs=2"]
LIGHT += ["--set", "evaluation.surrogate_lyapunov_time=2.0"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pendulum") / "run"
    assert main(["run", "pendulum:smoke", "-o", str(folder), "--quiet", "--workers", "1", *LIGHT]) == 0
    return folder


def test_it_ends_in_a_report_with_every_model_beside_every_baseline(run: Path) -> None:
    metrics = pl.read_csv(run / "evaluation" / "metrics.csv")
    assert set(metrics["model"]) == {"lstm", "lagrangian", "persistence", "linear", "ngrc"}
    for name in (
        "vpt_nrse_0.4",
        "vpt_nrse_0.5",
        "vpt_smape_30",
        "cme",
        "energy_drift",
        "rmse_theta1",
        "rmse_theta2_dot",
    ):
        assert metrics.filter(metric=name, group="all", horizon="all").height == 5
    assert set(metrics["group"]) <= {"all", "chaotic", "regular"}
    for name in ("lyapunov_surrogate", "lyapunov_true"):
        rows = metrics.filter(metric=name, group="all")
        assert set(rows["model"]) == {"lstm", "lagrangian"}  # the baselines are not trained maps
        assert rows["n"].to_list() == [8, 8]
    assert "Lyapunov" in (run / "report.html").read_text()


def test_scores_follow_from_the_stored_predictions(run: Path) -> None:
    metrics = pl.read_csv(run / "evaluation" / "metrics.csv")
    truth = pl.read_parquet(run / "test" / "*.parquet").sort("sim_id", "t")
    kept = pl.read_parquet(run / "evaluation" / "predictions" / "lstm.parquet").sort("sim_id", "t")
    both = kept.join(truth, on=["sim_id", "t"], suffix="_true")
    assert len(both) == len(kept) == 8 * 61
    error = both["theta1"] - both["theta1_true"]
    wrapped = np.angle(np.exp(1j * error.to_numpy()))
    reported = metrics.filter(model="lstm", metric="rmse_theta1", group="all", horizon="all")["value"][0]
    assert np.sqrt(np.mean(wrapped**2)) == pytest.approx(reported, rel=1e-9)


def test_exponents_are_kept_and_agree_with_the_groups(run: Path) -> None:
    table = pl.read_csv(run / "evaluation" / "lyapunov.csv")
    assert len(table) == 8
    chaotic = table.filter(pl.col("lyapunov_1") > 0.5)
    assert set(chaotic["group"]) <= {"chaotic"}
    counted = pl.read_csv(run / "evaluation" / "metrics.csv").filter(
        model="ngrc", metric="vpt_nrse_0.4", group="chaotic", horizon="all"
    )
    assert counted["n"].to_list() == ([len(chaotic)] if len(chaotic) else [])


def test_a_second_run_computes_nothing_and_validation_finds_nothing(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
    weights = (run / "models" / "lstm" / "model.json").read_bytes()
    assert main(["run", "pendulum:smoke", "-o", str(run), "--quiet", *LIGHT]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (run / "models" / "lstm" / "model.json").read_bytes() == weights
    capsys.readouterr()
    assert main(["validate", str(run), "--resimulate", "2"]) == 0, capsys.readouterr().out


def test_settings_of_training_compose_and_are_kept(run: Path) -> None:
    study = (run / "study.toml").read_text()
    assert "max_epochs = 2" in study
    card = json.loads((run / "models" / "lstm" / "model.json").read_text())
    assert card["config"]["training"]["max_epochs"] == 2
    assert card["config"]["hidden"] == 16
    curves = pl.read_csv(run / "logs" / "lstm" / "metrics.csv")
    assert curves["epoch"].to_list() == [1, 2]


def test_an_edited_trajectory_is_found(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    path = broken / "training" / "shard_00001.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert main(["validate", str(broken)]) == 1
    assert "shard_00001.parquet" in capsys.readouterr().out


def test_settings_of_training_reach_every_network_of_a_run(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "run"
    shutil.copytree(run, again)
    assert (
        main(["train", str(again), "--surrogate", "lstm", "--set", "surrogates.lstm.training.max_epochs=3", "--quiet"])
        == 0
    )
    card = json.loads((again / "models" / "lstm" / "model.json").read_text())
    assert card["config"]["training"]["max_epochs"] == 3
    assert "max_epochs = 3" in (again / "study.toml").read_text()


def test_without_torch_it_is_refused_before_anything_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("emulant.dataset.seams.find_spec", lambda _name: None)
    assert main(["run", "pendulum:smoke", "-o", str(tmp_path / "run")]) == 2
    assert "pip install 'emulant[torch]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

"""The pendulum's sequence models on the swarm's POD coefficients: both systems go through one seam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emulant.cli import main
from emulant.dataset.npz import read_arrays
from emulant.runs import Run
from emulant.study import preset

SETTINGS = (
    "surrogates.latent_lstm.hidden=8",
    "surrogates.latent_lstm.training.max_epochs=3",
    "surrogates.latent_ngrc.rank=5",
    "surrogates.pod_mvar.enabled=false",
    "splits.test_long=0",
    "evaluation.warm_starts=[]",
    "report.films=false",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("latent") / "run"
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    assert main(["run", "swarm:smoke", "-o", str(folder), "--quiet", *words]) == 0
    return Run.open(folder)


def test_they_stand_on_the_leaderboard_beside_the_baselines(run: Run) -> None:
    rows = run.metrics.filter(metric="r2", group="all", horizon="all")
    models = dict(rows.select("model", "kind").iter_rows())
    assert {name for name, kind in models.items() if kind == "surrogate"} == {"spectral", "latent_lstm", "latent_ngrc"}
    assert np.isfinite(rows.filter(pl.col("kind") == "surrogate")["value"].to_numpy()).all()
    assert (run.folder.events.parent / "latent_lstm" / "metrics.csv").is_file()


def test_what_they_put_out_lies_in_the_span_of_their_modes(run: Run) -> None:
    """Forecasts are decoded from POD coefficients, so that nothing of them is outside the basis."""
    weights = read_arrays(run.folder.models / "latent_ngrc" / "ngrc.npz", ["pod_modes", "pod_mean"])
    modes, mean = weights["pod_modes"], weights["pod_mean"]
    assert 5 in modes.shape
    modes = modes if modes.shape[1] == 5 else modes.T
    rho = run.prediction("latent_ngrc", "test", 0)["rho"]
    residual = rho.reshape(len(rho), -1) - mean
    outside = residual - residual @ modes @ modes.T
    assert np.abs(outside).max() < 1e-9 * np.abs(rho).max()
    assert np.ptp(rho, axis=0).max() > 0


def test_the_study_file_shows_them(tmp_path: Path) -> None:
    """The commented tables of the plain study are tables that it takes."""
    text = preset("swarm").read_text(encoding="utf-8")
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("# [surrogates.latent_lstm]"))
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("#"))
    opened = [line.removeprefix("# ") for line in lines[start:end]]
    path = tmp_path / "study.toml"
    path.write_text("\n".join([*lines[:start], *opened, *lines[end:]]), encoding="utf-8")
    from emulant import study

    loaded = study.load(str(path))
    assert {"latent_lstm", "latent_ngrc"} <= set(loaded.surrogates)

"""Sweeps of a system whose best value is known: nothing computed twice, nothing chosen on the test split."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
import tomli_w
import tuned

from emulant import api
from emulant import study as studies
from emulant.errors import UsageError
from emulant.sweeping.space import Range

TESTS = Path(__file__).parents[1]


@pytest.fixture
def logs(tmp_path):
    """Where simulations and fits are noted: what was noted since, by kind."""
    folder = tmp_path / "noted"
    folder.mkdir()

    def noted(start=""):
        return sorted(path.name.rpartition("_")[0] for path in folder.iterdir() if path.name.startswith(start))

    return folder, noted


@pytest.fixture
def study(logs):
    """The document of a study; tables by keyword."""

    def write(**tables):
        log = str(logs[0])
        own = {"system": {"name": "tuned", "log": log}, "splits": {"training": 8, "validation": 6, "test": 4}}
        both = {"surrogates": {"scaled": {"log": log}, "other": {"log": log, "scale": 3.0}}}
        rest = {"dataset": {"shard_cases": 2}, "evaluation": {"resamples": 1000}}
        document = {**own, **both, **rest}
        for name, table in tables.items():
            document[name] = {**document.get(name, {}), **table}
        return studies.from_document(document, "test", tuned.system)

    return write


def sweep(study, root, over, **options):
    with ThreadPoolExecutor(1) as executor:
        return api.sweep(study, root, over, executor=executor, **options)


def test_every_combination_is_run_and_the_best_is_named(tmp_path, study):
    over = {"surrogates.scaled.scale": [0.5, 1.0, 1.5], "surrogates.scaled.shift": [0.0, 0.5]}
    found = sweep(study(), tmp_path / "s", over, surrogates=["scaled"])
    assert [point.name for point in found.points][:2] == [
        "surrogates.scaled.scale=0.5,surrogates.scaled.shift=0.0",
        "surrogates.scaled.scale=0.5,surrogates.scaled.shift=0.5",
    ]
    assert dict(found.best.values) == {"surrogates.scaled.scale": 1.0, "surrogates.scaled.shift": 0.0}
    table = pl.read_csv(found.csv)
    assert table["point"].n_unique() == 6
    for point in found.points:
        own = pl.read_csv(point.run.folder.root / "evaluation" / "validation" / "metrics.csv")
        part = table.filter(point=point.name).select(own.columns)
        assert part.equals(own), "the table says what the points found"
    told = json.loads((tmp_path / "s" / "sweep.json").read_bytes())
    assert (told["best"], told["split"], told["metric"]) == (found.best.name, "validation", "rms")


def test_no_case_is_simulated_twice(tmp_path, study, logs):
    over = {"surrogates.scaled.scale": [0.5, 1.0], "splits.training": [4, 8], "system.noise": [0.1, 0.2]}
    found = sweep(study(), tmp_path / "s", over)
    per_noise = [f"training_{case}" for case in range(8)] + [f"validation_{case}" for case in range(6)]
    assert logs[1]("t") + logs[1]("v") == sorted(2 * per_noise)
    hashes = {tuple(point.values.values())[1:]: point.run.dataset_sha256("training") for point in found.points}
    assert len(set(hashes.values())) == 4, "another noise or another size is another dataset"
    shutil.rmtree(found.points[0].run.folder.root)
    assert found.points[1].run.dataset("training").read(["before"])["before"].shape == (4, 2)


def test_a_model_that_no_key_changes_is_fitted_once(tmp_path, study, logs):
    found = sweep(study(), tmp_path / "s", {"surrogates.scaled.scale": [0.5, 1.0, 1.5]})
    assert len(logs[1]("fit")) == 4, "`scaled` three times, `other` once"
    values = found.frame.filter(model="other", metric="rms", group="all")["value"].unique()
    assert len(values) == 1


def test_points_that_are_compared_on_validation_have_no_test_data(tmp_path, study, logs):
    found = sweep(study(), tmp_path / "s", {"surrogates.scaled.scale": [0.5, 1.0]})
    assert not any((point.run.folder.root / "test").exists() for point in found.points)
    assert not logs[1]("test_")
    assert found.frame["split"].unique().to_list() == ["validation"]
    best = found.best.run
    api.run(best.study, best.folder.root, workers=1, listen=lambda *_: None)
    assert len(logs[1]("test_")) == 4
    assert len(logs[1]("t")) - 4 + len(logs[1]("v")) == 14, "the rest is there already"
    assert api.open(best.folder.root, system=tuned.system).metrics["split"].unique().to_list() == ["test"]


def test_the_second_call_computes_nothing(tmp_path, study, logs):
    over = {"surrogates.scaled.scale": [0.5, 1.0]}
    first = sweep(study(), tmp_path / "s", over)
    before, table = sorted(logs[0].iterdir()), first.csv.read_bytes()
    second = sweep(study(), tmp_path / "s", over)
    assert (sorted(logs[0].iterdir()), second.csv.read_bytes()) == (before, table)


def test_several_jobs_share_a_grid(tmp_path, study):
    over = {"surrogates.scaled.scale": [0.5, 1.0, 1.5]}
    part = sweep(study(), tmp_path / "s", over, only=range(1, 2))
    assert [part.state(point) for point in part.points] == ["missing", "done", "missing"]
    rest = sweep(study(), tmp_path / "s", over, only=range(2, 9))
    assert [rest.state(point) for point in rest.points] == ["missing", "done", "done"]
    with pytest.raises(UsageError, match="3 points, from 0"):
        sweep(study(), tmp_path / "s", over, only=range(3, 4))


def test_a_point_that_fails_is_told_and_the_others_finish(tmp_path, study):
    given = study(surrogates={"scaled": {"fault": 1.0}})
    found = sweep(given, tmp_path / "s", {"surrogates.scaled.scale": [0.5, 1.0, 1.5]})
    assert [found.state(point) for point in found.points] == ["done", "failed", "done"]
    assert found.failures == {"surrogates.scaled.scale=1.0": "the loss is not finite. Lower the scale."}
    assert "the loss is not finite" in found.page.read_text()


def test_the_page_needs_nothing_else(tmp_path, study):
    page = sweep(study(), tmp_path / "s", {"surrogates.scaled.scale": [0.5, 1.0, 2.0]}).page.read_text()
    assert page.count("<img") == 2, "every point, and the score along the key"
    for foreign in ("http://", "https://", "<script", 'src="/', "url("):
        assert foreign not in page
    assert "does not beat" not in page
    assert "beats the best baseline" in page


def test_a_key_of_training_reaches_the_tables_of_single_surrogates(tmp_path):
    from emulant.sweeping.points import Base

    base = Base(studies.read("flavor:source"), "flavor:source")
    for rate in (1e-5, 5e-6):
        chosen = base.study({"training.learning_rate": rate}).surrogates
        assert {name: choice.config.schedule().learning_rate for name, choice in chosen.items()} == {
            "mixing": rate,
            "multitask": rate,
        }


def test_without_a_validation_split_a_grid_says_what_its_scores_are_not(tmp_path, study):
    given = study(splits={"training": 8, "validation": 0, "test": 4})
    found = sweep(given, tmp_path / "s", {"surrogates.scaled.scale": [0.5, 1.0]})
    assert found.split == "test"
    assert "has no test left" in found.page.read_text()


# -- searches -------------------------------------------------------------------------------------------------------

SCALES = {"surrogates.scaled.scale": Range(0.25, 4.0, log=True)}


@pytest.fixture(autouse=True)
def _optuna(request):
    if "search" in request.node.name:
        pytest.importorskip("optuna", reason="there is no Optuna: pip install 'emulant[sweep]'")


def test_a_search_finds_the_best_value(tmp_path, study):
    found = sweep(study(), tmp_path / "s", SCALES, optimize="rms", trials=12)
    assert len(found.points) == 12
    assert abs(found.best.values["surrogates.scaled.scale"] - 1) < 0.25
    ranked = {point.name: found.score(point).value for point in found.points}
    assert found.best.name == min(ranked, key=ranked.get)


def test_a_search_goes_on_as_if_it_had_never_stopped(tmp_path, study):
    whole = sweep(study(), tmp_path / "whole", SCALES, optimize="rms", trials=6)
    for trials in (2, 6):
        parts = sweep(study(), tmp_path / "parts", SCALES, optimize="rms", trials=trials)
    assert [dict(point.values) for point in parts.points] == [dict(point.values) for point in whole.points]
    assert parts.csv.read_bytes() == whole.csv.read_bytes()


@pytest.mark.parametrize(
    ("changes", "optimize", "told"),
    [
        ({"splits": {"training": 8, "validation": 0, "test": 4}}, "rms", "must never see the test split"),
        ({}, "test_rms", "there is no such metric"),
        ({}, "r2", "there is no such metric"),
    ],
)
def test_a_search_never_sees_the_test_split(tmp_path, study, changes, optimize, told):
    with pytest.raises(UsageError, match=told):
        sweep(study(**changes), tmp_path / "s", SCALES, optimize=optimize, trials=2)
    assert not (tmp_path / "s" / "points").exists()


def test_a_search_must_know_whose_score_counts_and_whose_journal_it_writes(tmp_path, study):
    with pytest.raises(UsageError, match="which surrogate's score counts"):
        sweep(study(), tmp_path / "s", {"system.noise": Range(0.1, 0.2)}, optimize="rms", trials=1)
    sweep(study(), tmp_path / "s", SCALES, optimize="rms", trials=1)
    with pytest.raises(UsageError, match="of another search"):
        sweep(study(), tmp_path / "s", SCALES, optimize="worst", trials=1)


def test_a_search_goes_on_past_a_trial_that_fails(tmp_path, study):
    over, given = {"surrogates.scaled.scale": [1.0, 2.0]}, study(surrogates={"scaled": {"fault": 1.0}})
    found = sweep(given, tmp_path / "s", over, optimize="rms", trials=6)
    assert found.best.values["surrogates.scaled.scale"] == 2.0
    assert "failed" in {found.state(point) for point in found.points}
    again = sweep(given, tmp_path / "s", over, optimize="rms", trials=6)
    assert again.failures == found.failures, "a failed trial is not tried again"


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path):
    """`emulant sweep` on a study file, in a process of its own."""
    described = tmp_path / "tuned-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: tuned\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[emulant.systems]\ntuned = tuned:system\n")
    file = tmp_path / "tuned.toml"
    document = {
        "system": {"name": "tuned", "seconds": 0.02},
        "splits": {"training": 8, "validation": 6},
        "surrogates": {"scaled": {}},
        "evaluation": {"resamples": 1000},
    }
    file.write_text(tomli_w.dumps(document))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{TESTS}"}

    def start(root, *options):
        words = [sys.executable, "-m", "emulant", "sweep", str(file), "-o", str(root), *options]
        return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.mark.soak
def test_a_killed_search_ends_as_one_that_was_not(tmp_path, command):
    options = ("--over", "system.noise=0.0..1.0", "--optimize", "rms", "--trials", "5", "--workers", "1")
    calm = command(tmp_path / "calm", *options)
    killed = command(tmp_path / "killed", *options)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / "points" / "trial=2").is_dir():
        assert killed.poll() is None, killed.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    again = command(tmp_path / "killed", *options)
    for process in (calm, again):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "The best of 5 points by rms on the validation split" in out
    for name in ("sweep.csv", "sweep.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--over", "training.learning_rat=1,2"], "did you mean training.learning_rate"),
        (["--over", "training.learning_rate=1e-3..1e-1"], "a range is for a search"),
        (["--over", "seed=1,2", "--optimize", "vpt"], "--optimize METRIC and --trials N go together"),
        (["--over", "seed=1,2", "--surrogate", "lstn"], "--surrogate lstn: the study has none of that name"),
        (["--over", "seed=1,2", "--engine", "slurm"], "`emulant submit"),
        (["--over", "seed=1,2", "--points", "x"], "--points x: is not a range"),
    ],
)
def test_wrong_usage_writes_nothing(tmp_path, emulant, options, told):
    code, _, err = emulant("sweep", "pendulum:smoke", "-o", tmp_path / "s", *options)
    assert (code, told in err) == (2, True), err
    assert not (tmp_path / "s").exists()

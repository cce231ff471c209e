"""From a study to scores: nothing of the test splits gets into the weights, and the tables say what they should."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from PIL import Image

from emulant import stages
from emulant import study as studies
from emulant.folder import RunFolder
from emulant.runs import Run
from emulant.systems.scenes.evaluation import DOCUMENTED
from emulant.systems.scenes.films import of_report
from emulant.systems.scenes.jsonlines import read_scene, write_scene
from emulant.systems.scenes.predictions import ScenePredictions
from emulant.systems.scenes.readers import title

STUDY = {
    "system": {"name": "scenes", "types": ["billiards", "projectile", "ramp_roll"], "frames": 35, "substeps": 4},
    "splits": {"training": 6, "validation": 2, "test": 3, "test_heldout": 3, "test_ood": 1},
    "surrogates": {
        "contact_graph": {
            "width": 8,
            "rounds": 1,
            "training": {"max_epochs": 2, "epoch_batches": 4, "batch_size": 8},
        }
    },
    "evaluation": {"resamples": 1000, "max_scenes_per_type": 2},
}
MODELS = {"persistence", "constant_velocity", "ballistic", "zero_change", "untrained", "resimulate", "contact_graph"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    opened = Run(RunFolder(tmp_path_factory.mktemp("scenes") / "run"), studies.from_document(STUDY, "test"))
    stages.generate(opened.study, opened.folder.root)
    stages.train(opened)
    stages.evaluate(opened)
    return opened


def test_weights_do_not_change_to_the_bit_when_the_test_splits_are_taken_away(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder.root, tmp_path / "run", ignore=shutil.ignore_patterns("test*", "models", "evaluation"))
    again = Run(RunFolder(tmp_path / "run"), run.study)
    assert not list(again.folder.root.glob("test*"))
    stages.train(again)
    one, other = (each.folder.models / "contact_graph" / "best.safetensors" for each in (run, again))
    assert one.read_bytes() == other.read_bytes()


def test_every_model_is_scored_on_every_split_type_category_and_difficulty(run: Run) -> None:
    scores = pl.read_csv(run.folder.metrics, infer_schema_length=None)
    assert set(scores["model"]) == MODELS
    groups = {split: set(part["group"]) for (split,), part in scores.group_by("split")}
    assert {"all", "billiards", "projectile", "category:collision", "difficulty:1", "contact"} <= groups["test"]
    assert groups["test_heldout"] == {"all", "ramp_roll", "category:ramp", "difficulty:1", "difficulty:2", "contact"}
    whole = scores.filter(split="test", group="all", horizon="all", metric="position_mse")
    assert set(whole["n"]) == {4}  # the first two scenes of each type
    assert scores.filter(metric="coverage")["value"].to_list() == pytest.approx(
        [1] * len(scores.filter(metric="coverage"))
    )


def test_laws_stand_in_their_order(run: Run) -> None:
    scores = pl.read_csv(run.folder.metrics, infer_schema_length=None)
    whole = scores.filter(split="test", group="all", horizon="all", metric="position_mse")
    value = dict(zip(whole["model"], whole["value"], strict=True))
    assert value["resimulate"] < 0.3
    assert value["untrained"] < value["ballistic"] < value["constant_velocity"] < value["persistence"]


def test_metrics_json_says_what_the_table_says(run: Run) -> None:
    document: Any = orjson.loads((run.folder.metrics.parent / "metrics.json").read_bytes())
    assert set(document) == MODELS
    assert set(document["ballistic"]) == {"billiards", "projectile", "ramp_roll"}
    scores = pl.read_csv(run.folder.metrics, infer_schema_length=None)
    for metric, name in DOCUMENTED.items():
        row = scores.filter(split="test_heldout", model="ballistic", group="ramp_roll", horizon="all", metric=metric)
        assert document["ballistic"]["ramp_roll"][name] == row["value"][0]


def test_kept_predictions_are_whole_and_have_a_speed(run: Run) -> None:
    kept = ScenePredictions(run.folder.predictions("contact_graph"))
    dataset = run.dataset("test_heldout")
    case = dataset.cases["case"][0]
    found = kept.one("test_heldout", case, "", ("state",))
    assert found["state"].shape == (20, dataset.cases["objects"][0], 6)
    assert int(found["context"]) == 10
    assert (kept.speed() or 0) > 10


def test_predict_says_of_a_file_what_evaluation_has_said_of_the_scene(run: Run, tmp_path: Path, emulant: Any) -> None:
    dataset = run.dataset("test")
    case = int(dataset.cases["case"][0])
    shown = dataset.recording(case)
    source, target = tmp_path / "scene.jsonl", tmp_path / "out.jsonl"
    write_scene(source, shown.scene, shown.state[:10])
    code, _, error = emulant("predict", run.folder.root, source, "-o", target)
    assert code == 0, error
    scene, state = read_scene(target)
    assert scene == shown.scene
    assert orjson.loads(target.read_bytes().splitlines()[1])["frame"] == 11
    kept = ScenePredictions(run.folder.predictions("contact_graph")).one("test", case, "", ("state",))["state"]
    np.testing.assert_allclose(state, kept, atol=0.02)  # px: what is stored, and what neighbours do to rounding


def test_predict_names_a_file_that_is_too_short(run: Run, tmp_path: Path, emulant: Any) -> None:
    dataset = run.dataset("test")
    shown = dataset.recording(int(dataset.cases["case"][0]))
    write_scene(tmp_path / "scene.jsonl", shown.scene, shown.state[:4])
    code, _, error = emulant("predict", run.folder.root, tmp_path / "scene.jsonl", "-o", tmp_path / "out.jsonl")
    assert code == 1
    assert "has 4 frames" in error


def test_kept_predictions_are_had_as_json_lines(run: Run, tmp_path: Path, emulant: Any) -> None:
    """As `predict` writes them: the header, and the frames after the context."""
    flags = ("--format", "predictions", "--types", "billiards", "-o", tmp_path / "said")
    code, _, error = emulant("export", f"{run.folder.root}/test", *flags)
    assert code == 0, error
    written = sorted((tmp_path / "said" / "contact_graph").iterdir())
    case = run.dataset("test").cases.filter(family="billiards")["case"][0]
    kept = run.prediction("contact_graph", "test", case)
    assert written[0].name == "billiards_scene_00000001.jsonl"
    lines = [orjson.loads(line) for line in written[0].read_text().splitlines()]
    assert [line["frame"] for line in lines[1:]] == list(range(11, 11 + len(kept["state"])))
    assert lines[1]["objects"][0]["position"]["x"] == pytest.approx(kept["state"][0, 0, 0], abs=0.006)


def test_the_document_s_tree_has_the_scenes_that_its_metrics_are_of(run: Run, tmp_path: Path, emulant: Any) -> None:
    target = tmp_path / "document"
    code, out, error = emulant("export", run.folder.root, "--format", "document", "-o", target)
    assert code == 0, error
    files = [path for path in target.rglob("*") if path.is_file()]
    assert f"{len(files)} files written" in out  # none over another
    model, case = run.best(), run.dataset("test").cases.filter(family="billiards")["case"][0]
    x = ScenePredictions(run.folder.predictions(model)).one("test", case, "", ("state",))["state"][0, 0, 0]
    shown = (target / "predictions" / "billiards_scene_00001.txt").read_text()
    assert shown.startswith(f"Frame 11: object 0 circle at ({x:.1f}, ")


def test_the_report_shows_the_median_and_the_worst_scene_unless_it_is_told_not_to(run: Run) -> None:
    films = of_report(run)
    assert [Path(film.file).stem for film in films] == [
        f"{name}_{split}" for split in ("test", "test_heldout") for name in ("median", "worst")
    ]
    scores = run.case_scores.filter(split="test", model=run.best(), metric="position_mse", start="")
    worst = scores.sort("value")["case"][-1]
    assert films[1].title.endswith(f": {title(worst)}")
    for film in films:
        with Image.open(run.folder.root / film.file) as moving:
            assert moving.n_frames == 30
        assert (run.folder.root / film.still).is_file()
    silent = studies.from_document({**STUDY, "evaluation": {**STUDY["evaluation"], "render": False}}, "test")
    assert of_report(Run(run.folder, silent)) == []


def test_comparisons_are_drawn_of_what_was_evaluated_and_the_rest_is_told(
    run: Run, tmp_path: Path, emulant: Any
) -> None:
    code, _, error = emulant("render", run.folder.root, "--comparisons", "--scenes", "2", "-o", tmp_path / "all")
    assert code == 0, error
    names = {f"{name}_cmp{end}.gif" for name in STUDY["system"]["types"] for end in ("", "_2")}
    assert {path.name for path in (tmp_path / "all").iterdir()} == names
    code, _, error = emulant("render", run.folder.root, "--comparisons", "--types", "billiards,tower", "-o", tmp_path)
    assert code == 2
    assert "no scene of tower was evaluated" in error

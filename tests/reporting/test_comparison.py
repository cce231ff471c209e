"""Runs side by side: what is compared, what is refused, and that differences are paired."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from emulant import stages
from emulant.cli import main
from emulant.dataset.atomic import write_json
from emulant.dataset.store import StoredFile
from emulant.reporting.page import LIMIT
from emulant.runs import Run, sealed, unsealed


@pytest.fixture(scope="module")
def other(smoke, tmp_path_factory):
    """The same data with another surrogate."""
    folder = tmp_path_factory.mktemp("compared") / "other"
    shutil.copytree(smoke, folder)
    settings = ["--set", "surrogates.pod_mvar.lag=2", "--set", "report.films=false"]
    assert main(["run", "swarm:smoke", "-o", str(folder), "--quiet", *settings]) == 0
    return folder


def shifted(smoke, folder, model, by):
    """A copy of a run in which every case of a model scores so much more, signed as evaluation signs it."""
    shutil.copytree(smoke, folder)
    wanted = (pl.col("model") == model) & (pl.col("metric") == "r2")
    for name, columns in {"cases": ["value"], "metrics": ["value", "ci_low", "ci_high"]}.items():
        path = folder / "evaluation" / f"{name}.csv"
        frame = pl.read_csv(path, schema_overrides={"horizon": pl.String} if name == "metrics" else None)
        moved = [pl.when(wanted).then(pl.col(column) + by).otherwise(pl.col(column)) for column in columns]
        frame.with_columns(moved).write_csv(path)
    path = folder / "evaluation" / "evaluation.json"
    card = unsealed(path.read_bytes())
    card["files"] = [StoredFile.of(folder / file["path"], folder).model_dump() for file in card["files"]]
    write_json(path, sealed(card))
    return folder


def cells(summary, model, board=0):
    return next(row for row in summary["boards"][board]["rows"] if row["model"] == model)["cells"]


def test_two_runs_of_the_same_data_are_compared_case_by_case(smoke, other, as_json, tmp_path):
    page = tmp_path / "compare.html"
    found = as_json("report", smoke, other, "-o", page)
    assert found["comparison"] == str(page)
    assert found["reference"] == "smoke"
    assert [row["same"] for row in found["data"]] == [True] * 3
    assert {"key": "surrogates.pod_mvar.lag", "values": {"smoke": "4", "other": "2"}} in found["study"]
    ours, theirs = cells(found, "pod_mvar")["smoke"], cells(found, "pod_mvar")["other"]
    difference = theirs["difference"]
    assert difference["value"] == pytest.approx(theirs["value"] - ours["value"], abs=1e-12)
    assert difference["low"] <= difference["value"] <= difference["high"]
    same = cells(found, "drift")["other"]["difference"]
    assert (same["value"], same["low"], same["high"], same["word"]) == (0, 0, 0, "equal")
    assert ours["difference"] is None
    text = page.read_text()
    assert len(page.read_bytes()) < LIMIT
    assert text.count("<figure>") == len(found["pictures"]) == 3
    assert "surrogates.pod_mvar.lag" in text
    assert 'href="figures' not in text  # the page is all there is


def test_differences_are_paired(smoke, as_json, tmp_path):
    """Each case is better by the same amount: then so is every draw of the bootstrap, however wide the intervals."""
    better = shifted(smoke, tmp_path / "better", "pod_mvar", 0.125)
    found = as_json("report", smoke, better, "-o", tmp_path / "x.html")
    cell = cells(found, "pod_mvar")["better"]
    assert cell["high"] - cell["low"] > 0.3
    told = cell["difference"]
    np.testing.assert_allclose([told["low"], told["value"], told["high"]], 0.125, atol=1e-12)
    assert told["word"] == "better"
    worse = as_json("report", better, smoke, "-o", tmp_path / "y.html")
    assert cells(worse, "pod_mvar")["smoke"]["difference"]["word"] == "worse"


def test_other_test_cases_give_no_difference(smoke, as_json, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(smoke, other)
    manifest = other / "test" / "manifest.json"
    card = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(card | {"dataset_sha256": "0" * 64}))
    found = as_json("report", smoke, other, "-o", tmp_path / "x.html")
    assert [board["paired"] for board in found["boards"]] == [[], [], ["other"]]
    assert cells(found, "spectral")["other"]["difference"] is None
    assert "No difference is given where the test cases are not the same" in (tmp_path / "x.html").read_text()


def test_as_markdown_the_figures_lie_beside_it(smoke, other, emulant, tmp_path):
    code, out, err = emulant("report", smoke, other, "-o", tmp_path / "side" / "compare.md", "--format", "md")
    assert code == 0, err
    assert str(tmp_path / "side" / "compare.md") in out
    text = (tmp_path / "side" / "compare.md").read_text()
    assert text.count("![") == 3
    for line in text.splitlines():
        if line.startswith("!["):
            assert (tmp_path / "side" / line.rpartition("(")[2].rstrip(")")).is_file()


def test_what_cannot_be_compared_is_refused(smoke, emulant, tmp_path):
    toy = tmp_path / "pendulum"
    toy.mkdir()
    (toy / "study.toml").write_text('[system]\nname = "pendulum"\n')
    cases = {
        ("is given twice",): (smoke, smoke, "-o", tmp_path / "x.html"),
        ("one of `swarm`", "compare those of one"): (smoke, toy, "-o", tmp_path / "x.html"),
        ("-o compare.html",): (smoke, toy),
        ("a comparison takes runs as they are",): (smoke, toy, "-o", tmp_path / "x", "--set", "report.films=false"),
        ("Name its folder",): (),
        ("the page of one run is",): (smoke, "-o", tmp_path / "x.html"),
    }
    for words, arguments in cases.items():
        code, _, err = emulant("report", *arguments)
        assert code == 2, err
        assert all(word in err for word in words), err
    assert not (tmp_path / "x.html").exists()


def test_scores_that_were_edited_are_not_compared(smoke, emulant, tmp_path):
    edited = tmp_path / "edited"
    shutil.copytree(smoke, edited)
    path = edited / "evaluation" / "metrics.csv"
    path.write_text(path.read_text().replace("0.9", "0.99", 1))
    code, _, err = emulant("report", smoke, edited, "-o", tmp_path / "x.html")
    assert code == 1
    assert "metrics.csv" in err


def test_one_run_as_markdown(smoke, as_json, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(smoke, copy)
    found = as_json("report", copy, "--format", "md")
    assert found["report"] == str(copy / "report.md")
    stages.report_as_markdown(Run.open(copy), tmp_path / "paper" / "appendix.md")
    assert (tmp_path / "paper" / "appendix.md").read_text() == (copy / "report.md").read_text()
    assert len(list((tmp_path / "paper" / "figures").glob("*.png"))) == (copy / "report.md").read_text().count("![")

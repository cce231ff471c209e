"""A run whose surrogates map a state to a state, from simulation to report, and what its scores are."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from emulation import NOISE, Fitted, Turn

from emulant import stages
from emulant.errors import SurrogateError
from emulant.study import from_document


class Here:
    """Shards, one after the other, in this process."""

    def run(self, shards, work):
        for shard in shards:
            yield work(shard)


DOCUMENT = {"system": {"name": "turn"}, "evaluation": {"samples": 3, "batch_cases": 5}, "surrogates": {"fitted": {}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    study = from_document(DOCUMENT, "test", Turn())
    return stages.run(study, tmp_path_factory.mktemp("turn") / "run", engine=Here())


def rows(run, **labels):
    return run.metrics.filter(**{"split": "test", "group": "all", **labels})


def value(run, **labels):
    (found,) = rows(run, **labels)["value"].to_list()
    return found


def by_hand(run, model):
    """Truth (C, 2) and the prediction (C, S, 2) of the labelled test cases."""
    dataset = run.dataset("test")
    truth = dataset.read(["after"])["after"]
    kept = np.stack([run.prediction(model, "test", case)["after"] for case in dataset.cases["case"]])
    known = np.isfinite(truth).all(axis=1)
    return truth[known], kept[known], np.linalg.norm(dataset.read(["before"])["before"], axis=1)[known]


def test_every_aggregate_follows_from_the_kept_predictions(run):
    truth, kept, _ = by_hand(run, "fitted")
    squares = ((kept.mean(axis=1) - truth) ** 2).mean(axis=1)
    lengths = np.linalg.norm(kept.mean(axis=1), axis=1).sum() / np.linalg.norm(truth, axis=1).sum()
    at = {"model": "fitted", "horizon": "all"}
    assert value(run, metric="rms", **at) == pytest.approx(np.sqrt(squares.mean()))
    assert value(run, metric="worst", **at) == squares.max()
    assert value(run, metric="q95", **at) == np.sort(squares)[int(np.ceil(0.95 * len(squares))) - 1]
    assert value(run, metric="bias", **at) == pytest.approx(lengths)
    assert rows(run, metric="bias", **at)["n"].to_list() == [9]  # three of twelve have no label


def test_the_surrogate_learns_and_the_oracle_is_exact(run):
    assert value(run, model="fitted", metric="rms", horizon="all") < 2 * NOISE
    assert value(run, model="truth", metric="rms", horizon="all") == 0
    assert value(run, model="zero", metric="rms", horizon="all") > 1
    assert value(run, model="fitted", metric="skill", horizon="all") > 0.8


def test_a_metric_may_have_an_axis_of_its_own_or_none(run):
    waves = rows(run, model="fitted", metric="waves")
    assert waves["horizon"].to_list() == ["1", "2.5"]
    assert waves["value"][1] == pytest.approx(2.5 * waves["value"][0])
    assert rows(run, model="fitted", metric="rms")["horizon"].to_list() == ["all"]
    assert rows(run, model="fitted", metric="size")["horizon"].to_list() == ["all"]


def test_as_many_draws_as_asked_for_and_one_of_what_is_deterministic(run):
    assert value(run, model="fitted", metric="draws", horizon="all") == 3
    assert value(run, model="zero", metric="draws", horizon="all") == 1
    first, second = (run.prediction("fitted", "test", case)["after"] for case in (0, 5))
    matrix = run.model("fitted").matrix
    before = run.dataset("test").read(["before"], [0, 5])["before"]
    noises = [first - matrix @ before[0], second - matrix @ before[1]]
    assert not np.allclose(*noises)  # cases of other batches have chance of their own


def test_a_case_may_be_in_several_groups(run):
    truth, kept, before = by_hand(run, "fitted")
    squares = ((kept.mean(axis=1) - truth) ** 2).mean(axis=1)
    far = run.metrics.filter(model="fitted", metric="rms", group="far", horizon="all")
    assert far["value"].to_list() == [pytest.approx(np.sqrt(squares[before > 1].mean()))]
    assert set(run.metrics["group"]) == {"all", "any", "far", "full", "bare"}
    assert run.metrics.filter(group="bare", metric="rms").is_empty()  # defined for no case
    assert run.metrics.filter(group="any", metric="rms", model="fitted")["value"][0] == pytest.approx(
        np.sqrt(squares.mean())
    )


def test_what_is_probed_is_kept_and_scored(run, monkeypatch):
    largest = np.abs(run.model("fitted").matrix).max()
    assert value(run, model="fitted", metric="size", horizon="all") == largest
    assert rows(run, model="zero", metric="size").is_empty()

    def broken(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(Turn, "probe", staticmethod(broken))
    stages.evaluate(run)
    run.folder.probe("fitted", "test").write_bytes(b"torn")
    with pytest.raises(AssertionError, match="measured again"):
        stages.evaluate(run)


def test_the_cases_table_has_ratios_not_numerators(run):
    truth, kept, _ = by_hand(run, "fitted")
    lengths = np.linalg.norm(kept.mean(axis=1), axis=1) / np.linalg.norm(truth, axis=1)
    found = run.case_scores.filter(pl.col("value").is_not_nan(), model="fitted", metric="bias")["value"].to_numpy()
    assert np.allclose(found, lengths)


def test_the_report_speaks_of_no_start_and_no_lead_time(run):
    page = run.folder.report_html.read_text()
    assert "cold start" not in page
    assert run.report["lead_times"] == []
    assert run.report["verdicts"][0]["tone"] == "good"


def test_missing_predictions_are_an_error(run, monkeypatch):
    monkeypatch.setattr(Fitted, "predict", lambda self, inputs, **_: {"after": np.full((len(inputs), 1, 2), np.nan)})
    study = from_document({**DOCUMENT, "evaluation": {"samples": 2}}, "test", Turn())
    with pytest.raises(SurrogateError, match="no prediction"):
        stages.run(study, run.folder.root, engine=Here())
    monkeypatch.setattr(Fitted, "predict", lambda self, inputs, **_: {"after": np.zeros((len(inputs), 2))})
    with pytest.raises(SurrogateError, match="cases, draws"):
        stages.run(study, run.folder.root, engine=Here())

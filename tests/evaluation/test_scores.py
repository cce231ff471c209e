from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.dataset.seams import Metric
from emulant.errors import DataError, EmulantError
from emulant.evaluation.forecasts import Start
from emulant.evaluation.metrics import field_metrics
from emulant.evaluation.scores import SCHEMA, CaseScores, read, reported_frames, score, tabulate, write
from emulant.evaluation.table import EvaluationTable

METRICS = field_metrics("rho")
TIMES = np.arange(1, 18) * 0.1
COLD, WARM = Start("", 3), Start("@1", 10)


def case_scores(model, kind, values, *, split="test", start=COLD, metric="r2", **others):
    """Scores of one model: `values` (C,) at every lead time, or (C, H)."""
    array = np.asarray(values, dtype=float)
    array = np.repeat(array[:, None], 17, axis=1) if array.ndim == 1 else array
    cases = tuple(range(100, 100 + len(array)))
    return CaseScores(split, model, kind, start, cases, TIMES[: array.shape[1]], {metric: array, **others})


def table_of(*scores, cases, headline="r2", seed=0, **options):
    splits = {each.split: cases for each in scores}
    return tabulate(scores, splits, headline, METRICS, EvaluationTable(**options), seed=seed)


def row(frame, **where):
    [found] = frame.filter(**{"horizon": "all", "group": "all", **where}).to_dicts()
    return found


@pytest.fixture
def cases(make_dataset):
    return make_dataset(cases=8).cases


def test_scores_of_a_model_come_from_its_forecasts_piece_by_piece(make_dataset):
    dataset = make_dataset(cases=5)
    rho = dataset.arrays["rho"]
    pieces = [((100, 101, 102), {"rho": rho[:3, 4:] + 0.1}), ((103, 104), {"rho": rho[3:, 4:] + 0.1})]
    scored = score(pieces, dataset, COLD, METRICS, model="off", kind="surrogate")
    assert scored.cases == (100, 101, 102, 103, 104)
    assert scored.times == pytest.approx(TIMES)
    assert set(scored.values) == {*METRICS, "diverged"}
    assert scored.values["rmse"] == pytest.approx(np.full((5, 17), 0.1))
    short = score([(cases, {"rho": fields["rho"][:, :4]}) for cases, fields in pieces], dataset, COLD, METRICS,
                  model="off", kind="surrogate")  # fmt: skip
    assert short.times == pytest.approx(TIMES[:4])


def test_a_metric_that_gives_the_wrong_shape_is_named(make_dataset):
    dataset = make_dataset(cases=2)
    wrong = {"slip": Metric(lambda truth, forecast, info: np.zeros(2), "1", "", "lower")}
    with pytest.raises(EmulantError, match="metric 'slip'"):
        score([((100, 101), {"rho": dataset.arrays["rho"][:, 4:]})], dataset, COLD, wrong, model="m", kind="baseline")


def test_means_over_all_and_over_each_family(cases):
    values = np.arange(8.0)
    frame = table_of(case_scores("m", "surrogate", values), case_scores("m", "surrogate", values, start=WARM),
                     cases=cases).frame  # fmt: skip
    assert frame.schema == SCHEMA
    assert set(frame["group"]) == {"all", "ring", "uniform", "all@1", "ring@1", "uniform@1"}
    assert row(frame)["value"] == 3.5
    assert row(frame)["n"] == 8
    assert row(frame, group="ring")["value"] == 3
    assert row(frame, group="uniform@1") | {"group": ""} == row(frame, group="uniform") | {"group": ""}
    assert row(frame, group="uniform")["n"] == 4
    assert 1 < row(frame)["ci_low"] < 2.5
    assert 4.5 < row(frame)["ci_high"] < 6


def test_every_lead_time_is_the_one_of_its_frame(cases):
    grown = np.repeat(np.arange(1, 18)[None] / 100, 8, axis=0)
    frame = table_of(case_scores("m", "surrogate", grown), cases=cases).frame.filter(group="all")
    assert frame["horizon"].to_list() == ["0.1", "0.2", "0.3", "0.5", "1", "1.7", "all"]
    assert frame["value"].to_list() == pytest.approx([0.01, 0.02, 0.03, 0.05, 0.1, 0.17, 0.17])


def test_undefined_cases_lower_n(cases):
    frame = table_of(case_scores("m", "surrogate", [1, 2, 3, np.nan, np.nan, 2, 2, 2]), cases=cases).frame
    assert row(frame)["value"] == 2
    assert row(frame)["n"] == 6


def test_skill_is_against_the_best_baseline_of_that_group_and_horizon(cases):
    by_family = np.tile([0.5, 0.1], 4)
    later = np.repeat(by_family[:, None], 17, axis=1)
    later[:, 12:] = -1
    result = table_of(
        case_scores("drift", "baseline", later),
        case_scores("persistence", "baseline", np.full(8, 0.2)),
        case_scores("spectral", "surrogate", np.full(8, 0.8)),
        case_scores("ceiling", "oracle", np.full(8, 0.99)),
        cases=cases,
    )
    best = {(each["group"], each["horizon"]): each["baseline"] for each in result.best.to_dicts()}
    assert best["all", "0.1"] == "drift"
    assert best["uniform", "0.1"] == "persistence"
    assert best["ring", "0.1"] == "drift"
    assert best["ring", "all"] == "persistence"
    skill = result.frame.filter(metric="skill")
    assert set(skill["model"]) == {"spectral"}
    assert row(skill, group="ring", horizon="0.1")["value"] == pytest.approx(1 - 0.2 / 0.5)
    assert row(skill, group="uniform", horizon="0.1")["value"] == pytest.approx(1 - 0.2 / 0.8)
    assert row(skill, horizon="1.7")["value"] == pytest.approx(1 - 0.2 / 0.8)
    assert result.best.filter(group="all", horizon="0.1")["value"].item() == pytest.approx(0.3)


def test_skill_of_a_metric_that_should_be_low(cases):
    result = table_of(
        case_scores("persistence", "baseline", np.full(8, 0.4), metric="rmse"),
        case_scores("climatology", "baseline", np.full(8, 0.5), metric="rmse"),
        case_scores("m", "surrogate", np.full(8, 0.1), metric="rmse"),
        case_scores("worse", "surrogate", np.full(8, 0.8), metric="rmse"),
        cases=cases,
        headline="rmse",
    )
    assert set(result.best["baseline"]) == {"persistence"}
    skill = result.frame.filter(metric="skill")
    assert row(skill, model="m")["value"] == pytest.approx(0.75)
    assert row(skill, model="worse")["value"] == pytest.approx(-1)


def test_the_interval_of_the_skill_is_paired(make_dataset):
    """Cases differ by much, but the model always leaves half of the baseline's error: its skill is certain."""
    cases = make_dataset(cases=20).cases
    error = np.random.default_rng(0).uniform(0.1, 0.9, 20)
    frame = table_of(case_scores("b", "baseline", 1 - error), case_scores("m", "surrogate", 1 - error / 2),
                     cases=cases).frame  # fmt: skip
    skill, r2 = row(frame, metric="skill"), row(frame, metric="r2", model="m")
    assert (skill["ci_low"], skill["value"], skill["ci_high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert r2["ci_high"] - r2["ci_low"] > 0.05


def test_a_diverged_model_has_an_infinite_score_and_loses(cases):
    values = np.full(8, 0.9)
    values[3] = -np.inf
    result = table_of(case_scores("b", "baseline", np.full(8, 0.2)), case_scores("m", "surrogate", values), cases=cases)
    assert row(result.frame, model="m", metric="r2")["value"] == -np.inf
    assert row(result.frame, model="m", metric="skill")["value"] == -np.inf
    assert row(result.frame, model="m", metric="skill", group="ring")["value"] == pytest.approx(1 - 0.1 / 0.8)


def test_a_diverged_baseline_is_not_the_best(cases):
    result = table_of(
        case_scores("a", "baseline", np.full(8, -np.inf)),
        case_scores("b", "baseline", np.full(8, np.nan)),
        case_scores("c", "baseline", np.full(8, -5.0)),
        case_scores("m", "surrogate", np.full(8, 0.5)),
        cases=cases,
    )
    assert set(result.best["baseline"]) == {"c"}


def test_cases_of_one_simulation_widen_the_interval(make_dataset):
    cases = make_dataset(cases=20).cases
    clustered = cases.with_columns(group_key=pl.Series([f"g{case // 4}" for case in range(20)]))
    values = np.repeat(np.random.default_rng(1).normal(size=5), 4)
    alone, together = (
        row(table_of(case_scores("m", "surrogate", values), cases=each).frame) for each in (cases, clustered)
    )
    assert together["ci_high"] - together["ci_low"] > 1.7 * (alone["ci_high"] - alone["ci_low"])


def test_the_table_does_not_depend_on_the_order_of_its_input(cases):
    random = np.random.default_rng(2)
    scores = [
        case_scores(model, kind, random.normal(size=8), split=split, start=start)
        for model, kind in (("b", "baseline"), ("m", "surrogate"), ("a", "surrogate"))
        for split in ("test", "test_long")
        for start in (COLD, WARM)
    ]
    once, again = table_of(*scores, cases=cases), table_of(*scores[::-1], cases=cases)
    assert once.frame.equals(again.frame)
    assert once.best.equals(again.best)
    assert not once.frame.equals(table_of(*scores, cases=cases, seed=1).frame)
    assert once.frame.select("split", "model", "metric", "group", "horizon").is_duplicated().sum() == 0


def test_models_on_different_cases_are_not_compared(cases):
    first, second = case_scores("a", "baseline", np.zeros(8)), case_scores("b", "surrogate", np.zeros(7))
    with pytest.raises(EmulantError, match="b and a are not scored on the same"):
        table_of(first, second, cases=cases)
    with pytest.raises(EmulantError, match="same"):
        table_of(first, replace(second, cases=first.cases, values={"rmse": np.zeros((8, 17))}), cases=cases)


@given(frames=st.integers(1, 3000), step=st.sampled_from([0.001, 0.04, 0.1, 0.3, 5.0]))
def test_the_default_horizons(frames, step):
    times = np.arange(1, frames + 1) * step
    chosen = reported_frames(times)
    assert chosen[0] == 0
    assert chosen[-1] == frames - 1
    assert list(chosen) == sorted(set(chosen))
    assert min(5, frames) <= len(chosen) <= 20
    if times[0] <= 1 <= times[-1]:
        assert np.abs(times[list(chosen)] - 1).min() <= step / 2 * (1 + 1e-9)


def test_horizons_that_were_asked_for(cases):
    result = table_of(case_scores("m", "surrogate", np.zeros(8)), cases=cases, horizons=(0.06, 1.0, 0.31, 5.0, 7.5))
    assert set(result.frame["horizon"]) == {"0.1", "0.3", "1", "all"}
    assert result.notes == ("test: no forecast frame at horizon 5, 7.5",)


HEADER = ",".join(SCHEMA.names()).encode()
SWAPPED = HEADER.replace(b"ci_low,ci_high", b"ci_high,ci_low") + b"\ntest,m,surrogate,r2,all,all,1,0,2,20\n"
TORN = HEADER + b"\ntest,m,surrogate,r2,all,all,oops,0,2,20\n"

numbers = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5))
def test_metrics_csv_reads_back_to_the_bit(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation") / "metrics.csv"
    rows = [("test", 'a "b", c', "surrogate", "r2", "ring@1", "0.5", *each, 20) for each in values]
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    write(frame, path)
    assert read(path).equals(frame, null_equal=True)
    assert path.read_text().startswith("split,model,kind,metric,group,horizon,value,ci_low,ci_high,n\n")


def test_horizons_stay_text(tmp_path, cases):
    frame = table_of(case_scores("m", "surrogate", np.arange(8.0)), cases=cases).frame
    write(frame, tmp_path / "metrics.csv")
    assert read(tmp_path / "metrics.csv").equals(frame)


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n", b"\xff\xfe", SWAPPED, TORN])
def test_a_table_that_is_damaged_or_missing(tmp_path, content):
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"metrics.csv: (not a table of scores|is missing)"):
        read(path)


def test_scoring_is_quick(make_dataset):
    """Six models, 20 cases, 17 frames of 64 x 64, 2000 resamples: about 0.13 s of one core; 0.5 s is the promise."""
    dataset = make_dataset(cases=20, families=("a", "b", "c", "d"))
    random = np.random.default_rng(0)
    dataset.arrays["rho"] = random.random((20, 21, 64, 64))
    forecasts = [random.random((20, 17, 64, 64)) for _ in range(6)]
    numbers = tuple(dataset.cases["case"])
    seconds = []
    for _ in range(2):  # the first pays for imports
        began = time.process_time()
        scores = [
            score([(numbers, {"rho": rho})], dataset, COLD, METRICS, model=f"m{row}", kind=kind)
            for row, (rho, kind) in enumerate(zip(forecasts, ["baseline", "surrogate"] * 3, strict=True))
        ]
        table_of(*scores, cases=dataset.cases)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.5

"""The report dictionary: verdicts, leaderboards, tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emulant.dataset.seams import Metric
from emulant.errors import DataError
from emulant.reporting.boards import boards, described, split_group
from emulant.reporting.page import render
from emulant.reporting.summary import Facts, as_json, summarise

Summarise = Callable[..., dict[str, Any]]


@pytest.fixture
def summarised(meanings: dict[str, Metric]) -> Summarise:
    """A report on rows (model, kind, metric, group, horizon, value, low, high) of the split `test`."""

    def of(*rows: tuple[str, str, str, str, str, float, float, float]) -> dict[str, Any]:
        columns = ("split", "model", "kind", "metric", "group", "horizon", "value", "ci_low", "ci_high", "n")
        frame = pl.DataFrame([("test", *row, 20) for row in rows], schema=list(columns), orient="row")
        return summarise(frame, meanings, "r2", Facts("made up"))

    return of


def _r2(model: str, kind: str, value: float, group: str = "all", horizon: str = "all") -> tuple[Any, ...]:
    return (model, kind, "r2", group, horizon, value, value - 0.02, value + 0.02)


def _skill(model: str, value: float, low: float, group: str = "all", horizon: str = "all") -> tuple[Any, ...]:
    return (model, "surrogate", "skill", group, horizon, value, low, 2 * value - low)


def test_the_summary_survives_json_unchanged(summary: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(as_json(summary), parse_constant=refuse) == summary


def test_a_surrogate_that_wins_is_said_to_win(summary: dict[str, Any]) -> None:
    first, second = summary["verdicts"]
    assert (first["model"], first["tone"], first["word"]) == ("spectral", "good", "beats")
    assert first["sentence"].startswith("`spectral` beats the best baseline, `drift`: r2 0.824 [")
    assert "closes 70\u00a0% of the gap" in first["sentence"]
    assert (second["model"], second["tone"], second["word"]) == ("pod_mvar", "bad", "loses")
    assert "loses to `drift`, `persistence` and `climatology`: r2 -1.55" in second["sentence"]
    assert "Standing still is better" in second["sentence"]


def test_a_win_within_the_interval_is_not_claimed(summarised: Summarise) -> None:
    rivals = (_r2("hero", "surrogate", 0.5), _r2("drift", "baseline", 0.49))
    assert summarised(*rivals, _skill("hero", 0.02, -0.01))["verdicts"][0]["tone"] == "neutral"
    assert summarised(*rivals, _skill("hero", 0.02, 0.01))["verdicts"][0]["tone"] == "good"


def test_the_best_baseline_follows_the_direction_of_the_metric(meanings: dict[str, Metric]) -> None:
    columns = ("split", "model", "kind", "metric", "group", "horizon", "value", "ci_low", "ci_high", "n")
    rows = [
        ("test", name, "baseline", "rmse", "all", "all", value, value, value, 3)
        for name, value in (("poor", 0.9), ("good", 0.2), ("undefined", float("nan")))
    ]
    board = boards(pl.DataFrame(rows, schema=list(columns), orient="row"))[0]
    best = board.best_baseline("rmse", described(meanings)["rmse"])
    assert best is not None
    assert best[0] == "good"
    assert board.ranked("rmse", described(meanings)["rmse"], board.models) == ["good", "poor", "undefined"]


def test_until_when_and_where_are_told(summarised: Summarise) -> None:
    rows: list[tuple[Any, ...]] = [_r2("hero", "surrogate", 0.6), _r2("drift", "baseline", 0.5)]
    rows += [_skill("hero", 0.2, 0.1)]
    for horizon, ours in (("0.1", 0.9), ("1", 0.7), ("10", 0.1)):
        rows += [_r2("hero", "surrogate", ours, horizon=horizon), _r2("drift", "baseline", 0.5, horizon=horizon)]
    for family, ours in (("ring", 0.4), ("uniform", 0.8)):
        rows += [_r2("hero", "surrogate", ours, family), _r2("drift", "baseline", 0.5, family)]
    details = {detail["about"]: detail for detail in summarised(*rows)["verdicts"][0]["details"]}
    assert details["until when"]["text"] == "ahead for lead times 0.1, 1 s; behind for 10 s"
    assert details["where"] == {"tone": "bad", "about": "where", "text": "behind a baseline on 1 of 2 groups: `ring`"}


def test_where_nobody_has_failed_yet_a_surrogate_is_level_not_behind(summarised: Summarise) -> None:
    rows: list[tuple[Any, ...]] = [
        _r2("hero", "surrogate", 0.6),
        _r2("drift", "baseline", 0.5),
        _skill("hero", 0.2, 0.1),
    ]
    for horizon, ours in (("0.1", 0.5), ("1", 0.7)):
        rows += [_r2("hero", "surrogate", ours, horizon=horizon), _r2("drift", "baseline", 0.5, horizon=horizon)]
    verdict = summarised(*rows)["verdicts"][0]
    details = {detail["about"]: detail for detail in verdict["details"]}
    assert details["until when"] == {
        "tone": "good",
        "about": "until when",
        "text": "ahead for lead times 1 s; level for 0.1 s",
    }
    equal = summarised(_r2("hero", "surrogate", 0.5), _r2("drift", "baseline", 0.5), _skill("hero", 0.0, 0.0))
    assert equal["verdicts"][0]["tone"] == "neutral"


def test_diverged_scores_are_words_and_rank_last(summary: dict[str, Any]) -> None:
    board = next(board for board in summary["leaderboards"] if board["name"] == "test_long_at_1")
    contest = [row for row in board["rows"] if row["kind"] != "oracle"]
    assert contest[-1]["model"] == "pod_mvar"
    assert contest[-1]["cells"]["r2"] | {"n": 0, "order": 0} == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "text": "diverged",
        "interval": "",
        "order": 0,
    }


def test_an_undefined_score_beats_nothing(summarised: Summarise) -> None:
    report = summarised(_r2("hero", "surrogate", float("nan")), _r2("drift", "baseline", -5.0))
    assert report["verdicts"][0]["tone"] == "bad"
    assert report["leaderboards"][0]["rows"][-1]["model"] == "hero"
    assert report["leaderboards"][0]["rows"][-1]["cells"]["r2"]["text"] == "undefined"


def test_boards_are_ordered_and_oracles_come_last_with_their_label(summary: dict[str, Any]) -> None:
    titles = [board["title"] for board in summary["leaderboards"]]
    assert titles == ["test, cold start", "test, start at 1 s", "test_long, cold start", "test_long, start at 1 s"]
    for board in summary["leaderboards"]:
        assert board["columns"][:2] == ["r2", "skill"]
        assert board["rows"][-1]["model"] == "pod_ceiling"
        assert board["rows"][-1]["mark"] == "uses the truth"
        values = [row["cells"]["r2"]["value"] for row in board["rows"][:-1]]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=True)


def test_the_test_split_comes_first_whatever_the_others_are_called(metrics: pl.DataFrame) -> None:
    renamed = metrics.with_columns(split=metrics["split"].replace({"test_long": "challenge"}))
    assert [board.split for board in boards(renamed)] == ["test", "test", "challenge", "challenge"]


def test_a_loss_is_marked_in_every_table(summary: dict[str, Any]) -> None:
    marks = {row["model"]: row["mark"] for row in summary["leaderboards"][0]["rows"]}
    assert marks["pod_mvar"] == "loses to `drift`"
    assert marks["drift"] == "best baseline"
    for table in summary["lead_times"]:
        for row in table["rows"]:
            if row["model"] == "pod_mvar":
                assert all(cell["loses"] for cell in row["cells"].values()), table["title"]
            if row["kind"] != "surrogate":
                assert not any(cell["loses"] for cell in row["cells"].values())
    for table in summary["groups"]:
        assert [row["family"] for row in table["rows"]] == sorted(row["family"] for row in table["rows"])
        for row in table["rows"]:
            assert row["cells"]["pod_mvar"]["loses"], (table["title"], row["family"])
            others = [model for model, kind in table["kinds"].items() if kind != "surrogate"]
            assert not any(row["cells"][model]["loses"] for model in others)
            assert [model for model in others if row["cells"][model]["best"]] != []


def test_a_group_without_a_score_is_named_and_has_no_row(summarised: Summarise) -> None:
    table = summarised(
        _r2("hero", "surrogate", 0.5),
        _r2("drift", "baseline", 0.3),
        _r2("hero", "surrogate", 0.4, "ring"),
        _r2("drift", "baseline", 0.6, "ring"),
        _r2("hero", "surrogate", float("nan"), "void"),
    )["groups"][0]
    assert [row["family"] for row in table["rows"]] == ["ring"]
    assert table["unscored"] == ["void"]
    assert table["rows"][0]["cells"]["hero"]["loses"]
    assert table["rows"][0]["n"] == 20


def test_the_report_begins_with_one_sentence(summary: dict[str, Any], summarised: Summarise) -> None:
    assert summary["lead"] == (
        "`spectral` beats the best baseline by 70\u00a0% of the gap to perfection on test, cold start; "
        "it fails on `test_long, start at 1 s`."
    )
    beaten = summarised(_r2("hero", "surrogate", 0.2), _r2("drift", "baseline", 0.3))["lead"]
    assert beaten == "No surrogate beats the best baseline on test: `drift` is ahead of `hero`, the closest one."
    rows = [_r2("hero", "surrogate", 0.5), _r2("drift", "baseline", 0.3), _skill("hero", 0.29, 0.1)]
    rows += [_r2("hero", "surrogate", 0.1, "ring"), _r2("drift", "baseline", 0.3, "ring")]
    assert summarised(*rows)["lead"].endswith("on test; it fails on `ring`.")
    unsure = summarised(_r2("hero", "surrogate", 0.31), _r2("drift", "baseline", 0.3), _skill("hero", 0.01, -0.1))
    won = summarised(*rows[:3], _r2("hero", "surrogate", 0.4, "ring"), _r2("drift", "baseline", 0.3, "ring"))
    assert won["lead"].endswith("on test; it loses nowhere in 1 group.")
    assert unsure["lead"] == "`hero` is ahead of the best baseline, `drift`, on test, but not clearly."
    assert summarised()["lead"] == "No surrogate was scored."


def test_physics_has_a_table_of_its_own(metrics: pl.DataFrame, meanings: dict[str, Metric]) -> None:
    report = summarise(metrics, meanings, "r2", Facts("x"), physics=["negativity", "mass_error", "no such"])
    columns = [column["metric"] for column in report["physics"][0]["columns"]]
    assert columns == ["negativity", "mass_error"]
    assert {row["model"]: row["cells"][0]["text"] for row in report["physics"][0]["rows"]}["pod_mvar"] == "0.183"
    assert not {"negativity", "mass_error"} & {*report["leaderboards"][0]["columns"]}
    assert summarise(metrics, meanings, "r2", Facts("x"))["physics"] == []


def test_physics_of_parts_has_a_column_for_each_part(summarised: Summarise, meanings: dict[str, Metric]) -> None:
    columns = ("split", "model", "kind", "metric", "group", "horizon", "value", "ci_low", "ci_high", "n")
    rows = [
        ("test", "flow", "surrogate", "mass_error", part, "all", 0.1, 0.0, 0.2, 9)
        for part in ("gas", "stars", "gas big")
    ]
    frame = pl.DataFrame(rows, schema=list(columns), orient="row")
    known = {**meanings, **{f"mass_error/{part}": meanings["mass_error"] for part in ("stars", "gas", "dark")}}
    table = summarise(frame, known, "r2", Facts("x"), physics=["mass_error"])["physics"][0]
    assert [column["part"] for column in table["columns"]] == ["stars", "gas"]
    assert [cell["text"] for cell in table["rows"][0]["cells"]] == ["0.100", "0.100"]


def test_stages_add_up_their_parts(metrics: pl.DataFrame, meanings: dict[str, Metric]) -> None:
    facts = Facts("x", timings={"simulate": 2.0, "train a": 1.0, "train b": 3.0})
    assert summarise(metrics, meanings, "r2", facts)["stages"] == {"simulate": 2.0, "train": 4.0}


def test_lead_times_are_ordered_as_numbers(summarised: Summarise) -> None:
    times = ("10", "2", "0.5")
    report = summarised(*(_r2("drift", "baseline", 0.3, horizon=time) for time in times))
    assert report["lead_times"][0]["columns"] == ["0.5", "2", "10"]


def test_a_run_without_surrogates_or_scores_still_reports(summarised: Summarise) -> None:
    assert summarised(_r2("drift", "baseline", 0.3))["verdicts"] == []
    assert summarised()["leaderboards"] == []
    alone = summarised(_r2("hero", "surrogate", 0.3))["verdicts"][0]
    assert (alone["tone"], alone["word"]) == ("neutral", "unclear")
    assert "no baseline beside it" in alone["sentence"]


def test_warm_groups_are_told_from_families_with_an_at_sign() -> None:
    assert split_group("ring@1.5") == ("ring", "1.5")
    assert split_group("ring") == ("ring", "")
    assert split_group("a@b") == ("a@b", "")


def test_a_damaged_frame_is_a_data_error(metrics: pl.DataFrame, meanings: dict[str, Metric]) -> None:
    with pytest.raises(DataError, match="ci_low"):
        summarise(metrics.drop("ci_low"), meanings, "r2", Facts("x"))
    with pytest.raises(DataError, match="kind 'wizard'"):
        summarise(metrics.with_columns(kind=pl.lit("wizard")), meanings, "r2", Facts("x"))
    with pytest.raises(DataError, match="'r3' is not described"):
        summarise(metrics, meanings, "r3", Facts("x"))


def test_a_leaderboard_shows_the_chosen_metrics_and_keeps_the_others(
    metrics: pl.DataFrame, meanings: dict[str, Metric], tmp_path: Path
) -> None:
    whole = summarise(metrics, meanings, "r2", Facts("x"))["leaderboards"][0]
    assert whole["further"] == []
    report = summarise(
        metrics, meanings, "r2", Facts("x", films_note="Seen from `above`."), board=["tau_tol", "no such"]
    )
    board = report["leaderboards"][0]
    assert board["columns"] == ["r2", "skill", "tau_tol"]
    assert board["columns"] + board["further"] != whole["columns"]
    assert set(board["columns"] + board["further"]) == set(whole["columns"])
    assert board["rows"][0]["cells"] == whole["rows"][0]["cells"]
    page = render(report, tmp_path)
    assert f"<summary>{len(board['further'])} further metrics</summary>" in page
    assert page.count('scope="col" class="number" title=') == len(whole["columns"]) * len(report["leaderboards"])

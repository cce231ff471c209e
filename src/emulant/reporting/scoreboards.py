"""The tables of a report as dictionaries: scores as numbers and as text, who wins and who loses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emulant.reporting.boards import Board, Meaning, Score
from emulant.reporting.numbers import interval, number
from emulant.reporting.verdict import Headline, beaten_by, title, tone

SPLITS = {
    "test": "seen by no surrogate before",
    "test_long": "forecast far beyond the length of the training cases",
    "test_ood": "from outside the training distribution",
    "test_heldout": "with parameters that no training case has",
}


def leaderboard(
    board: Board,
    meanings: Mapping[str, Meaning],
    headline: Headline,
    chosen: Sequence[str] = (),
    elsewhere: Sequence[str] = (),
) -> dict[str, Any]:
    """Models (rows, best first, oracles last) by metrics (columns, the headline and the skill first).

    `further` are the metrics that are not among the chosen ones; cells hold them all. Those `elsewhere` are left out.
    """
    first = [headline.metric, "skill"]
    columns = [name for name in _present(board, [*first, *meanings], meanings) if name not in elsewhere]
    shown = [name for name in columns if name in (*first, *chosen)] if chosen else columns
    best = board.best_baseline(headline.metric, headline.meaning)
    return {
        **_place(board, headline),
        "cases": max((score.n for score in board.scores.values()), default=0),
        "best_baseline": best[0] if best else None,
        "columns": shown,
        "further": [name for name in columns if name not in shown],
        "rows": [
            {
                "model": model,
                "kind": board.models[model],
                **_mark(board, model, headline, best[0] if best else None),
                "cells": {name: cell(board.score(model, name), meanings[name]) for name in columns},
            }
            for model in _order(board, headline)
        ],
    }


def physics_table(
    board: Board, meanings: Mapping[str, Meaning], headline: Headline, metrics: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Models by what they keep or break of the physics: metrics, each with the parts of the field it is scored on."""
    scored = {(key[1], key[2]) for key in board.scores if key[3] == "all"}
    columns = [
        {"metric": metric, "part": part}
        for metric, parts in metrics.items()
        for part in parts or [""]
        if metric in meanings and (metric, part or "all") in scored
    ]
    rows = [
        {
            "model": model,
            "kind": board.models[model],
            "mark": "",
            "cells": [
                cell(board.score(model, column["metric"], column["part"] or "all"), meanings[column["metric"]])
                for column in columns
            ],
        }
        for model in _order(board, headline)
    ]
    return {**_place(board, headline), "columns": columns, "rows": rows}


def _present(board: Board, names: Iterable[str], meanings: Mapping[str, Meaning]) -> list[str]:
    scored = {key[1] for key in board.scores if key[2] == key[3] == "all"}
    return [name for name in dict.fromkeys(names) if name in scored and name in meanings]


def group_table(board: Board, metric: str, meaning: Meaning, headline: Headline) -> dict[str, Any]:
    """Families (rows) by models (columns), for one metric; families where no model has a score are only named."""
    by = Headline(metric, meaning, headline.time_unit)
    models = [model for model in _order(board, headline) if board.score(model, metric)]
    scored = [name for name in board.families if any(_defined(board.score(model, metric, name)) for model in models)]
    return _table(board, metric, headline, models) | {
        "kinds": {model: board.models[model] for model in models},
        "unscored": [family for family in board.families if family not in scored],
        "rows": [{"family": family, **_family(board, models, by, family)} for family in scored],
    }


def _family(board: Board, models: Sequence[str], by: Headline, family: str) -> dict[str, Any]:
    best = board.best_baseline(by.metric, by.meaning, family)
    scores = {model: board.score(model, by.metric, family) for model in models}
    return {
        "n": max(score.n for score in scores.values() if score is not None),
        "cells": {
            model: cell(score, by.meaning) | _family_mark(board, model, by, family, best)
            for model, score in scores.items()
        },
    }


def _defined(score: Score | None) -> bool:
    return score is not None and not math.isnan(score.value)


def lead_table(board: Board, metric: str, meaning: Meaning, headline: Headline) -> dict[str, Any]:
    """Models by lead times, for one metric; each value is over all frames up to that lead time."""
    by = Headline(metric, meaning, headline.time_unit)
    rows = [
        {
            "model": model,
            "kind": board.models[model],
            "mark": "",
            "cells": {
                horizon: cell(board.score(model, metric, "all", horizon), meaning)
                | {"loses": _loses(board, model, by, horizon=horizon)}
                for horizon in board.horizons
            },
        }
        for model in _order(board, headline)
    ]
    return _table(board, metric, headline, board.horizons) | {"rows": rows}


def cell(score: Score | None, meaning: Meaning) -> dict[str, Any]:
    """One score as numbers and as text; what is not finite becomes null in JSON and keeps its word."""
    if score is None:
        return {"value": None, "low": None, "high": None, "n": 0, "text": "", "interval": "", "order": None}
    return {
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "n": score.n,
        "text": number(score.value, meaning.perfect),
        "interval": interval(score.low, score.high, meaning.perfect),
        "order": meaning.best_first(score.value),
    }


def _order(board: Board, headline: Headline) -> list[str]:
    contestants = [model for model, kind in board.models.items() if kind != "oracle"]
    ranked = board.ranked(headline.metric, headline.meaning, contestants)
    return [*ranked, *board.ranked(headline.metric, headline.meaning, board.of_kind("oracle"))]


def _mark(board: Board, model: str, headline: Headline, best: str | None) -> dict[str, str]:
    """The tone of a row and the words that go with it, so that nothing hangs on colour."""
    match board.models[model]:
        case "oracle":
            return {"tone": "neutral", "mark": "uses the truth"}
        case "baseline":
            return {"tone": "neutral", "mark": "best baseline" if model == best else ""}
        case _:
            lost = beaten_by(board, model, headline)
            its_tone = tone(board, model, headline)
            words = {"good": "beats every baseline", "neutral": "ahead, but not clearly"}
            return {"tone": its_tone, "mark": f"loses to `{lost[0]}`" if lost else words.get(its_tone, "")}


def _family_mark(
    board: Board, model: str, by: Headline, family: str, best: tuple[str, Score] | None
) -> dict[str, bool]:
    return {
        "loses": _loses(board, model, by, family=family),
        "best": best is not None and best[0] == model,
    }


def _loses(board: Board, model: str, by: Headline, family: str = "all", horizon: str = "all") -> bool:
    return board.models[model] == "surrogate" and tone(board, model, by, family, horizon) == "bad"


def _place(board: Board, headline: Headline) -> dict[str, Any]:
    return {
        "name": board.name,
        "split": board.split,
        "start": board.start,
        "title": title(board, headline.time_unit),
        "note": SPLITS.get(board.split, ""),
    }


def _table(board: Board, metric: str, headline: Headline, columns: Sequence[str]) -> dict[str, Any]:
    return {**_place(board, headline), "metric": metric, "columns": list(columns)}

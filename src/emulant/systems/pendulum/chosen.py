"""Which cases a report shows: by rule, so that nobody can pick the pretty ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

RANKED_BY = "vpt_nrse_0.4"
RULE = f"Best, median and worst of the {{group}} cases by the {RANKED_BY} of `{{model}}`."


def ranked_cases(run: Any, model: str, split: str, start: str = "") -> tuple[str, pl.DataFrame]:
    """The chaotic test cases (all cases if none is), worst first: the group's name, and `case` and `value` in s."""
    scores = run.case_scores.filter(split=split, model=model, metric=RANKED_BY, start=f"@{start}" if start else "")
    chaotic = scores.filter(family="chaotic")
    group, shown = ("chaotic", chaotic) if len(chaotic) else ("", scores)
    return group, shown.select("case", "value").sort("value", "case")


def best_median_worst(run: Any, model: str, split: str) -> tuple[str, Mapping[str, int]]:
    """The rule in words, and the three cases (fewer if there are not so many)."""
    group, ranked = ranked_cases(run, model, split)
    cases = ranked["case"].to_list()
    places = {"best": len(cases) - 1, "median": (len(cases) - 1) // 2, "worst": 0}
    found: dict[int, str] = {}
    for name, place in places.items():
        found.setdefault(cases[place], name)
    rule = RULE.format(group=group, model=model).replace("  ", " ")
    return rule, {name: case for case, name in found.items()}


def valid_time(run: Any, model: str, split: str, case: int, start: str = "") -> float:
    """s for which the forecast of a case is valid."""
    scores = run.case_scores.filter(
        split=split, model=model, metric=RANKED_BY, case=case, start=f"@{start}" if start else ""
    )
    return float(scores["value"][0])


def rivals(run: Any) -> tuple[str, str]:
    """The best surrogate (the best baseline if there is none) and the best baseline."""
    ranking = run.ranking()
    baseline = ranking.filter(kind="baseline")["model"][0]
    surrogates = ranking.filter(kind="surrogate")["model"].to_list()
    return (surrogates or [baseline])[0], baseline

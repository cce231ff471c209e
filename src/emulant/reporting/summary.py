"""Everything that the report says, as one dictionary of JSON types: `report.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import polars as pl

from emulant.dataset.seams import Metric
from emulant.errors import DataError
from emulant.reporting.boards import boards, described
from emulant.reporting.figures import Picture
from emulant.reporting.frames import Film
from emulant.reporting.scoreboards import group_table, lead_table, leaderboard, physics_table
from emulant.reporting.verdict import Headline, lead, verdicts

FORMAT = 2


@dataclass(frozen=True)
class Facts:
    """What a report says beside the scores. Values are JSON types; empty tables are left out of the page."""

    title: str
    system: str = ""
    """One line on the physics."""
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Per split: cases, ok, rejected, failed, bytes, dataset_sha256; `reasons`: why cases are not ok -> how many."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """study (TOML text), seeds, versions, platform, hashes."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds per stage."""
    commands: Sequence[str] = ()
    """What to type to get this run again."""
    notes: Sequence[str] = ()
    """Limits and remarks, one sentence each; names in backticks."""
    diverged: Sequence[Mapping[str, Any]] = ()
    """Rollouts that left every bound, a row each."""
    models: Mapping[str, str] = field(default_factory=dict)
    """One line on each model."""
    citations: Mapping[str, str] = field(default_factory=dict)
    """What of it was used -> the work to cite."""
    time_unit: str = "s"
    films_note: str = ""
    """What all films have in common."""


def summarise(
    metrics: pl.DataFrame,
    meanings: Mapping[str, Metric],
    headline: str,
    facts: Facts,
    *,
    error: str | None = None,
    board: Sequence[str] = (),
    physics: Sequence[str] = (),
    pictures: Iterable[Picture] = (),
    films: Iterable[Film] = (),
) -> dict[str, Any]:
    """The report as a dictionary that survives JSON unchanged.

    Args:
        metrics: Columns split, model, kind, metric, group, horizon, value, ci_low, ci_high, n.
        meanings: The system's metrics; columns of the tables follow their order.
        headline: The metric of the verdict.
        facts: Everything that is not a score.
        error: The metric shown beside the headline; by default the first for which lower is better.
        board: The metrics that leaderboards show at once, the others on demand; by default all.
        physics: The metrics that say whether physics is kept; they have a table of their own.
        pictures, films: What was drawn, in the order of the page.

    Raises:
        DataError: The frame lacks a column, or the headline is not described.
    """
    known = described(meanings)
    if headline not in known:
        raise DataError(f"The headline metric {headline!r} is not described.", f"Described: {', '.join(known)}.")
    lower = [name for name in meanings if meanings[name].better == "lower"]
    second = error or next(iter(lower), headline)
    contests = boards(metrics)
    top = Headline(headline, known[headline], facts.time_unit)
    shown = [name for name in dict.fromkeys([headline, second]) if name in known]
    parts = {name: [each.partition("/")[2] for each in meanings if each.startswith(f"{name}/")] for name in physics}
    summary = {
        "format": FORMAT,
        **asdict(facts),
        "headline": headline,
        "metrics": {name: asdict(meaning) for name, meaning in known.items()},
        "stages": _stages(facts.timings),
        "lead": lead(contests, top),
        "verdicts": verdicts(contests, top),
        "leaderboards": [leaderboard(contest, known, top, board, physics) for contest in contests],
        "physics": [table for contest in contests if (table := physics_table(contest, known, top, parts))["columns"]],
        "groups": [
            group_table(contest, name, known[name], top) for contest in contests if contest.families for name in shown
        ],
        "lead_times": [
            lead_table(contest, name, known[name], top) for contest in contests if contest.horizons for name in shown
        ],
        "pictures": [asdict(picture) for picture in pictures],
        "films": [asdict(film) for film in films],
    }
    return dict(plain(summary))


def plain(value: Any) -> Any:
    """The same in JSON types only, by way of JSON itself: what is not finite becomes null."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.loads(orjson.dumps(value, default=str, option=options))


def as_json(summary: Mapping[str, Any]) -> str:
    """The text of `report.json`."""
    return orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _stages(timings: Mapping[str, float]) -> dict[str, float]:
    """Seconds per kind of work: `train mixing` and `train flow` are both `train`."""
    totals: dict[str, float] = {}
    for what, seconds in timings.items():
        stage = what.partition(" ")[0]
        totals[stage] = totals.get(stage, 0.0) + seconds
    return totals

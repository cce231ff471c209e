"""Several runs of one system side by side: their scores, paired differences, studies and trainings."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_text
from emulant.dataset.environment import environment
from emulant.errors import UsageError
from emulant.evaluation.confidence import Estimate, resampling
from emulant.narrative import curves_of, evaluation_card
from emulant.reporting.boards import Board, Score, boards, described
from emulant.reporting.comparison import Difference, Entry, ladder, summarise
from emulant.reporting.curves import overlaid
from emulant.reporting.figures import Picture
from emulant.reporting.markdown import comparison as as_markdown
from emulant.reporting.page import render_comparison
from emulant.reporting.summary import plain
from emulant.reporting.verdict import Headline
from emulant.runs import Run


def compare(runs: Sequence[Run], target: Path, format: str = "html") -> dict[str, Any]:
    """Write the comparison of evaluated runs to `target`; what it says, as JSON types.

    Args:
        runs: At least two, of one system. Differences are taken from the first.
        target: The page, which holds its figures; as Markdown the figures lie beside it in `figures/`.
        format: `html` or `md`.

    Raises:
        UsageError: The runs are of several systems.
        DataError: One is not evaluated, or its scores are not what evaluation wrote.
    """
    names = run_names(runs)
    _must_be_of_one_system(names, runs)
    for run in runs:
        evaluation_card(run)
    contests = {name: boards(run.metrics) for name, run in zip(names, runs, strict=True)}
    with TemporaryDirectory() as folder:
        drawn = _figures(Path(folder), dict(zip(names, runs, strict=True)), contests)
        summary = _summary(dict(zip(names, runs, strict=True)), contests, drawn)
        if format == "html":
            write_text(target, render_comparison(summary, Path(folder)))
        else:
            for picture in drawn:
                copied = target.parent / picture.png
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(folder) / picture.png, copied)
            write_text(target, as_markdown(summary))
    return summary


def run_names(runs: Sequence[Run]) -> list[str]:
    """What the runs are called: their folders' names, with as many folders above as tell them apart.

    Raises:
        UsageError: One is given twice.
    """
    paths = [run.folder.root.resolve() for run in runs]
    if twice := [path for path, count in Counter(paths).items() if count > 1]:
        raise UsageError(f"{twice[0]}: is given twice.", "Compare it with another run.")
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _must_be_of_one_system(names: Sequence[str], runs: Sequence[Run]) -> None:
    first = runs[0].study.system.name
    for name, run in zip(names, runs, strict=True):
        if run.study.system.name != first:
            what = f"{name} is a run of `{run.study.system.name}`, {names[0]} one of `{first}`."
            raise UsageError(what, "Runs of different systems have no score in common: compare those of one.")


def _headline(run: Run) -> Headline:
    system = run.study.system
    return Headline(system.headline, described(system.metrics)[system.headline], system.time_unit)


def _summary(
    runs: Mapping[str, Run], contests: Mapping[str, Sequence[Board]], pictures: Sequence[Picture]
) -> dict[str, Any]:
    first = next(iter(runs.values()))
    hashes = {name: {split: run.dataset_sha256(split) for split in run.splits} for name, run in runs.items()}
    by = _headline(first)
    entries = {
        name: Entry(str(run.folder.root), run.study.document(), hashes[name], contests[name])
        for name, run in runs.items()
    }
    summary = summarise(first.study.system.name, entries, by, _differences(runs, contests, by), pictures)
    return dict(plain(summary | {"emulant": environment()["emulant"]}))


def _differences(runs: Mapping[str, Run], contests: Mapping[str, Sequence[Board]], by: Headline) -> list[Difference]:
    """Each model of each further run less the same model of the first, where both were tested on the same cases."""
    reference, *others = runs
    found = []
    for name, board in product(others, contests[reference]):
        rival = next((each for each in contests[name] if each.name == board.name), None)
        if rival is None or not _same_cases(runs[reference], runs[name], board):
            continue
        for model in board.models:
            if (its := rival.score(model, by.metric)) and (ours := board.score(model, by.metric)):
                score = _difference(runs[reference], runs[name], board, model, by, (ours, its))
                found.append(Difference(board.name, model, name, score))
    return found


def _same_cases(one: Run, other: Run, board: Board) -> bool:
    """Whether two runs tested the same bytes, and scored the same cases of them."""
    if board.split not in other.splits or one.dataset_sha256(board.split) != other.dataset_sha256(board.split):
        return False
    first, second = (_cases(run, board, next(iter(board.models)), None) for run in (one, other))
    return not first.is_empty() and first["case"].equals(second["case"])


def _cases(run: Run, board: Board, model: str, metric: str | None) -> pl.DataFrame:
    rows = run.case_scores.filter(
        pl.col("split") == board.split, pl.col("start") == (f"@{board.start}" if board.start else "")
    ).filter(model=model, metric=metric or run.study.system.headline)
    return rows.select("case", "value").sort("case")


def _difference(one: Run, other: Run, board: Board, model: str, by: Headline, scores: tuple[Score, Score]) -> Score:
    """The other's score less the one's with a paired interval, which is NaN where cases.csv cannot give it: of
    medians, quantiles and ratios."""
    ours, theirs = scores
    value = theirs.value - ours.value
    first, second = (_cases(run, board, model, by.metric) for run in (one, other))
    estimate = _paired(one, board, first, second)
    if estimate is None or not first["case"].equals(second["case"]):
        return Score(value, float("nan"), float("nan"), ours.n)
    return Score(value, float(estimate.low), float(estimate.high), ours.n)


def _paired(run: Run, board: Board, first: pl.DataFrame, second: pl.DataFrame) -> Estimate | None:
    how = run.study.system.metrics[run.study.system.headline].aggregate
    if how not in ("mean", "rms") or len(first) != len(second):
        return None
    keys = run.dataset(board.split).cases.select("case", "group_key")
    known = first.join(keys, on="case", how="left", maintain_order="left")
    table = run.study.evaluation
    draws = resampling(
        known["group_key"].to_list(),
        resamples=table.resamples,
        confidence=table.confidence,
        seed=run.study.config.seed,
    )
    ours, theirs = first["value"].to_numpy(), second["value"].to_numpy()
    both = np.isnan(ours) | np.isnan(theirs)
    ours, theirs = np.where(both, np.nan, ours), np.where(both, np.nan, theirs)
    if how == "mean":
        return draws.difference(theirs, ours)
    return draws.statistic(lambda a, b: np.sqrt(a) - np.sqrt(b), theirs, ours)


def _figures(folder: Path, runs: Mapping[str, Run], contests: Mapping[str, Sequence[Board]]) -> list[Picture]:
    """A ladder for each contest that all runs have, and the validation loss of each network that two have trained."""
    first = next(iter(runs))
    by = _headline(runs[first])
    drawn = []
    for board in contests[first]:
        same = {name: next((b for b in its if b.name == board.name), None) for name, its in contests.items()}
        present = {name: its for name, its in same.items() if its is not None}
        if len(present) > 1:
            drawn.append(ladder(present, by).save(folder, f"compared_{board.name}"))
    models = dict.fromkeys(entrant.name for run in runs.values() for entrant in run.entrants())
    for model in models:
        curves = {name: found for name, run in runs.items() if (found := _curves(run, model)) is not None}
        if len(curves) > 1:
            drawn.append(overlaid(curves, model).save(folder, f"training_{model}"))
    return drawn


def _curves(run: Run, model: str) -> Any:
    return curves_of(run, model) if model in {entrant.name for entrant in run.entrants()} else None

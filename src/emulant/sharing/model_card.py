"""`models/NAME/README.md`: what a surrogate is, what it was fitted to, how good it is and where not to use it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from emulant.dataset.atomic import write_text
from emulant.reporting.boards import DERIVED, Board, Meaning, Score, boards, described
from emulant.reporting.numbers import interval, number
from emulant.runs import Entrant, ModelCard, Run


def write_cards(run: Run) -> list[Path]:
    """The cards of the surrogates of an evaluated run; the files written.

    Raises:
        DataError: The run is not evaluated, or a card of a model is damaged.
    """
    scores = run.metrics
    return [
        write_text(run.folder.model_readme(entrant.name), text(run, entrant, card, scores))
        for entrant in run.entrants()
        if entrant.kind == "surrogate" and (card := run.card(entrant.name))
    ]


def text(run: Run, entrant: Entrant, card: ModelCard, scores: pl.DataFrame) -> str:
    """The card as Markdown."""
    return "\n".join([*_head(run, entrant, card), *_metrics(run, entrant.name, scores), *_tail(run, card)]) + "\n"


def _head(run: Run, entrant: Entrant, card: ModelCard) -> Iterator[str]:
    system, name = run.study.system, entrant.name
    purpose = (entrant.learner.resolve().__doc__ or "").strip().split("\n")[0]
    yield from ("---", f"tags: [surrogate, emulant, {system.name}]", "---")
    yield from ("", f"# {name}, a surrogate of {system.name}")
    yield from ("", purpose, "", f"The system: {system.summary}", "", "## Use it", "")
    yield from ("```bash", f"emulant predict RUN INPUT -o OUT --surrogate {name}", "```", "")
    yield "RUN is the folder that holds `models/`; the study beside it says what INPUT must be."
    yield from ("", "## Fitted to", "", "| split | dataset_sha256 |", "|---|---|")
    yield from (f"| `{split}` | `{digest}` |" for split, digest in card.data.items())
    yield from ("", f"By emulant {card.emulant}, with the settings", "", "```json")
    yield json.dumps(card.config, indent=2, sort_keys=True)
    yield from ("```", "")


def _metrics(run: Run, name: str, scores: pl.DataFrame) -> Iterator[str]:
    known = described(run.study.system.metrics)
    yield from ("## Metrics", "", "Over whole cases of splits that no surrogate has seen, with 95 % intervals over")
    yield "groups of cases, beside the baseline that is best by that very metric."
    for board in boards(scores):
        yield from ("", f"### `{board.split}`" + (f", started at {board.start}" if board.start else ""), "")
        yield from ("| metric | value | 95 % | n | best baseline | |", "|---|---|---|---|---|---|")
        for metric, meaning in known.items():
            score = board.score(name, metric)
            if score is not None and not math.isnan(score.value):
                yield _row(board, metric, meaning, score)
    yield ""


def _row(board: Board, metric: str, meaning: Meaning, score: Score) -> str:
    best = board.best_baseline(metric, meaning) if metric not in DERIVED else None
    other = f"{number(best[1].value, meaning.perfect)} `{best[0]}`" if best else ""
    unit = "" if meaning.unit in ("", "1") else f", {meaning.unit}"
    value, ends = number(score.value, meaning.perfect), interval(score.low, score.high, meaning.perfect)
    told = meaning.meaning.replace("|", "\\|")
    return f"| `{metric}` | {value} | {ends} | {score.n} | {other} | {told}{unit} |"


def _tail(run: Run, card: ModelCard) -> Iterator[str]:
    yield from ("## Limits", "")
    yield "- It is good where the training data are and not beyond; `validate` and the splits above say where that is."
    yield from (f"- {sentence}" for sentence in (*run.study.system.limits, *run.study.system.notes(run.study.config)))
    yield from ("", "## Files", "", "| below `models/` | sha256 |", "|---|---|")
    yield from (f"| `{file.path}` | `{file.sha256}` |" for file in card.files)

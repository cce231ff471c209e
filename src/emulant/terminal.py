"""What a person sees while a command runs: progress on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from emulant.runs import Run
    from emulant.stages import Listener, SplitSummary

MINUTE = 60.0


@contextmanager
def progress(quiet: bool) -> Iterator[Listener]:
    """A listener that draws bars on a terminal and writes a line a minute elsewhere."""
    if quiet:
        yield lambda _what, _done, _total: None
    elif sys.stderr.isatty():
        with _bars() as listener:
            yield listener
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def listen(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield listen


class _Lines:
    """The first and the last of every kind of work, and a line a minute between."""

    def __init__(self) -> None:
        self.last = 0.0
        self.what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self.what or done == total or now - self.last >= MINUTE:
            self.what, self.last = what, now
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)


def show(value: Any, lines: Sequence[str], *, as_json: bool, quiet: bool) -> None:
    """Print a result: as one JSON object, or as lines for people."""
    if as_json:
        print(json.dumps(value, default=str, sort_keys=True))
    elif not quiet:
        for line in lines:
            print(line)


def complain(message: str) -> None:
    """Print an error to stderr."""
    print(f"emulant: {message}", file=sys.stderr)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a plain table; numbers are rounded to four digits and set to the right."""
    texts = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    to_the_right = [all(isinstance(row[column], int | float | None) for row in rows) for column in range(len(head))]
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, to_the_right, strict=True)
        ).rstrip()
        for row in texts
    ]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def scores(run: Run) -> tuple[list[dict[str, Any]], list[str]]:
    """The leaderboard of an evaluated run, as JSON types and as lines."""
    from emulant.use import leaderboard

    head, rows = leaderboard(run)
    system = run.study.system
    board = system.board
    shown = [place for place, name in enumerate(head) if not board or name not in system.metrics or name in board]
    lines = table([head[place] for place in shown], [[row[place] for place in shown] for row in rows])
    return [dict(zip(head, row, strict=True)) for row in rows], lines


def show_report(run: Run, written: Path | None = None, *, as_json: bool, quiet: bool) -> int:
    """Print the leaderboard and where the report is (by default the page); the number of failed cases."""
    from emulant.status import status

    value, table_lines = scores(run)
    report, state = run.report, status(run)
    limits = run.study.system.limits  # said by every report of the system
    sentences = [verdict["sentence"].replace("`", "").replace("\xa0", " ") for verdict in report["verdicts"]]
    lines = [*sentences, "", *table_lines, "", *(f"note: {note}" for note in report["notes"] if note not in limits)]
    failed = sum(int(split.get("failed", 0)) for split in state["splits"].values())
    if failed:
        lines.append(f"{failed} case{'s' if failed > 1 else ''} failed: see `emulant status {run.folder.root}`")
    place = str(written or run.folder.report_html)
    lines.append(f"report: {place}")
    show({**state, "scores": value, "report": place}, lines, as_json=as_json, quiet=quiet)
    return failed


def show_data(summaries: Mapping[str, SplitSummary], *, as_json: bool, quiet: bool) -> int:
    """Print what each split holds; the number of failed cases."""
    head = ("split", "cases", "ok", "rejected", "failed", "shards computed", "complete", "dataset_sha256")
    rows = [
        (s.split, s.cases, s.ok, s.rejected, s.failed, s.computed, "yes" if s.complete else "no", s.dataset_sha256[:12])
        for s in summaries.values()
    ]
    failures = [f"{s.split} case {case}: {why}" for s in summaries.values() for case, why in s.reasons.items()]
    value = {split: asdict(summary) for split, summary in summaries.items()}
    show(value, [*table(head, rows), *failures], as_json=as_json, quiet=quiet)
    return len(failures)

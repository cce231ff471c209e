"""What a person sees while a command runs: progress on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulant.stages import Listener

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
    """Lines of a plain table; columns of numbers are set to the right."""
    texts = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    numeric = [all(isinstance(row[column], int | float) for row in rows) for column in range(len(head))]
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in texts
    ]

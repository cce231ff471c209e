"""What a benchmark has found, and how it is written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How much work to put in."""

    seconds: float = 4.0
    """For each comparison of the quick ones."""
    seeds: int = 1
    """Data sets of the leaderboard."""
    long: bool = False


@dataclass(frozen=True)
class Row:
    """One comparison: what, ours, the peer's, how many times better we are, and whether that is what we aimed at."""

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    accuracy: str = ""


@dataclass(frozen=True)
class Section:
    """The results of one benchmark."""

    title: str
    how: str
    rows: Sequence[Row]
    more: str = ""
    """Markdown below the table."""

    def text(self) -> str:
        return "\n\n".join(part for part in (f"## {self.title}", self.how, comparison(self.rows), self.more) if part)


def comparison(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    verdict = {None: "", True: "yes", False: "**no**"}
    head = ("what", "ours", "peer", "ratio", "target", "met", "accuracy")
    body = [
        (r.what, r.ours, r.peer, "" if r.ratio is None else f"{r.ratio:.3g}", r.target, verdict[r.met], r.accuracy)
        for r in rows
    ]
    return markdown(head, body)


def markdown(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """An aligned Markdown table; columns that are empty throughout are left out."""
    lines = [list(line) for line in body]
    used = [i for i in range(len(head)) if any(line[i] for line in lines)]
    cells = [[line[i] for i in used] for line in (head, *lines)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(used))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells)

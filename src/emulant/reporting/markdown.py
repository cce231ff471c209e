"""A report or a comparison as Markdown, for a paper's appendix: tables and links to figures, no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emulant.reporting.numbers import lead_text, size

SECTIONS = {
    "leaderboard": "Scores",
    "lead_time": "Error against lead time or scale",
    "groups": "Group by group",
    "maps": "Truth and surrogate, side by side",
    "physics": "Physics",
    "training": "Training",
    "system": "The system",
}


def report(summary: Mapping[str, Any]) -> str:
    """The text of `report.md`; its figures are the PNG files of the run."""
    blocks = [f"# {_text(summary['title'])}", _text(summary["system"]), summary["lead"]]
    blocks += [verdict["sentence"] for verdict in summary["verdicts"]]
    for name, heading in SECTIONS.items():
        body = [*_tables(name, summary), *_pictures(name, summary)]
        blocks += [f"## {heading}", *body] if body else []
    blocks += ["## Data", _data(summary["data"])] if summary["data"] else []
    blocks += ["## Provenance", _provenance(summary["provenance"])] if summary["provenance"] else []
    if summary["citations"]:
        blocks += ["## What to cite", _bullets(f"{what}: {work}" for what, work in summary["citations"].items())]
    if summary["notes"]:
        blocks += ["## Limits", _bullets(summary["notes"])]
    return _joined(blocks)


def comparison(summary: Mapping[str, Any]) -> str:
    """The text of a comparison; figures lie in `figures/` beside it."""
    runs = [run["name"] for run in summary["runs"]]
    blocks = [f"# {_text(summary['system'])}: {len(runs)} runs side by side", summary["lead"]]
    blocks += [_bullets(f"{run['name']}: {run['lead']}" for run in summary["runs"]), "## Scores"]
    for board in summary["boards"]:
        head = ["model", "kind", *runs, *(f"{run} less {summary['reference']}" for run in board["paired"])]
        rows = [
            [
                f"`{row['model']}`",
                row["kind"],
                *(_cell(row["cells"][run]) for run in runs),
                *(_cell(row["cells"][run]["difference"] or {}) for run in board["paired"]),
            ]
            for row in board["rows"]
        ]
        blocks += [f"{summary['headline']}: {_text(board['title'])}.", table(head, rows)]
    blocks += [*_pictures("leaderboard", summary), *_pictures("training", summary), "## Where the studies differ"]
    rows = [[f"`{row['key']}`", *(f"`{row['values'][run]}`" for run in runs)] for row in summary["study"]]
    blocks.append(table(["key", *runs], rows) if rows else "Nowhere.")
    data = [
        [f"`{row['split']}`", "yes" if row["same"] else "no", *(f"`{row['hashes'][run]}`" for run in runs)]
        for row in summary["data"]
    ]
    return _joined([*blocks, "## Data", table(["split", "the same bytes", *runs], data)])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table; what would end a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_one_line(cell) for cell in line) + " |" for line in lines)


def _tables(section: str, summary: Mapping[str, Any]) -> Iterator[str]:
    if section == "leaderboard":
        for board in summary["leaderboards"]:
            rows = [
                [f"`{row['model']}`", row["kind"], *(_cell(row["cells"][name]) for name in board["columns"])]
                for row in board["rows"]
            ]
            yield f"{_text(board['title'])}, {board['cases']} cases; confidence intervals over the cases."
            yield table(["model", "kind", *(_metric(name, summary) for name in board["columns"])], rows)
    elif section == "lead_time":
        for each in summary["lead_times"]:
            rows = [
                [f"`{row['model']}`", *(_cell(row["cells"][name]) for name in each["columns"])] for row in each["rows"]
            ]
            yield f"{_metric(each['metric'], summary)} by lead time / {summary['time_unit']}: {_text(each['title'])}."
            yield table(["model", *map(lead_text, each["columns"])], rows)
    elif section == "groups":
        for each in summary["groups"]:
            rows = [
                [row["family"], str(row["n"]), *(_cell(row["cells"][name]) for name in each["columns"])]
                for row in each["rows"]
            ]
            yield f"{_metric(each['metric'], summary)}: {_text(each['title'])}."
            yield table(["group", "cases", *(f"`{name}`" for name in each["columns"])], rows)
    elif section == "physics":
        for each in summary["physics"]:
            head = [" ".join([_metric(c["metric"], summary), c["part"]]).strip() for c in each["columns"]]
            rows = [[f"`{row['model']}`", *(_cell(cell) for cell in row["cells"])] for row in each["rows"]]
            yield f"{_text(each['title'])}."
            yield table(["model", *head], rows)


def _pictures(section: str, summary: Mapping[str, Any]) -> Iterator[str]:
    for picture in summary["pictures"]:
        if picture["section"] == section:
            caption = _one_line(f"{picture['title']}. {picture['caption']}").replace("[", "(").replace("]", ")")
            yield f"![{caption}]({picture['png'].replace(' ', '%20')})"


def _data(cards: Mapping[str, Mapping[str, Any]]) -> str:
    counts = ("cases", "ok", "rejected", "failed")
    rows = [
        [
            f"`{split}`",
            *(str(card.get(key, "")) for key in counts),
            size(card["bytes"]) if isinstance(card.get("bytes"), int) else "",
            f"`{card.get('dataset_sha256', '')}`",
        ]
        for split, card in cards.items()
    ]
    return table(["split", *counts, "size", "dataset_sha256"], rows)


def _provenance(facts: Mapping[str, Any]) -> str:
    """Flat facts, then what has parts of its own, then the study."""
    rows = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            rows += [[f"{key}: {name}", f"`{part}`"] for name, part in value.items()]
        elif key != "study" and value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append([key, f"`{text}`"])
    study = f"\n\n```toml\n{facts['study'].strip()}\n```" if facts.get("study") else ""
    return table(["what", "value"], rows) + study


def _cell(cell: Mapping[str, Any]) -> str:
    return " ".join(part for part in (cell.get("text", ""), cell.get("interval", "")) if part)


def _metric(name: str, summary: Mapping[str, Any]) -> str:
    unit = summary["metrics"][name]["unit"]
    return name if unit in ("", "1") else f"{name} / {unit}"


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {_one_line(line)}" for line in lines)


def _text(text: str) -> str:
    """Plain text: what Markdown would take for a mark is escaped."""
    return re.sub(r"([\\*_#<>\[\]])", r"\\\1", text)


def _one_line(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def _joined(blocks: Sequence[str]) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"

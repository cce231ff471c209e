"""Markdown: whole tables, figures that are there, nothing that breaks out of its cell."""

import re

from emulant.reporting import markdown
from emulant.reporting.summary import summarise


def tables(text):
    """Every pipe table as rows of cells."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            found.append(rows)
            rows = []
    return found


def test_every_score_of_a_leaderboard_is_there(summary, run):
    text = markdown.report(summary)
    first = tables(text)[0]
    board = summary["leaderboards"][0]
    assert [row[0] for row in first[2:]] == [f"`{row['model']}`" for row in board["rows"]]
    for line, row in zip(first[2:], board["rows"], strict=True):
        for cell, name in zip(line[2:], board["columns"], strict=True):
            assert cell.startswith(row["cells"][name]["text"])
    assert text.startswith("# swarm\n")
    assert summary["lead"] in text


def test_all_rows_of_a_table_are_equally_long(summary):
    for rows in tables(markdown.report(summary)):
        assert {len(row) for row in rows} == {len(rows[0])}


def test_every_figure_is_a_file_of_the_run(summary, run):
    links = re.findall(r"^!\[.+\]\((.+)\)$", markdown.report(summary), re.MULTILINE)
    assert len(links) == len(summary["pictures"])
    assert all((run / link).is_file() for link in links)


def test_hashes_and_study_are_told(summary, facts):
    text = markdown.report(summary)
    assert facts.data["test"]["dataset_sha256"] in text
    assert "```toml" in text
    assert "eta = 0.3" in text


def test_a_bar_in_a_name_does_not_end_its_cell(metrics, meanings, facts):
    renamed = metrics.with_columns(model=metrics["model"].replace({"spectral": "a|b"}))
    text = markdown.report(summarise(renamed, meanings, "r2", facts))
    rows = tables(text)[0]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert "`a\\|b`" in text

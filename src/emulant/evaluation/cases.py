"""Scores case by case, beside the means of metrics.csv: `evaluation/cases.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path

import polars as pl

from emulant.dataset.atomic import write_text
from emulant.errors import DataError
from emulant.evaluation.scores import CaseScores

SCHEMA = pl.Schema(
    {
        "split": pl.String(),
        "model": pl.String(),
        "start": pl.String(),
        "case": pl.Int64(),
        "family": pl.String(),
        "metric": pl.String(),
        "value": pl.Float64(),
    }
)
"""The columns of cases.csv; `start` is empty for a cold start, `value` is over all forecast frames."""


def tabulate(found: Iterable[CaseScores], cases: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The score of every case over its whole forecast; `cases` gives the families, by split."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for scores in found:
        known = cases[scores.split].select("case", "family")
        for metric in scores.values:
            part = pl.DataFrame({"case": list(scores.cases), "value": scores.overall(metric)})
            part = part.join(known, on="case", how="left")
            labels = {"split": scores.split, "model": scores.model, "start": scores.start.label, "metric": metric}
            frames.append(
                part.with_columns(pl.lit(text).alias(name) for name, text in labels.items()).select(SCHEMA.names())
            )
    return pl.concat(frames).sort("split", "start", "model", "metric", "case")


def write(frame: pl.DataFrame, path: Path) -> None:
    write_text(path, frame.write_csv())


def read(path: Path) -> pl.DataFrame:
    """Read cases.csv.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        return pl.read_csv(StringIO(path.read_text(encoding="utf-8")), schema=SCHEMA).with_columns(
            pl.col("start").fill_null("")
        )
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path}: not a table of scores ({error}).", "`emulant evaluate RUN` writes it anew."
        ) from error

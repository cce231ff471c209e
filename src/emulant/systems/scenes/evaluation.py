"""Which scenes are scored, in which groups, and what else is made of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_json
from emulant.dataset.seams import Dataset
from emulant.systems.scenes.catalogue import TYPES
from emulant.systems.scenes.layout import STATIC_FIELDS, layout
from emulant.systems.scenes.touching import encounters, flat_states

BATCH_CASES = 64
DOCUMENTED = {"position_mse": "mse", "within_1px": "accuracy", "velocity_mse": "velocity_mse", "coverage": "coverage"}
"""Our metrics under the names of `metrics.json`."""


def first_of_each_type(dataset: Dataset, most: int) -> Dataset:
    """The first scenes of each type by number, at most so many."""
    kept = dataset.cases.filter(pl.int_range(pl.len()).over("family") < most)
    return dataset if len(kept) == len(dataset) else dataset.select(kept["case"].to_list())


def described(dataset: Dataset, evaluation: Any) -> pl.DataFrame:
    """`dataset.cases` with `groups`: category, difficulty, and `contact` if anything touches in the forecast frames."""
    cases = dataset.cases
    touched = pl.Series(_touched(dataset, int(evaluation.context_frames), int(evaluation.rollout_frames)))
    groups = pl.concat_list(
        pl.format("category:{}", "category"),
        pl.format("difficulty:{}", "difficulty"),
        pl.when(touched).then(pl.lit("contact")).otherwise(None),
    ).list.drop_nulls()
    return cases.with_columns(groups.alias("groups"))


def _touched(dataset: Dataset, context: int, horizon: int) -> list[bool]:
    found: list[bool] = []
    for batch in dataset.batches(BATCH_CASES, ["state", *STATIC_FIELDS]):
        plan = layout(batch)
        met = encounters(plan, flat_states(plan, batch["state"][:, context : context + horizon]))[0]
        scenes = plan["scene"][met.pairs[0][met.touching.any(axis=0)]]
        found += np.isin(np.arange(len(batch["state"])), scenes).tolist()
    return found


def document(scores: pl.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """metrics.csv as `evaluation/metrics.json` has it: model -> type -> mse, accuracy, velocity_mse, coverage, n.

    A type that is in several splits has the scores of the first of them: `test`, else `test_heldout`, else `test_ood`.
    """
    rows = scores.filter(pl.col("metric").is_in(DOCUMENTED) & (pl.col("horizon") == "all")).sort("split")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for split in ("test_ood", "test_heldout", "test"):  # later ones stand over earlier ones
        for row in rows.filter(pl.col("group").is_in(TYPES), split=split).iter_rows(named=True):
            of_type = found.setdefault(row["model"], {}).setdefault(row["group"], {})
            of_type |= {DOCUMENTED[row["metric"]]: row["value"], "n": row["n"]}
    return found


def write_document(scores: pl.DataFrame, path: Path) -> Path:
    """`metrics.json`; what is not finite is written as a text, since JSON has no such number."""
    plain = {
        model: {type_: {name: _plain(value) for name, value in values.items()} for type_, values in types.items()}
        for model, types in document(scores).items()
    }
    write_json(path, plain)
    return path


def _plain(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def headers(run: Any) -> Mapping[str, Any]:
    """What the metrics need to know of the scenes of an opened run."""
    from emulant.systems.scenes.metrics import Headers

    return {"headers": Headers(run.dataset)}

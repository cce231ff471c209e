"""How chaotic the test cases are: `evaluation/lyapunov.csv`, and the groups that scores are told by."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.atomic import replacing
from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Array, Dataset
from emulant.systems.pendulum.config import PARAMETERS, PendulumEvaluation
from emulant.systems.pendulum.lyapunov import Spectrum, spectrum

EXPONENTS = tuple(f"lyapunov_{k}" for k in (1, 2, 3, 4))


def described(dataset: Dataset, evaluation: PendulumEvaluation, folder: Path) -> pl.DataFrame:
    """`dataset.cases` with the exponents of every case and its family, chaotic or regular.

    The tangent dynamics run from the case's start over `lyapunov_time`, however long the case itself is. What is
    computed is kept in `lyapunov.csv` and computed again only when starts, parameters or times have changed.
    """
    starts, parameters = _starts(dataset)
    key = hash_value([starts.tolist(), parameters.tolist(), evaluation.lyapunov_time])
    kept = _kept(folder / "lyapunov.csv", dataset.split, key)
    if kept is None:
        found = _spectrum(starts.tobytes(), parameters.tobytes(), evaluation.lyapunov_time)
        columns = {name: found.exponents[:, k] for k, name in enumerate(EXPONENTS)}
        kept = pl.DataFrame({"case": dataset.cases["case"], **columns, "standard_error": found.standard_error})
        kept = kept.with_columns(
            pl.lit(dataset.split).alias("split"), pl.lit(found.time).alias("time"), key=pl.lit(key)
        )
    chaotic = pl.col("lyapunov_1") > evaluation.chaotic_above
    kept = kept.with_columns(pl.when(chaotic).then(pl.lit("chaotic")).otherwise(pl.lit("regular")).alias("group"))
    _keep(folder / "lyapunov.csv", kept, dataset.split)
    told = kept.select("case", *EXPONENTS, "standard_error", family=pl.col("group"))
    return dataset.cases.drop("family").join(told, on="case", how="left", maintain_order="left")


def are_chaotic(dataset: Dataset, evaluation: PendulumEvaluation) -> Array:
    """(C,) whether the largest exponent of a case is above `chaotic_above`, as in `described`."""
    starts, parameters = _starts(dataset)
    found = _spectrum(starts.tobytes(), parameters.tobytes(), evaluation.lyapunov_time)
    return np.asarray(found.exponents[:, 0] > evaluation.chaotic_above)


def _starts(dataset: Dataset) -> tuple[Array, Array]:
    """(C, 4) and (C, 5)."""
    starts = np.ascontiguousarray(dataset.read(["state"])["state"][:, 0])
    return starts, np.ascontiguousarray(dataset.cases.select(PARAMETERS).to_numpy())


@lru_cache(maxsize=4)
def _spectrum(starts: bytes, parameters: bytes, time: float) -> Spectrum:
    """Kept while this process lives: one evaluation asks for it once for every model."""
    return spectrum(np.frombuffer(starts).reshape(-1, 4), np.frombuffer(parameters).reshape(-1, 5), time)


def _columns() -> tuple[str, ...]:
    return ("split", "case", "sim_id", "group", *EXPONENTS, "standard_error", "time", "key")


def _read(path: Path) -> pl.DataFrame | None:
    try:
        table = pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError):
        return None  # none, or damaged: it is computed again
    return table if set(_columns()) <= set(table.columns) else None


def _kept(path: Path, split: str, key: str) -> pl.DataFrame | None:
    table = _read(path)
    if table is None:
        return None
    mine = table.filter((pl.col("split") == split) & (pl.col("key") == key))
    return mine if len(mine) else None


def _keep(path: Path, rows: pl.DataFrame, split: str) -> None:
    from emulant.systems.pendulum.files import sim_id

    names = [sim_id(split, case) for case in rows["case"].to_list()]
    named = rows.with_columns(pl.Series("sim_id", names)).select(_columns())
    others = _read(path)
    parts: list[Any] = [] if others is None else [others.filter(pl.col("split") != split).select(_columns())]
    with replacing(path) as partial:
        pl.concat([*parts, named], how="vertical_relaxed").write_csv(partial)

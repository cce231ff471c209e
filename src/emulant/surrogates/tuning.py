"""Folds of training cases, and the score in closed loop on what was held out of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from emulant.dataset.seams import Array
from emulant.errors import SurrogateError


def folds(cases: pl.DataFrame, count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Split cases `count` times into (kept, held out); every case is held out once.

    Cases that share a `group_key` stay together, and the groups of each family are dealt out in turn, so that every
    fold has its share of every family. There is no chance in it: the same cases give the same folds.

    Raises:
        SurrogateError: Fewer than two groups.
    """
    groups = cases.group_by("group_key", maintain_order=True).agg(pl.col("family").first())
    count = min(count, len(groups))
    if count < 2:
        raise SurrogateError(
            f"Folds need at least two independent training cases, there are {len(groups)}.",
            "Raise splits.training, or switch `tune` and `blend` off.",
        )
    # In order of family, then dealt in turn: families differ by at most one group between folds.
    dealt = groups.sort("family", maintain_order=True).with_columns(fold=pl.int_range(pl.len()) % count)
    fold_of = dict(zip(dealt["group_key"].to_list(), dealt["fold"].to_list(), strict=True))
    fold = np.array([fold_of[key] for key in cases["group_key"].to_list()])
    numbers = cases["case"].to_numpy()
    for index in range(count):
        yield numbers[fold != index].tolist(), numbers[fold == index].tolist()


def r2_of_codes(forecast: Array, truth: Array, outside: Array, spread: Array) -> float:
    """Mean R² over cases of fields that are known by their codes in an orthonormal basis.

    Args:
        forecast: (C, H, r)
        truth: (C, H, r)
        outside: (C,) what of the true fields' squared norm lies outside the basis, summed over the frames.
        spread: (C,) the squared distance of the true fields from their own mean over space and time.

    Returns:
        -inf if a rollout is so large that its square is.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # candidates may diverge; they lose
        missed = np.sum((forecast - truth) ** 2, axis=(1, 2)) + outside
        score = float(np.mean(1.0 - missed / spread))
    return score if np.isfinite(score) else -np.inf

"""The kept forecasts of a test split beside their truth, as arrays, for figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.seams import Array
from emulant.evaluation.forecasts import Start


@dataclass(frozen=True)
class Kept:
    """The cold-start forecasts of one model for one test split."""

    cases: pl.DataFrame
    """Per case its number, `group` (chaotic or regular) and `lyapunov_1` in 1/s."""
    lead: Array
    """(H,) s since the last sample that was given."""
    truth: Array
    """(C, H, 4)"""
    states: Array
    """(C, H, 4)"""

    def only(self, group: str) -> Kept:
        """The cases of one group."""
        rows = (self.cases["group"] == group).to_numpy()
        return Kept(self.cases.filter(group=group), self.lead, self.truth[rows], self.states[rows])


def kept_forecasts(run: Any, model: str, split: str) -> Kept:
    """What `model` has put out for all cases of a split.

    Raises:
        DataError: The predictions or the exponents are not there, or are damaged.
    """
    dataset, stored = run.dataset(split), run.study.system.predictions(run.folder.predictions(model))
    numbers = dataset.cases["case"].to_list()
    states = next(stored.read(split, Start("", 0), ["state"], numbers, len(numbers)))[1]["state"]
    truth = dataset.read(["state"])["state"][:, -states.shape[1] :]
    exponents = pl.read_csv(run.folder.metrics.parent / "lyapunov.csv").filter(split=split)
    cases = dataset.cases.select("case").join(
        exponents.select("case", "group", "lyapunov_1"), on="case", how="left", maintain_order="left"
    )
    lead = (1 + np.arange(states.shape[1])) * float(dataset.geometry["step"])
    return Kept(cases, lead, truth, states)

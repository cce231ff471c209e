"""What figures of several kinds need: the cells of the first test split, and what the models say of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Inputs
from emulant.systems.flavor.fields import EXCLUDED, F4_FINAL, F4_INITIAL, GROWTH, STABLE

MOST = 1000
"""Cells that are drawn."""
COMPARED = ("mixing", "multitask", "profile", "box3d")


def kinds(run: Any) -> dict[str, str]:
    """Model -> surrogate, baseline or oracle."""
    return {entrant.name: entrant.kind for entrant in run.entrants()}


def tested(run: Any) -> tuple[dict[str, Array], Array]:
    """Cells of the first test split, all fields and the margin; and whether their final state is to be trusted."""
    dataset = run.dataset(run.test_splits[0])
    cases = dataset.cases["case"].to_list()[:MOST]
    arrays = dataset.read([F4_INITIAL, F4_FINAL, GROWTH, STABLE, "margin"], cases)
    trusted = np.isfinite(arrays[F4_FINAL]).all(axis=(1, 2, 3))
    if "outcome" in dataset.cases.columns:
        trusted &= ~dataset.cases["outcome"].is_in(EXCLUDED).to_numpy()[: len(cases)]
    return arrays, trusted


def answered(run: Any, arrays: dict[str, Array]) -> dict[str, dict[str, Array]]:
    """What the models that are compared say of the cells."""
    present = [name for name in COMPARED if name in kinds(run)]
    given = Inputs({F4_INITIAL: arrays[F4_INITIAL]})
    return {name: {k: v[:, 0] for k, v in run.model(name).predict(given).items()} for name in present}


def best(run: Any) -> str | None:
    """The surrogate that is drawn alone."""
    names = [name for name, kind in kinds(run).items() if kind == "surrogate"]
    return next((name for name in ("mixing", *names) if name in names), None)

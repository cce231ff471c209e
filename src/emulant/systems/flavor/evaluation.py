"""What scores need beyond truth and prediction: groups of cells, their starts, how a model bears a turned cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.seams import Array, Dataset, Inputs
from emulant.dataset.seeds import stream
from emulant.systems.flavor.fields import EXCLUDED, F4_FINAL, F4_INITIAL, F4_STDDEV, STABLE
from emulant.systems.flavor.metrics import MARGINS, RIVALS, totals
from emulant.systems.flavor.prescriptions import Prescription
from emulant.systems.flavor.tables import PrescriptionTable, ProfileTable, UntrainedTable

ROTATIONS = 3
PROBED = 512
"""Cells of a split, the first ones, that are turned."""


def groups(dataset: Dataset) -> pl.DataFrame:
    """`dataset.cases` with the list column `groups`: stability, depth of the crossing, whether the truth is trusted."""
    found, cases = dataset.read([STABLE, "margin"]), dataset.cases
    outcomes = cases["outcome"].to_list() if "outcome" in cases.columns else [""] * len(cases)
    lists = [
        _groups(is_stable, depth, outcome)
        for is_stable, depth, outcome in zip(found[STABLE] == 1, found["margin"], outcomes, strict=True)
    ]
    return cases.with_columns(pl.Series("groups", lists, dtype=pl.List(pl.String)))


def _groups(is_stable: bool, margin: float, outcome: str) -> list[str]:
    """Of one case."""
    excluded = ["excluded"] if outcome in EXCLUDED else []
    if is_stable or not margin > 0:
        return ["stable" if is_stable else "unstable", *excluded]
    place = int(np.searchsorted(MARGINS, min(margin, MARGINS[-1]), side="left"))
    return ["unstable", f"margin_{MARGINS[place - 1]:g}_{MARGINS[place]:g}", *excluded]


def known(run: Any) -> Mapping[str, Any]:
    """`start`, `spread` and the names of `RIVALS`: the four-fluxes before, how far the truth moves with the seed of its
    simulations, and the four-fluxes after by the rivals; split -> case -> (4, 2, NF)."""
    found: dict[str, dict[str, Any]] = {name: {} for name in ("start", "spread", *RIVALS)}
    tables = (PrescriptionTable, ProfileTable, UntrainedTable)
    laws = {name: Prescription(table()) for name, table in zip(RIVALS, tables, strict=True)}
    for split in run.test_splits:
        dataset = run.dataset(split)
        numbers, arrays = dataset.cases["case"].to_list(), dataset.read([F4_INITIAL, F4_STDDEV])
        f4 = np.asarray(arrays[F4_INITIAL], dtype=float)
        by_name = {"start": f4, "spread": arrays[F4_STDDEV]} | {
            name: law.outcome(f4).final for name, law in laws.items()
        }
        for name, values in by_name.items():
            found[name][split] = dict(zip(numbers, values, strict=True))
    return found


def probe(name: str, model: Any, dataset: Dataset, evaluation: Any) -> Mapping[str, Array]:
    """How the answer changes when a cell is turned or mirrored, over n_tot; what the model says of its own error."""
    if not hasattr(model, "predict"):
        return {}
    f4 = np.asarray(dataset.read([F4_INITIAL])[F4_INITIAL], dtype=float)
    measured = {"rotation_error": np.full(len(f4), np.nan), "mirror_error": np.full(len(f4), np.nan)}
    some = f4[:PROBED]
    plain, scale = _final(model, some), totals(some)
    rng = stream(0, "rotation", 1)
    worst = np.zeros(len(some))
    for _ in range(ROTATIONS):
        turn = _rotations(rng, len(some))
        off = np.abs(_turned(plain, turn) - _final(model, _turned(some, turn))) / scale
        worst = np.maximum(worst, off.max(axis=(1, 2, 3)))
    measured["rotation_error"][:PROBED] = worst
    mirrored = np.abs(plain[:, :, ::-1] - _final(model, np.ascontiguousarray(some[:, :, ::-1]))) / scale
    measured["mirror_error"][:PROBED] = mirrored.max(axis=(1, 2, 3))
    return measured | (_own_judgement(model, dataset, f4) if hasattr(model, "prediction") else {})


def _own_judgement(model: Any, dataset: Dataset, f4: Array) -> dict[str, Array]:
    found = model.prediction(f4)
    truth = dataset.read([F4_FINAL])[F4_FINAL]
    off = (found.outcome.final - truth) / totals(f4)
    error = np.sqrt(np.mean(off**2, axis=(1, 2, 3)))
    cases = dataset.cases
    if "outcome" in cases.columns:
        error[cases["outcome"].is_in(EXCLUDED).to_numpy()] = np.nan
    return {
        "uncertainty": found.uncertainty,
        "unseen": ((found.outcome.status & 2) > 0).astype(float),
        "rank_product": _rank_product(found.uncertainty, error),
    }


def _rank_product(a: Array, b: Array) -> Array:
    """Products of standardised ranks, whose mean is Spearman's coefficient; NaN where either is 0 or not known."""
    good = (a > 0) & (b > 0)
    product = np.full(len(a), np.nan)
    if good.sum() > 2:
        ranks = [np.argsort(np.argsort(values[good])).astype(float) for values in (a, b)]
        first, second = ((rank - rank.mean()) / rank.std() for rank in ranks)
        product[good] = first * second
    return product


def _final(model: Any, f4: Array) -> Array:
    return np.asarray(model.predict(Inputs({F4_INITIAL: f4}))[F4_FINAL][:, 0])


def _rotations(rng: np.random.Generator, count: int) -> Array:
    turned, upper = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    turned = turned * np.sign(np.diagonal(upper, axis1=1, axis2=2))[:, None]
    return np.asarray(turned * np.sign(np.linalg.det(turned))[:, None, None])


def _turned(f4: Array, turn: Array) -> Array:
    return np.concatenate([np.einsum("cij,cjsa->cisa", turn, f4[:, :3]), f4[:, 3:]], axis=1)

"""What can be wrong with cells: conservation, positivity, |F| <= n, and labels that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Finding
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.readers import CellDataset

Array = NDArray[Any]

PIECE = 1 << 16
"""Cells that are read together."""
CONSERVED = 1e-10
"""Over n_tot: what our own cells keep. Cells of the user's are held to `GIVEN`, as they were when they were read."""
GIVEN = 1e-3
PHYSICAL = 2e-3
"""By how much, over n_tot, a species may lie outside n >= 0, |F| <= n: the error of the box's grid of directions."""


def check(dataset: CellDataset) -> Iterator[Finding]:
    """One finding per cell and check; the split is read in pieces."""
    outcomes = dict(zip(*(dataset.cases[name].to_list() for name in ("case", "outcome")), strict=True))
    numbers = dataset.cases["case"].to_numpy()
    for start in range(0, len(numbers), PIECE):
        cases = numbers[start : start + PIECE]
        arrays = dataset.read([F4_INITIAL, F4_FINAL, GROWTH, STABLE], cases.tolist())
        given = np.array([outcomes[case] == "given" for case in cases.tolist()])
        for name, wrong, by in _faults(arrays, given):
            for place in np.flatnonzero(wrong):
                yield Finding(f"{dataset.split}: case {cases[place]}", name, by.format(wrong[place]))


def _faults(arrays: Mapping[str, Array], given: Array) -> Iterator[tuple[str, Array, str]]:
    """Name of a check, how wrong each cell is (0: right), how to say it."""
    start, end = arrays[F4_INITIAL], arrays[F4_FINAL]
    total = start[:, 3].sum(axis=(1, 2))
    scale = np.where(total > 0.0, total, 1.0)
    with np.errstate(invalid="ignore"):  # NaN: there is no final state, and no comparison with it is ever true
        change = (end - start) / scale[:, None, None, None]
        trace = np.abs(change.sum(axis=3)).max(axis=(1, 2))
        lepton = np.abs(change[:, 3, 0] - change[:, 3, 1]).max(axis=1)
        allowed = np.where(given, GIVEN, CONSERVED)
        yield "conservation", np.where(trace > allowed, trace, 0.0), "species sums change by {:.2g} n_tot"
        yield "lepton number", np.where(lepton > allowed, lepton, 0.0), "lepton numbers change by {:.2g} n_tot"
        for name, f4 in (("start", start), ("final state", end)):
            lowest = -(f4[:, 3].min(axis=(1, 2)) / scale)
            excess = ((np.sqrt((f4[:, :3] ** 2).sum(axis=1)) - f4[:, 3]).max(axis=(1, 2))) / scale
            yield name, np.where(lowest > PHYSICAL, lowest, 0.0), "a density is negative by {:.2g} n_tot"
            yield name, np.where(excess > PHYSICAL, excess, 0.0), "a flux exceeds its density by {:.2g} n_tot"
        moved = np.abs(change).max(axis=(1, 2, 3))
        stable, growth = arrays[STABLE] == 1, arrays[GROWTH]
        yield "stability", np.where(stable & (moved > 0.0), moved, 0.0), "is stable, but changes by {:.2g} n_tot"
        wrong = (stable & (growth != 0.0)) | (~stable & (growth <= 0.0))
        yield "growth", np.where(wrong, np.where(growth == 0.0, 1.0, growth), 0.0), "growth rate contradicts `stable`"


def leaks(datasets: Mapping[str, CellDataset]) -> Iterator[Finding]:
    """Cells that start exactly alike, within a split and across splits; vacuum does not count."""
    seen: dict[bytes, tuple[str, int]] = {}
    for split, dataset in datasets.items():
        numbers = dataset.cases["case"].to_numpy()
        for start in range(0, len(numbers), PIECE):
            cases = numbers[start : start + PIECE].tolist()
            rows = dataset.read([F4_INITIAL], cases)[F4_INITIAL]
            for case, row in zip(cases, rows, strict=True):
                digest = sha256(row.tobytes()).digest()
                first, other = seen.setdefault(digest, (split, case))
                if (first, other) != (split, case) and row.any():
                    check = "duplicate" if first == split else "leak"
                    yield Finding(split, check, f"{split} case {case} starts exactly as {first} case {other}")

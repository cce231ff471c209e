"""`emulant validate` on Parquet files of pendulums that belong to no run, whoever made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emulant.dataset.seams import Finding
from emulant.systems.pendulum import checks
from emulant.systems.pendulum.options import ValidateOptions
from emulant.systems.pendulum.readers import PendulumDataset, open_files, parquet_files


def reads(path: Path) -> bool:
    """Whether a path is a Parquet file or a folder of such."""
    return path.suffix == ".parquet" if path.is_file() else path.is_dir() and any(path.glob("*.parquet"))


def check(path: Path, options: ValidateOptions, deep: int) -> tuple[int, list[str], list[Finding]]:
    """How many simulations there are, what could not be looked at, and what is wrong."""
    g = options.g
    findings = list(checks.files(path, g))
    unreadable = {finding.where for finding in findings}
    files = [file for file in parquet_files(path) if file.name not in unreadable]
    notes = ["no manifest: hashes are not compared"]
    if not files:
        return 0, notes, findings
    dataset = open_files(path, files, g)
    findings += checks.check(dataset, options.tolerance)
    if deep:
        findings += checks.deep(dataset, deep)
    return len(dataset), [*notes, *_taken_for_granted(dataset, g, deep)], findings


def _taken_for_granted(dataset: PendulumDataset, g: float, deep: int) -> list[str]:
    made = dataset.made.provenance
    notes = [] if made or "g" in dataset.columns else [f"the files do not say g: {g:g} m/s² is assumed (--g)"]
    if deep and np.isnan(dataset.index["trust_horizon"].to_numpy()).all():
        notes.append("the files have no trust horizons: none is compared")
    return notes

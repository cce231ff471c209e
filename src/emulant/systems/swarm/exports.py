"""Swarm data in other layouts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from emulant.dataset.atomic import replacing, write_npz
from emulant.dataset.tables import Table
from emulant.systems.swarm.files import DENSITY, ORDER, TRAJECTORY, case_folder


def flat(run: Any, splits: Sequence[str], target: Path, options: Table) -> list[Path]:
    """The flat names of the source document: `train_000_traj.npz`, `test_000_order_params.npz`, ..."""
    written = []
    for split in splits:
        for case in run.dataset(split).cases["case"].to_list():
            name = case_folder(split, case)
            for file in (TRAJECTORY, DENSITY, ORDER):
                source, copy = run.folder.split(split) / name / file, target / f"{name}_{file}"
                if source.is_file():
                    with replacing(copy) as partial:
                        shutil.copyfile(source, partial)
                    written.append(copy)
    return written


def stacked(run: Any, splits: Sequence[str], target: Path, options: Table) -> list[Path]:
    """One NPZ per split with every array stacked over its cases, beside `case` and `family`."""
    written = []
    for split in splits:
        dataset = run.dataset(split)
        arrays = dataset.read(list(dataset.schema))
        labels = {name: dataset.cases[name].to_numpy() for name in ("case", "family")}
        labels["family"] = labels["family"].astype(str)
        written.append(write_npz(target / f"{split}.npz", {**labels, **arrays}))
    return written


def csv(run: Any, splits: Sequence[str], target: Path, options: Table) -> list[Path]:
    """One table per split: case, family, time and the order parameters."""
    names = ("times", "polarization", "mean_speed", "nematic")
    written = []
    for split in splits:
        dataset = run.dataset(split)
        arrays = dataset.read([name for name in names if name in dataset.schema])
        frames = arrays["times"].shape[1]
        table = dataset.cases.select("case", "family").select(pl.all().repeat_by(frames).explode())
        columns = {name: array.reshape(-1) for name, array in arrays.items()}
        path = target / f"{split}.csv"
        with replacing(path) as partial:
            table.hstack(pl.DataFrame(columns)).write_csv(partial)
        written.append(path)
    return written

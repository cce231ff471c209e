"""`emulant validate` on a tree of JSON lines that belongs to no run, whoever made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from emulant.dataset.seams import Finding
from emulant.dataset.seeds import stream
from emulant.errors import DataError, SimulationError
from emulant.systems.scenes.checks import check as check_dataset
from emulant.systems.scenes.checks import check_leaks
from emulant.systems.scenes.readers import ScenesDataset, open_dataset, title
from emulant.systems.scenes.scene import SCALE, STATE
from emulant.systems.scenes.simulation import simulate

SCENES = "*/scene_*.jsonl"


def trees(path: Path) -> Mapping[str, Path]:
    """Name -> folder of `TYPE/scene_00000001.jsonl`: the path itself, or one for each split below it."""
    if any(path.glob(SCENES)):
        return {path.name: path}
    return {
        folder.parent.name: folder.parent for folder in sorted(path.glob("*/*")) if any(folder.glob("scene_*.jsonl"))
    }


def check(path: Path, resimulate: int) -> tuple[int, list[str], list[Finding]]:
    """How many scenes there are, what was done or taken for granted, and what is wrong."""
    findings: list[Finding] = []
    datasets: dict[str, ScenesDataset] = {}
    for split, folder in trees(path).items():
        try:
            datasets[split] = open_dataset(
                folder, lambda error: findings.append(Finding(path.name, "file", str(error)))
            )
        except DataError as error:
            findings.append(Finding(split, "file", str(error)))
    notes = ["no manifest: hashes are not compared"]
    for dataset in datasets.values():
        findings += check_dataset(dataset)
        if resimulate:
            findings += _again(dataset, resimulate, notes)
    findings += check_leaks(datasets)
    return sum(map(len, datasets.values())), notes, findings


def _again(dataset: ScenesDataset, count: int, notes: list[str]) -> Iterator[Finding]:
    """Simulate some scenes from their headers; how far they are off is added to `notes`."""
    known = dataset.cases["case"].to_list()
    chosen = sorted(stream(0, "subsample", len(known)).permutation(known)[:count].tolist())
    largest = 0.0
    for case in chosen:
        where = f"{dataset.split}: {title(case)}"
        try:
            recording = dataset.recording(case)
            states = simulate(recording.scene, len(recording.state))
        except DataError:
            continue  # told already, when the scene was checked
        except SimulationError as error:
            yield Finding(where, "resimulate", str(error))
            continue
        apart = np.abs(np.rint(states * SCALE) - np.rint(recording.state * SCALE)) / SCALE
        largest = max(largest, float(apart.max(initial=0.0)))
        if apart.any():
            frame, body, part = np.argwhere(apart)[0]
            yield Finding(where, "resimulate", f"{STATE[part]} of body {body} differs from frame {frame + 1} on")
    notes.append(f"{dataset.split}: {len(chosen)} scenes simulated again from headers, largest deviation {largest:.3g}")

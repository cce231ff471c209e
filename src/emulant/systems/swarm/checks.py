"""The physics that every stored swarm must obey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.npz import header, opened
from emulant.dataset.seams import Array, Dataset, Finding
from emulant.errors import DataError
from emulant.systems.swarm.files import TRAJECTORY

EXACT = 1e-9
"""Relative; what the equations say exactly may differ by rounding only."""


def check(dataset: Dataset) -> Iterator[Finding]:
    """Positions in the box, mass = N, and (where headings are stored) steps of length v0 dt along the heading."""
    for case in dataset.cases["case"].to_list():
        names = [name for name in ("positions", "headings", "rho", "polarization", "nematic") if name in dataset.schema]
        try:
            arrays = {name: array[0] for name, array in dataset.read(names, [case]).items()}
        except DataError:
            continue  # told already by the check of the files
        for law, look in LAWS.items():
            if what := look(arrays, dataset.geometry):
                yield Finding(f"{dataset.split}: case {case}", law, what)


def _in_box(arrays: dict[str, Array], geometry: Any) -> str:
    size = np.array([geometry["Lx"], geometry["Ly"]])
    outside = ((arrays["positions"] < 0) | (arrays["positions"] > size)).any(axis=-1)
    return f"{int(outside.sum())} positions lie outside the box" if outside.any() else ""


def _mass(arrays: dict[str, Array], geometry: Any) -> str:
    particles = arrays["positions"].shape[1]
    error = np.abs(arrays["rho"].sum(axis=(1, 2)) * geometry["cell_area"] - particles).max() / particles
    # A density made elsewhere may be cut at the walls or the grid; more than a per cent is no density of these.
    return f"the density integrates to {particles} particles but for {error:.2%}" if error > 0.01 else ""


def _steps(arrays: dict[str, Array], geometry: Any) -> str:
    """One step at a time is stored and no force accelerates: then Δx = v0 dt (cos θ, sin θ), wrapped or mirrored."""
    if "headings" not in arrays or not geometry["exact_steps"]:
        return ""
    heading = arrays["headings"][1:, :, None]
    expected = geometry["speed"] * geometry["step"] * np.concatenate([np.cos(heading), np.sin(heading)], axis=-1)
    moved = np.diff(arrays["positions"], axis=0)
    error = np.abs(_shortest(moved - expected, geometry)).max(axis=-1)
    if geometry["bc"] == "reflecting":  # at a wall the path is folded: only what stays clear of it can be compared
        error = error[np.abs(np.abs(moved) - np.abs(expected)).max(axis=-1) < EXACT]
    wrong = int((error > EXACT * max(geometry["Lx"], geometry["Ly"])).sum())
    return f"{wrong} steps are not v0 dt along the stored heading" if wrong else ""


def _shortest(offset: Array, geometry: Any) -> Array:
    if geometry["bc"] == "reflecting":
        return offset
    size = np.array([geometry["Lx"], geometry["Ly"]])
    return np.asarray(offset - size * np.round(offset / size))


def _order(arrays: dict[str, Array], _geometry: Any) -> str:
    names = [name for name in ("polarization", "nematic") if name in arrays]
    wrong = [name for name in names if (arrays[name] < 0).any() or (arrays[name] > 1 + EXACT).any()]
    return f"{wrong[0]} leaves [0, 1]" if wrong else ""


LAWS: dict[str, Callable[[dict[str, Array], Any], str]] = {
    "box": _in_box,
    "mass": _mass,
    "steps": _steps,
    "order": _order,
}


def pickled(root: Path) -> Iterator[Finding]:
    """Object arrays in `traj.npz` of trees made elsewhere: they are never opened, and whoever made them should know."""
    found = [path for path in sorted(root.glob(f"*/*/{TRAJECTORY}")) if _has_objects(path)]
    if found:
        where = (
            f"{found[0].relative_to(root)} and {len(found) - 1} others"
            if found[1:]
            else str(found[0].relative_to(root))
        )
        yield Finding(where, "pickle", "`config` is an array of Python objects, which is never opened")


def _has_objects(path: Path) -> bool:
    try:
        with opened(path) as file:
            return "config" in file.files and header(file, "config").hasobject
    except DataError:
        return False  # told already by the check of the files

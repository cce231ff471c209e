"""What every cutout must obey, whoever has made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Dataset, Finding
from emulant.errors import DataError
from emulant.systems.halos.box import CRITICAL_DENSITY

CLOSURE = 0.011
"""Relative: particles may miss Omega0 rho_c L³ by a per cent, and maps are stored in single precision."""
TURNED = 0.5
"""The same for a rotated cube, which holds some matter twice and some not at all."""
EXACT = 1e-9
_BATCH = 64


def check(dataset: Dataset) -> Iterator[Finding]:
    """Mass in the whole box, no negative mass, no empty map, rotations that are rotations, no sample twice."""
    names = [name for name in dataset.schema if name not in ("halo_mass", "halo_center")]
    numbers = dataset.cases["case"].to_list()
    for start in range(0, len(numbers), _BATCH):
        some = numbers[start : start + _BATCH]
        try:
            arrays = dataset.read(names, some)
        except DataError:
            continue  # told already by the check of the files
        for law, look in LAWS.items():
            for row, what in look(arrays, dataset.geometry):
                yield Finding(f"{dataset.split}: case {some[row]}", law, what)
    yield from _shares(dataset)


def _closure(arrays: Mapping[str, Array], geometry: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The map of the largest scale holds all mass of the box, if it is as large."""
    if "scales" not in geometry or geometry["scales"][-1] < geometry["box_size"]:
        return
    density = arrays["params"][:, list(geometry["parameters"]).index("Omega0")] * CRITICAL_DENSITY
    expected = density * geometry["box_size"] ** 3
    found = arrays["large_scale"][:, -1].astype(np.float64).mean(axis=(1, 2)) * geometry["npix"] ** 2
    is_turned = np.abs(arrays["rotation"] - np.eye(3)).max(axis=(1, 2)) > 0
    for row in np.nonzero(~(np.abs(found / expected - 1) < np.where(is_turned, TURNED, CLOSURE)))[0]:
        yield int(row), f"the whole box has {found[row]:.4g} Msun/h, Omega0 rho_c L³ is {expected[row]:.4g}"


def _masses(arrays: Mapping[str, Array], _geometry: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for name in ("condition", "target", "large_scale"):
        rows = (arrays[name] < 0).reshape(len(arrays[name]), -1).any(axis=1)
        for row in np.nonzero(rows)[0]:
            yield int(row), f"`{name}` has negative masses"
    for row in np.nonzero(arrays["condition"].sum(axis=(1, 2)) == 0)[0]:
        yield int(row), "`condition` is empty"


def _nesting(arrays: Mapping[str, Array], geometry: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The middle of the second scale is the first one, seen more coarsely."""
    if "scales" not in geometry:
        return
    ratio = geometry["scales"][1] / geometry["scales"][0]
    side = arrays["condition"].shape[-1]
    if side % round(ratio) or abs(ratio - round(ratio)) > EXACT:
        return
    inner = round(side / ratio)
    first = (side - inner) // 2
    outer = arrays["large_scale"][:, 0, first : first + inner, first : first + inner].astype(np.float64).mean((1, 2))
    own = arrays["condition"].astype(np.float64).mean(axis=(1, 2))
    for row in np.nonzero(~(np.abs(outer - own) <= 1e-5 * own))[0]:
        yield int(row), "`condition` is not the middle of `large_scale`"


def _rotations(arrays: Mapping[str, Array], _geometry: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    if "rotation" not in arrays:
        return
    turns = arrays["rotation"]
    error = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    for row in np.nonzero((error > EXACT) | (np.linalg.det(turns) < 0))[0]:
        yield int(row), "`rotation` is no rotation"


LAWS: dict[str, Callable[[Mapping[str, Array], Mapping[str, Any]], Iterator[tuple[int, str]]]] = {
    "closure": _closure,
    "masses": _masses,
    "nesting": _nesting,
    "rotation": _rotations,
}


def _shares(dataset: Dataset) -> Iterator[Finding]:
    """Pixels of dm and gas without mass, over the whole split."""
    from emulant.systems.halos.samples import MOST_ZEROS

    zeros, pixels = np.zeros(2), 0
    for batch in dataset.batches(_BATCH, ["target"]):
        zeros += (batch["target"][:, :2] == 0).sum(axis=(0, 2, 3))
        pixels += batch["target"][:, 0].size
    for name, share in zip(("dm", "gas"), zeros / max(pixels, 1), strict=True):
        if share > MOST_ZEROS:
            yield Finding(dataset.split, "zeros", f"{share:.2%} of the pixels of `{name}` hold no mass")

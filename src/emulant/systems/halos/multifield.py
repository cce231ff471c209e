"""Maps of the CAMELS Multifield Dataset (Villaescusa-Navarro et al. 2022), in the units that are used here.

Its files are `Maps_FIELD_SUITE_SET_z=0.00.npy`, (N, 256, 256) float32, Msun/h per (Mpc/h)², several maps of every
simulation one after the other, and `params_SET_SUITE.txt` with a row per simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulant.errors import DataError

NAMES = {"dm": "Mcdm", "gas": "Mgas", "stars": "Mstar", "total": "Mtot"}
SIDE = 25.0
"""Mpc/h along a map."""
MEND = "Fetch the file again from the CAMELS Multifield Dataset."


@dataclass(frozen=True)
class Multifield:
    """Maps of one suite and set."""

    maps: dict[str, NDArray[np.float32]]
    """dm, gas, stars, total, those that are there: (N, n, n) Msun/h per pixel."""
    pixel: float
    """Mpc/h"""
    params: NDArray[np.float64] | None
    """(N, P) of each map's simulation; None if there is no file of parameters."""


def load_multifield(
    folder: str | Path, suite: str = "IllustrisTNG", set_: str = "LH", side: float = SIDE
) -> Multifield:
    """Read the mass maps of a folder.

    Args:
        folder: Where the `Maps_*.npy` are.
        suite: Such as `IllustrisTNG`, `SIMBA`.
        set_: Such as `LH`, `1P`, `CV`, `SB28`.
        side: Mpc/h along a map.

    Raises:
        DataError: There is no map, or one is torn, misshapen, negative or not finite; or counts do not fit.
    """
    root, maps = Path(folder), dict[str, NDArray[np.float32]]()
    for name, field in NAMES.items():
        path = root / f"Maps_{field}_{suite}_{set_}_z=0.00.npy"
        if path.is_file():
            maps[name] = _read(path)
    if not maps:
        raise DataError(f"{root}: has no file `Maps_Mgas_{suite}_{set_}_z=0.00.npy` or the like.", MEND)
    shapes = {name: array.shape for name, array in maps.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{root}: its maps have different shapes: {shapes}.", MEND)
    count, pixels, _ = next(iter(shapes.values()))
    pixel = side / pixels
    scaled = {name: (array * np.float32(pixel**2)).astype(np.float32) for name, array in maps.items()}
    return Multifield(scaled, pixel, _params(root / f"params_{set_}_{suite}.txt", count))


def _read(path: Path) -> NDArray[np.float32]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is damaged, or not a NumPy array: {error}.", MEND) from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[1] != array.shape[2]:
        raise DataError(f"{path}: is no stack of square maps (N, n, n).", MEND)
    if array.dtype.kind != "f" or not np.isfinite(array).all() or array.min(initial=0) < 0:
        raise DataError(f"{path}: has values that are no masses.", MEND)
    return array.astype(np.float32)


def _params(path: Path, count: int) -> NDArray[np.float64] | None:
    """A row per map: as many maps of each simulation as the counts say."""
    if not path.is_file():
        return None
    try:
        rows = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise DataError(f"{path}: is no table of numbers: {error}.", MEND) from error
    if not len(rows) or count % len(rows):
        raise DataError(f"{path}: has {len(rows)} rows, and {count} maps are no multiple of that.", MEND)
    return np.repeat(rows, count // len(rows), axis=0)

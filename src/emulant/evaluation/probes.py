"""What is measured of a model itself, such as its Lyapunov exponents: kept, and not measured twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Array, Fields
from emulant.errors import DataError

KEY = "key"


def probed(path: Path, key: str, measure: Callable[[], Fields]) -> Fields:
    """What `path` keeps for that key, (C,) each; else what `measure` gives, which is then kept."""
    kept = _read(path)
    if kept is not None and str(kept.pop(KEY, "")) == key:
        return kept
    found = measure()
    write_npz(path, {KEY: np.array(key), **found}, durable=False)
    return found


def _read(path: Path) -> dict[str, Array] | None:
    """The arrays of a file; None if it is missing or damaged, so that it is made again."""
    try:
        return read_arrays(path, names_in(path))
    except DataError:
        return None

"""The user's own files: which of their rows are sound.

Every row is looked at once: what is not finite is dropped, what is not physical is rejected, both are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from emulant.dataset import hdf5
from emulant.dataset.hashing import hash_file
from emulant.errors import DataError
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.files import pieces, read_columns, row_count

Array = NDArray[Any]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "asymptotic": (F4_INITIAL, F4_FINAL, GROWTH),
    "stable": (F4_INITIAL, STABLE),
    "initial": (F4_INITIAL,),
}
ROUNDING = 1e-10
"""Negative densities down to this, over n_tot, are set to 0."""
TOLERANCE = 1e-3
"""How far |F| may exceed n, relative; and how far sums may change between start and end, over n_tot."""
READ = 1 << 16
"""Rows that are looked at together."""


@dataclass(frozen=True, eq=False)
class Census:
    """What a file holds."""

    path: Path
    kind: str
    sha256: str
    rows: int
    dropped_nan: int
    rejected: Mapping[str, int]
    sound: Array = field(repr=False)
    """Numbers of the rows that may be used."""


def kind_of(path: Path) -> str:
    """What a file is, by the datasets that it has and never by its name: asymptotic, stable or initial."""
    _require(path)
    with hdf5.opened(path) as file:
        for kind in ("asymptotic", "stable"):
            if all(name in file for name in NEEDED[kind]):
                return kind
    return "initial"


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path}: is missing.", "[system.source] names it; paths start where the command is run.")


def fingerprint(path: Path) -> str:
    """sha256 of a file, worked out again only when its size or its time has changed.

    Raises:
        DataError: It is missing.
    """
    return _fingerprint(path, *_state(path))


def census(path: Path, kind: str) -> Census:
    """Look at every row of a file, once as long as it does not change.

    Raises:
        DataError: It is missing or damaged, lacks a dataset, has another shape or order of components, or no sound row.
    """
    return _census(path, kind, *_state(path))


def _state(path: Path) -> tuple[int, int]:
    _require(path)
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@cache
def _fingerprint(path: Path, size: int, changed: int) -> str:
    return hash_file(path)


@cache
def _census(path: Path, kind: str, size: int, changed: int) -> Census:
    dropped, reasons, sound = 0, dict[str, int](), []
    with hdf5.opened(path) as file:
        rows = row_count(file, path, NEEDED[kind])
        for piece in pieces(rows, READ):
            columns = read_columns(file, path, names_in(file, kind), piece)
            finite = np.all([np.isfinite(_flat(column)).all(axis=1) for column in columns.values()], axis=0)
            faults = _faults({name: column[finite] for name, column in columns.items()}, path)
            dropped += int(np.sum(~finite))
            for reason, wrong in faults.items():
                reasons[reason] = reasons.get(reason, 0) + int(wrong.sum())
            good = ~np.any(list(faults.values()), axis=0)
            sound.append(np.flatnonzero(finite)[good] + piece.start)
    found = Census(path, kind, fingerprint(path), rows, dropped, reasons, np.concatenate([*sound, np.empty(0, int)]))
    if not len(found.sound):
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        raise DataError(f"{path}: none of its {rows} rows can be used ({dropped} not finite; {told or 'none else'}).")
    return found


def names_in(file: h5py.File, kind: str) -> tuple[str, ...]:
    extra = (STABLE,) if kind == "asymptotic" and STABLE in file else ()
    return (*NEEDED[kind], *extra)


def _flat(column: Array) -> Array:
    return column.reshape(len(column), -1)


def _faults(columns: Mapping[str, Array], path: Path) -> dict[str, Array]:
    """Reason -> which rows are wrong for it; a row counts under the first of its reasons."""
    start = columns[F4_INITIAL]
    total = start[:, 3].sum(axis=(1, 2))
    found = {"negative density": negative(start), "flux above density": too_fast(start)}
    _require_order(start, found["flux above density"] | found["negative density"], path)
    if F4_FINAL in columns:
        end = columns[F4_FINAL]
        found["negative density"] |= negative(end)
        found["flux above density"] |= too_fast(end)
        change = end - start
        allowed = TOLERANCE * total
        found["number not conserved"] = (np.abs(change.sum(axis=3)) > allowed[:, None, None]).any(axis=(1, 2))
        lepton = change[:, 3, 0] - change[:, 3, 1]
        found["lepton number not conserved"] = (np.abs(lepton) > allowed[:, None]).any(axis=1)
        found["negative growth rate"] = columns[GROWTH] < 0.0
    if STABLE in columns:
        found["stable neither 0 nor 1"] = ~np.isin(columns[STABLE], (0, 1))
    known = np.zeros(len(start), bool)
    for reason, wrong in found.items():
        found[reason] = wrong & ~known
        known |= wrong
    return found


def negative(f4: Array) -> Array:
    """Rows (C, 4, 2, NF) with a density below rounding."""
    total = np.abs(f4[:, 3]).sum(axis=(1, 2))
    return np.asarray((f4[:, 3] < -ROUNDING * total[:, None, None]).any(axis=(1, 2)))


def too_fast(f4: Array) -> Array:
    """Rows with a flux larger than its density, beyond what rounding and noise explain."""
    largest = np.abs(f4).max(axis=(1, 2, 3), initial=0.0)[:, None, None, None]
    scaled = f4 / np.where(largest > 0.0, largest, 1.0)
    length = np.sqrt(np.sum(scaled[:, :3] ** 2, axis=1))
    return np.asarray((length > scaled[:, 3] * (1.0 + TOLERANCE) + ROUNDING).any(axis=(1, 2)))


def _require_order(start: Array, wrong: Array, path: Path) -> None:
    """The density is the largest of the four components: if it is another that is so, the order is another."""
    if len(start) == 0 or wrong.mean() <= 0.5:
        return
    turned = np.concatenate([start[:, 1:], start[:, :1]], axis=1)
    if (negative(turned) | too_fast(turned)).mean() < 0.5:
        raise DataError(
            f"{path}: dataset `{F4_INITIAL}` has its components in the order t, x, y, z: the first is the largest.",
            "Wanted is x, y, z, t with the density last.",
        )

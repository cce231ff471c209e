"""The user's own files: which of their rows are sound, and which of these belong to which split.

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
from emulant.dataset.seams import CaseResult, Shard
from emulant.dataset.seeds import stream
from emulant.errors import DataError
from emulant.systems.flavor.config import FlavorConfig
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
FILE_CASES = 10**9
"""Case numbers of one file: file · FILE_CASES + row."""
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
    with hdf5.opened(path) as file:
        for kind in ("asymptotic", "stable"):
            if all(name in file for name in NEEDED[kind]):
                return kind
    return "initial"


@cache
def census(path: Path, kind: str) -> Census:
    """Look at every row of a file once.

    Raises:
        DataError: It is missing or damaged, lacks a dataset, has another shape or order of components, or no sound row.
    """
    dropped, reasons, sound = 0, dict[str, int](), []
    with hdf5.opened(path) as file:
        rows = row_count(file, path, NEEDED[kind])
        for piece in pieces(rows, READ):
            columns = read_columns(file, path, _names(file, kind), piece)
            finite = np.all([np.isfinite(_flat(column)).all(axis=1) for column in columns.values()], axis=0)
            faults = _faults({name: column[finite] for name, column in columns.items()}, path)
            dropped += int(np.sum(~finite))
            for reason, wrong in faults.items():
                reasons[reason] = reasons.get(reason, 0) + int(wrong.sum())
            good = ~np.any(list(faults.values()), axis=0)
            sound.append(np.flatnonzero(finite)[good] + piece.start)
    found = Census(path, kind, hash_file(path), rows, dropped, reasons, np.concatenate([*sound, np.empty(0, int)]))
    if not len(found.sound):
        told = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        raise DataError(f"{path}: none of its {rows} rows can be used ({dropped} not finite; {told or 'none else'}).")
    return found


def _names(file: h5py.File, kind: str) -> tuple[str, ...]:
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


# -- splits -------------------------------------------------------------------------------------------------------


def given_files(config: FlavorConfig, split: str) -> list[tuple[int, Path, str]]:
    """Number, path and kind of the files that feed a split."""
    source = config.system.source
    named = [(name, "asymptotic") for name in source.asymptotic] + [(name, "stable") for name in source.stable]
    if split == "test_ood":
        start = len(named)
        return [(start + i, Path(name), kind_of(Path(name))) for i, name in enumerate(source.test_ood)]
    return [(number, Path(name), kind) for number, (name, kind) in enumerate(named)]


def rows_of(config: FlavorConfig, split: str, number: int, found: Census) -> Array:
    """The rows of a file that belong to a split, in order: drawn and divided by the study's seed, none twice."""
    source = config.system.source
    rows = stream(config.seed, "split", number).permutation(found.sound)
    rows = rows[: source.samples_per_database or None]
    if split == "test_ood":
        return np.sort(rows)
    shares = _shares(config)
    if split not in shares:
        return rows[:0]
    edges = np.round(np.cumsum([0.0, *shares.values()]) * len(rows)).astype(int)
    place = list(shares).index(split)
    return np.sort(rows[edges[place] : edges[place + 1]])


def _shares(config: FlavorConfig) -> dict[str, float]:
    counts = {name: float(getattr(config.splits, name)) for name in ("training", "validation", "test")}
    size = config.system.source.test_size
    if size is not None:
        rest = counts["training"] + counts["validation"]
        counts = {name: (1.0 - size) * counts[name] / rest for name in ("training", "validation")} | {"test": size}
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items() if count}


def source_counts(config: FlavorConfig) -> dict[str, int]:
    """Rows of every split."""
    splits = [*_shares(config), *(["test_ood"] if config.system.source.test_ood else [])]
    counts = {}
    for split in splits:
        files = given_files(config, split)
        counts[split] = sum(len(rows_of(config, split, number, census(path, kind))) for number, path, kind in files)
    return {split: count for split, count in counts.items() if count}


def source_shards(config: FlavorConfig, pass_: str, split: str) -> list[Shard]:
    """Ranges of rows of one file each."""
    shards: list[Shard] = []
    for number, path, kind in given_files(config, split):
        rows = rows_of(config, split, number, census(path, kind)) + number * FILE_CASES
        for piece in pieces(len(rows), config.dataset.shard_rows):
            shards.append(Shard(f"{kind}_{number:02d}_{len(shards):05d}", split, tuple(rows[piece].tolist()), pass_))
    return shards


def read_rows(shard: Shard, config: FlavorConfig) -> list[CaseResult]:
    """The cases of a shard, out of the one file that they lie in."""
    number = shard.cases[0] // FILE_CASES
    _, path, kind = next(entry for entry in given_files(config, shard.split) if entry[0] == number)
    rows = np.array(shard.cases) - number * FILE_CASES
    with hdf5.opened(path) as file:
        names = _names(file, kind)
        parts = []
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > READ) + 1):
            columns = read_columns(file, path, names, slice(int(run[0]), int(run[-1]) + 1))
            parts.append({name: column[run - run[0]] for name, column in columns.items()})
    columns = labelled({name: np.concatenate([part[name] for part in parts]) for name in names}, kind)
    growing = columns.pop("growing", None)
    results = []
    for place, case in enumerate(shard.cases):
        arrays = {name: column[place] for name, column in columns.items()}
        if growing is not None and growing[place]:
            del arrays[GROWTH]
        record = {"family": path.stem, "outcome": "given", "group_key": f"{path.stem}/{rows[place]}"}
        results.append(CaseResult(case, arrays, record))
    return results


def labelled(columns: dict[str, Array], kind: str) -> dict[str, Array]:
    """Columns as we store them: densities without rounding below 0, and the labels that follow from others."""
    for name in (F4_INITIAL, F4_FINAL):
        if name in columns:
            columns[name][:, 3] = np.maximum(columns[name][:, 3], 0.0)
    if kind == "asymptotic":
        columns.setdefault(STABLE, columns[GROWTH] == 0.0)
    else:  # whoever says that a cell is unstable does not say how fast
        columns["growing"] = columns[STABLE] == 0
        columns[GROWTH] = np.zeros(len(columns[STABLE]))
    columns[STABLE] = columns[STABLE].astype("u1")
    return columns


def provenance(config: FlavorConfig, split: str) -> list[dict[str, Any]]:
    """What the manifest of a split says about the files that it was made from; counts are of whole files."""
    entries = []
    for number, path, kind in given_files(config, split):
        found = census(path, kind)
        most = config.system.source.samples_per_database or len(found.sound)
        entries.append(
            {
                "file": str(path),
                "kind": kind,
                "sha256": found.sha256,
                "rows": found.rows,
                "dropped_nan": found.dropped_nan,
                "dropped_invalid": sum(found.rejected.values()),
                "reasons": {reason: count for reason, count in found.rejected.items() if count},
                "used": min(most, len(found.sound)),
                "in_this_split": len(rows_of(config, split, number, found)),
            }
        )
    return entries


def initial_cells(name: str) -> Array:
    """The starts that a study wants simulated, in the order of the file: (rows, 4, 2, NF).

    Raises:
        DataError: A row is not finite or not physical.
    """
    path = Path(name)
    found = census(path, "initial")
    if len(found.sound) < found.rows:
        first = int(np.setdiff1d(np.arange(found.rows), found.sound)[0])
        raise DataError(
            f"{path}: row {first} of `{F4_INITIAL}` cannot be simulated: it is not finite, or not physical.",
            f"{found.rows - len(found.sound)} of {found.rows} rows are so; leave them out.",
        )
    with hdf5.opened(path) as file:
        columns = read_columns(file, path, (F4_INITIAL,), slice(0, found.rows))
    cells = columns[F4_INITIAL]
    cells[:, 3] = np.maximum(cells[:, 3], 0.0)
    return cells

"""The user's own files as cases: which rows belong to which split, and what their labels are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset import hdf5
from emulant.dataset.seams import CaseResult, Shard
from emulant.dataset.seeds import stream
from emulant.errors import DataError
from emulant.systems.flavor.census import READ, Census, census, kind_of, names_in
from emulant.systems.flavor.config import FlavorConfig
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.files import pieces, read_columns

Array = NDArray[Any]

FILE_CASES = 10**9
"""Case numbers of one file: file · FILE_CASES + row."""


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
        names = names_in(file, kind)
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

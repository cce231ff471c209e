"""What can be wrong with files of pendulums, found before anybody trains on them. One finding per simulation and check.

Files that emulant made are held to what they promise; files made elsewhere to what sound data can keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset import parquet
from emulant.dataset.seams import Array, Finding
from emulant.errors import DataError
from emulant.systems.pendulum import index as indexing
from emulant.systems.pendulum import reintegration
from emulant.systems.pendulum.blocks import TIME_TOLERANCE, Block, side_by_side
from emulant.systems.pendulum.config import PARAMETERS, STATE
from emulant.systems.pendulum.equations import energy, energy_scale
from emulant.systems.pendulum.files import ACCELERATION, CONSTANTS, Provenance, schema_of, stored_columns
from emulant.systems.pendulum.readers import STANDARD_GRAVITY, PendulumDataset, parquet_files

START = (*PARAMETERS, *STATE)
"""Columns of the index that make a simulation what it is."""
TOLERANCES = 1000
"""So many tolerances of the integrator may a trajectory drift (of E_scale) or a step be off (of max(1, |y|))."""
FOREIGN_DRIFTS = 10
"""Of data made elsewhere: so many tolerances of a step, 1e-4 of E_scale by default."""


def check(dataset: PendulumDataset, tolerance: float | None = None) -> Iterator[Finding]:
    """Everything about one split that shows in its files: schema, duplicate, time, values, energy, equations.

    Args:
        tolerance: Relative error of a stored step that data made elsewhere may have (None: 1e-5); ten times that, of
            E_scale, may their energy drift.
    """
    made = dataset.made.provenance
    step = _step_tolerance(made, tolerance)
    drift = step if made is not None and made.tolerance is not None else FOREIGN_DRIFTS * step
    yield from schema(dataset)
    yield from duplicates(dataset)
    if made is not None and made.tolerance is None:
        yield from _untolerated(dataset, made.integrator)
    for block in dataset.blocks():
        yield from times(block, exact=made is not None)
        yield from values(block, dataset.columns)
        yield from energies(block, drift)
        for name, what in reintegration.equations(block, dataset.columns, step):
            yield Finding(f"{block.path.name}: {name}", "equations", what)


def deep(dataset: PendulumDataset, cases: int) -> Iterator[Finding]:
    """`chaos`, of the first so many simulations: see `reintegration.deep`."""
    made = dataset.made.provenance
    chosen = dataset.index["sim_id"].head(cases)
    for block in dataset.blocks():
        rows = np.flatnonzero(block.rows["sim_id"].is_in(chosen.implode()).to_numpy())
        if rows.size:
            yield from reintegration.deep(block, rows, made, _step_tolerance(made, None))


def _step_tolerance(made: Provenance | None, told: float | None) -> float:
    if made is not None and made.tolerance is not None:
        return TOLERANCES * made.tolerance
    return reintegration.FOREIGN if told is None else told


def _untolerated(dataset: PendulumDataset, integrator: str) -> Iterator[Finding]:
    """Nobody can say how wrong the data of a method without a tolerance may be: only how wrong they are."""
    scale = energy_scale(dataset.index.select(PARAMETERS).to_numpy())
    drift = dataset.index["energy_drift"].to_numpy() / scale
    what = (
        f"`{integrator}` holds no tolerance: the energy drifts by up to {drift.max():.3g} of its scale "
        f"(median {np.median(drift):.3g}); use rk8 where that matters"
    )
    yield Finding(dataset.split, "energy", what)


def files(path: Path, g: float = STANDARD_GRAVITY) -> Iterator[Finding]:
    """`file`: the Parquet files of a path that cannot be read, or are not of pendulums."""
    for file in parquet_files(path):
        try:
            indexing.build(file.parent, [file], "", g)
        except DataError as error:
            yield Finding(file.name, "file", str(error).removeprefix(f"{file}: "))


def schema(dataset: PendulumDataset) -> Iterator[Finding]:
    """`schema`: our files have the columns and types that they were written with; row groups hold whole simulations."""
    ends = pl.col("offset") + pl.col("length")
    for path in dataset.files:
        with parquet.opened(path) as file:
            if dataset.made.provenance is not None:
                yield from _columns(file.schema_arrow, path)
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        here = dataset.index.filter(file=path.relative_to(dataset.folder).as_posix())
        for name, group, end in here.select("sim_id", "row_group", ends).iter_rows():
            if end > rows[group]:
                yield Finding(f"{path.name}: {name}", "schema", f"row group {group} ends inside this simulation")


def _columns(found: Any, path: Path) -> Iterator[Finding]:
    names = found.names
    expected = stored_columns(ACCELERATION[0] in names, "g" in names)
    if tuple(names) != expected:
        yield Finding(path.name, "schema", f"has columns {', '.join(names)}; they should be {', '.join(expected)}")
        return
    state = found.field(STATE[0]).type
    wanted = schema_of(expected, np.float32 if str(state) == "float" else np.float64, {})
    for name in names:
        have, want = found.field(name).type, wanted.field(name).type
        if str(have) != ("string" if name == "sim_id" else str(want)):
            yield Finding(path.name, "schema", f"`{name}` is of type {have}, it should be {want}")


def duplicates(dataset: PendulumDataset) -> Iterator[Finding]:
    """`duplicate`: a sim_id that is there twice; two simulations of the same start, lengths, masses and g."""
    index = dataset.index
    for name, file, count in index.group_by("sim_id", maintain_order=True).agg(pl.col("file").last(), pl.len()).rows():
        if count > 1:
            yield Finding(f"{file}: {name}", "duplicate", f"this sim_id is there {count} times")
    first = pl.col("sim_id").first().over(START)
    for file, name, other in index.with_columns(first.alias("first")).select("file", "sim_id", "first").iter_rows():
        if name != other:
            yield Finding(f"{file}: {name}", "duplicate", f"starts exactly as {other}")


def leaks(datasets: Mapping[str, PendulumDataset]) -> Iterator[Finding]:
    """`leak`: sim_ids or starts (with the same lengths, masses and g) that two splits share."""
    for (earlier, seen), (later, here) in combinations(((name, data.index) for name, data in datasets.items()), 2):
        shared = here.join(seen, on="sim_id", how="semi", maintain_order="left")
        for file, name in shared.select("file", "sim_id").iter_rows():
            yield Finding(f"{later}/{file}: {name}", "leak", f"this sim_id is in {earlier}, too")
        starts = seen.unique(START, keep="first", maintain_order=True).select(pl.col("sim_id").alias("other"), *START)
        same = here.join(starts, on=START, how="inner", maintain_order="left").filter(
            pl.col("sim_id") != pl.col("other")
        )
        for file, name, other in same.select("file", "sim_id", "other").iter_rows():
            yield Finding(f"{later}/{file}: {name}", "leak", f"starts exactly as {other} of {earlier}")


# -- what is looked at row by row ---------------------------------------------------------------------------------


def times(block: Block, *, exact: bool) -> Iterator[Finding]:
    """`time`: t is k·dt from k = 0 on (`exact`: to the bit, else within 1e-9 s), in order and without a gap."""
    arrays = block.read_unchecked(("t", "dt"))
    t = arrays["t"]
    step = np.arange(len(t)) - np.repeat(block.starts, block.lengths)
    expected = step * arrays["dt"]
    wrong = t != expected if exact else ~(np.abs(t - expected) <= TIME_TOLERANCE)
    for name, rows in _raised(block, wrong):
        row = rows[0]
        backwards = step[row] > 0 and not t[row] > t[row - 1]
        what = f"t does not increase at sample {step[row]}: " if backwards else f"sample {step[row]} has "
        yield Finding(name, "time", f"{what}t = {t[row]:.17g}, it should be {expected[row]:.17g}")


def values(block: Block, columns: tuple[str, ...]) -> Iterator[Finding]:
    """`values`: all numbers are finite; l, m, dt (and g) are positive and one number in a simulation."""
    for name, column in block.read_unchecked([name for name in columns if name != "sim_id"]).items():
        for where, rows in _raised(block, ~np.isfinite(column)):
            yield Finding(where, "values", f"`{name}` has {len(rows)} numbers that are not finite")
        if name in (*CONSTANTS, "g"):
            first = np.repeat(column[block.starts], block.lengths)
            for where, rows in _raised(block, np.isfinite(column) & np.isfinite(first) & (column != first)):
                what = f"`{name}` is {first[rows[0]]:.9g} and then {column[rows[0]]:.9g}; it should be constant"
                yield Finding(where, "values", what)
            for where, rows in _raised(block, column <= 0):
                yield Finding(where, "values", f"`{name}` is {column[rows[0]]:.9g}; it should be positive")


def energies(block: Block, tolerance: float) -> Iterator[Finding]:
    """`energy`: E stays where it was but for the tolerance, relative to E_scale, and for rounding."""
    arrays = block.read_unchecked((*STATE, "t"))
    states = side_by_side(arrays, STATE)
    parameters = np.repeat(block.rows.select(PARAMETERS).to_numpy(), block.lengths, axis=0)
    with np.errstate(all="ignore"):  # what is not finite is told by `values`
        energy_now = energy(states, parameters)
        drift = np.abs(energy_now - np.repeat(energy_now[block.starts], block.lengths))
        allowed = energy_scale(parameters) * tolerance
        allowed += _rounding(states, parameters, np.finfo(arrays[STATE[0]].dtype).eps, block)
    for where, rows in _raised(block, drift > allowed):
        worst = rows[np.argmax(drift[rows])]
        what = f"is off by {drift[worst]:.3g} J at {arrays['t'][worst]:g} s, {allowed[worst]:.3g} J are allowed"
        yield Finding(where, "energy", what)


def _rounding(states: Array, parameters: Array, eps: float, block: Block) -> Array:
    """(rows,) J; what rounding of the stored states can do to E - E(0): Σ |y ∂E/∂y| eps at both ends, at the most."""
    l1, l2, m1, m2, _ = parameters.T
    angle, w1, w2 = np.abs(states[:, :2]).sum(axis=1), states[:, 2], states[:, 3]
    coupling = m2 * l1 * l2 * np.abs(w1 * w2)
    kinetic = (m1 + m2) * (l1 * w1) ** 2 + m2 * (l2 * w2) ** 2 + 2 * coupling
    most = eps * (kinetic + (coupling + energy_scale(parameters)) * (1 + angle))
    rounding: Array = np.repeat(np.maximum.reduceat(most, block.starts), block.lengths)
    return rounding


def _raised(block: Block, flags: Array) -> Iterator[tuple[str, Array]]:
    """The simulations of a block in which a flag (rows,) is raised, and the rows where it is."""
    if not flags.any():
        return
    for number in np.flatnonzero(block.any(flags)):
        start, length = block.starts[number], block.lengths[number]
        yield (
            f"{block.path.name}: {block.rows['sim_id'][int(number)]}",
            start + np.flatnonzero(flags[start : start + length]),
        )

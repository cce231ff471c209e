"""Checks of the files: each fault is found, under its name, in its file and simulation; sound data pass."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from pendulum_files import frame, simulate, write_split

from emulant.systems.pendulum import checks
from emulant.systems.pendulum.config import STATE
from emulant.systems.pendulum.readers import open_dataset

STATES = simulate(6, 81, substeps=40)


def found(path: Path) -> list[tuple[str, str]]:
    return [(finding.where, finding.check) for finding in checks.check(open_dataset(path))]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_sound_data_pass(tmp_path: Path, dtype: str) -> None:
    states = STATES.astype(dtype)
    assert found(write_split(tmp_path / "training", states, accelerations=True, tolerance=1e-9)) == []
    frame(states).write_parquet(tmp_path / "x.parquet")
    assert found(tmp_path / "x.parquet") == []
    assert list(checks.files(tmp_path / "x.parquet")) == []


def test_long_and_fast_float32_passes(tmp_path: Path) -> None:
    """Rounding of large unwrapped angles is no drift."""
    states = simulate(6, 401, substeps=40, seed=3)
    states[..., :2] += 40 * np.pi
    assert found(write_split(tmp_path / "training", states.astype("f4"), tolerance=1e-9)) == []


Change = Callable[[pl.DataFrame], pl.DataFrame]
ROW = pl.int_range(pl.len())


def put(column: str, value: object, row: int = 100) -> Change:
    return lambda table: table.with_columns(
        pl.when(row == ROW).then(pl.lit(value, pl.Float64)).otherwise(column).alias(column)
    )


FAULTS: dict[str, tuple[Change, str, str]] = {
    "t off by one": (lambda table: table.with_columns(t=pl.col("t") + 0.05), "0", "time"),
    "t a little off": (put("t", 19 * 0.05 + 2e-9), "1", "time"),
    "gap": (lambda table: table.filter(ROW != 100), "1", "time"),
    "swapped": (lambda table: table[[*range(99), 100, 99, *range(101, len(table))]], "1", "time"),
    "row twice": (lambda table: table[[*range(101), *range(100, len(table))]], "1", "time"),
    "case twice": (lambda table: pl.concat([table, table.filter(sim_id=1)]), "1", "duplicate"),
    "last case twice": (lambda table: pl.concat([table, table.filter(sim_id=5)]), "5", "duplicate"),
    "same start": (
        lambda table: pl.concat([table, table.filter(sim_id=1).with_columns(sim_id=pl.lit(9, pl.Int64))]),
        "9",
        "duplicate",
    ),
    "nan": (put("theta1", np.nan), "1", "values"),
    "infinite": (put("theta2_dot", np.inf), "1", "values"),
    "mass changes": (put("m2", 0.71), "1", "values"),
    "negative length": (lambda table: table.with_columns(l1=-pl.col("l1")), "0", "values"),
    "value edited": (lambda table: put("theta1", table["theta1"][100] + 0.01)(table), "1", "energy"),
    "degrees": (lambda table: table.with_columns(pl.col(STATE[:2]).degrees()), "0", "energy"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_foreign_files(tmp_path: Path, name: str) -> None:
    change, sim_id, check = FAULTS[name]
    change(frame(STATES)).write_parquet(tmp_path / "x.parquet")
    assert (f"x.parquet: {sim_id}", check) in found(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["gap", "case twice", "nan", "mass changes", "value edited"])
def test_only_what_is_wrong_is_told(tmp_path: Path, name: str) -> None:
    change, sim_id, _ = FAULTS[name]
    change(frame(STATES)).write_parquet(tmp_path / "x.parquet")
    assert {where for where, _ in found(tmp_path / "x.parquet")} == {f"x.parquet: {sim_id}"}


def test_row_groups_that_cut(tmp_path: Path) -> None:
    frame(STATES).write_parquet(tmp_path / "x.parquet", row_group_size=100)
    assert ("x.parquet: 1", "schema") in found(tmp_path / "x.parquet")


def test_our_times_are_exact(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES)
    _rewrite(folder / "shard_00000.parquet", put("t", np.nextafter(19 * 0.05, 1)))
    assert found(folder) == [("shard_00000.parquet: training_000001", "time")]


def test_our_columns_and_types(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES)
    _rewrite(folder / "shard_00000.parquet", lambda table: table.with_columns(pl.col("theta1").cast(pl.Float32)))
    assert ("shard_00000.parquet", "schema") in found(folder)
    _rewrite(folder / "shard_00001.parquet", lambda table: table.with_columns(pl.lit(1.0).alias("spare")))
    assert ("shard_00001.parquet", "schema") in found(folder)


@pytest.mark.parametrize(("tolerance", "sound"), [(1e-9, False), (1e-4, True)])
def test_drift_is_measured_against_the_tolerance(tmp_path: Path, tolerance: float, sound: bool) -> None:
    coarse = simulate(3, 81, substeps=4)
    folder = write_split(tmp_path / "training", coarse, tolerance=tolerance)
    assert (found(folder) == []) == sound
    findings = list(checks.check(open_dataset(folder)))
    assert sound or {finding.check for finding in findings} == {"energy", "equations"}
    assert all("J at" in finding.what for finding in findings if finding.check == "energy")


def test_leaks(tmp_path: Path) -> None:
    training = open_dataset(write_split(tmp_path / "training", STATES[:4]))
    other = open_dataset(write_split(tmp_path / "test", STATES[4:]))
    assert list(checks.leaks({"training": training, "test": other})) == []
    leaky = open_dataset(write_split(tmp_path / "test", STATES[3:]))
    (finding,) = checks.leaks({"training": training, "test": leaky})
    assert str(finding) == (
        "test/shard_00000.parquet: test_000000: leak: starts exactly as training_000003 of training"
    )
    (same,) = checks.leaks({"training": training, "copy": training.select([1])})
    assert str(same) == "copy/shard_00000.parquet: training_000001: leak: this sim_id is in training, too"


def test_another_g_is_another_case(tmp_path: Path) -> None:
    frame(STATES).write_parquet(tmp_path / "a.parquet")
    frame(STATES).with_columns(pl.col("sim_id") + 100).write_parquet(tmp_path / "b.parquet")
    here = open_dataset(tmp_path / "a.parquet")
    assert len(list(checks.leaks({"here": here, "there": open_dataset(tmp_path / "b.parquet")}))) == 6
    assert list(checks.leaks({"here": here, "moon": open_dataset(tmp_path / "b.parquet", g=1.6)})) == []


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name in "abc":
        frame(STATES).write_parquet(tmp_path / f"{name}.parquet")
    torn = tmp_path / "a.parquet"
    torn.write_bytes(torn.read_bytes()[:1000])
    frame(STATES).drop("m2").write_parquet(tmp_path / "b.parquet")
    assert [finding.where for finding in checks.files(tmp_path)] == ["a.parquet", "b.parquet"]


def _rewrite(path: Path, change: Change) -> None:
    """Change a file as somebody would who keeps its metadata."""
    metadata = pq.read_schema(path).metadata
    table = change(pl.read_parquet(path)).to_arrow(compat_level=pl.CompatLevel.oldest())
    names = table.column("sim_id").cast("string")
    table = table.set_column(0, "sim_id", names)
    pq.write_table(table.replace_schema_metadata(metadata), path, store_schema=True)

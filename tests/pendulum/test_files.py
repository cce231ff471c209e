"""The files: what plain readers see, what they weigh, and the index beside them."""

import json
import os
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from pendulum_files import PARAMETERS, frame, product, simulate, write_split

from emulant import __version__
from emulant.dataset.seams import Shard
from emulant.dataset.store import Store
from emulant.dataset.tables import Table
from emulant.errors import DataError, UsageError
from emulant.systems.pendulum import exports, files
from emulant.systems.pendulum.equations import energy
from emulant.systems.pendulum.files import ACCELERATION, COLUMNS, STATE, write_shard
from emulant.systems.pendulum.readers import open_dataset

STATES = simulate(10, 21)
SHARD = Shard("00003", "training", tuple(range(10)))


def test_columns_types_and_metadata(tmp_path: Path) -> None:
    (path,) = write_shard(SHARD, product(STATES, accelerations=True), tmp_path)
    assert path.name == "shard_00003.parquet"
    schema = pq.read_schema(path)
    assert tuple(schema.names) == (*COLUMNS, *ACCELERATION)
    assert [str(field.type) for field in schema] == ["string"] + ["double"] * 12
    metadata = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    expected = {"format_version": "1", "g": "9.81", "integrator": "rk8", "tolerance": "1e-06", "seed": "7"}
    assert expected.items() <= metadata.items()
    assert metadata["emulant_version"] == __version__
    assert json.loads(metadata["units"])["theta1_dot"] == "rad/s"


def test_stored_numbers_are_those_of_the_simulator(tmp_path: Path) -> None:
    (path,) = write_shard(SHARD, product(STATES, accelerations=True), tmp_path)
    table = pl.read_parquet(path)
    assert table["sim_id"].unique(maintain_order=True).to_list() == [f"training_{case:06d}" for case in range(10)]
    np.testing.assert_array_equal(table["t"].to_numpy(), np.tile(np.arange(21) * 0.05, 10))
    np.testing.assert_array_equal(table.select(STATE).to_numpy(), STATES.reshape(-1, 4))
    for name in ("l1", "l2", "m1", "m2"):
        assert table[name].unique().to_list() == [PARAMETERS[name]]


def test_encodings(tmp_path: Path) -> None:
    (path,) = write_shard(SHARD, product(STATES, accelerations=True), tmp_path)
    group = pq.ParquetFile(path).metadata.row_group(0)
    chunks = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    assert {chunk.compression for chunk in chunks.values()} == {"ZSTD"}
    for name, chunk in chunks.items():
        measured = name in ("t", *STATE, *ACCELERATION)
        assert ("BYTE_STREAM_SPLIT" in chunk.encodings) == measured, name
        assert ("RLE_DICTIONARY" in chunk.encodings) != measured, name


def test_equal_cases_give_equal_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    first = write_shard(SHARD, product(STATES), tmp_path / "a")[0]
    second = write_shard(SHARD, product(STATES.copy()), tmp_path / "b")[0]
    assert first.read_bytes() == second.read_bytes()
    assert list((tmp_path / "a").iterdir()) == [first]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (path,) = write_shard(SHARD, product(STATES), tmp_path)
    before, broken = path.read_bytes(), product(STATES)
    del broken[-1].arrays["state"]  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        write_shard(SHARD, broken, tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_float32_stores_the_states_smaller_and_nothing_else(tmp_path: Path) -> None:
    (path,) = write_shard(SHARD, product(STATES.astype(np.float32), accelerations=True), tmp_path)
    types = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert {name for name, kind in types.items() if kind == "float"} == {*STATE, *ACCELERATION}


def test_swept_g_is_the_last_column(tmp_path: Path) -> None:
    (path,) = write_shard(SHARD, product(STATES, accelerations=True, g=None), tmp_path)
    assert pq.read_schema(path).names[-1] == "g"
    assert open_dataset(path).cases["g"].unique().to_list() == [9.81]


def test_no_case_no_file(tmp_path: Path) -> None:
    assert write_shard(SHARD, [], tmp_path) == []


def test_row_groups_hold_whole_simulations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 70)
    (path,) = write_shard(SHARD, product(STATES), tmp_path)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(group).num_rows // 21 for group in range(metadata.num_row_groups)] == [3, 3, 2, 2]


@pytest.mark.parametrize(
    ("dtype", "dt", "accelerations", "limit"),
    [("f8", 0.01, False, 27.0), ("f4", 0.01, False, 12.5), ("f8", 0.05, True, 44.0), ("f4", 0.05, True, 21.0)],
)
def test_bytes_per_row(tmp_path: Path, dtype: str, dt: float, accelerations: bool, limit: float) -> None:
    states = simulate(50, round(10 / dt) + 1, dt).astype(dtype)
    shard = Shard("00000", "training", tuple(range(50)))
    (path,) = write_shard(shard, product(states, dt, accelerations=accelerations), tmp_path)
    assert path.stat().st_size / (states.size / 4) <= limit


def test_a_split_is_one_plain_dataset_for_other_readers(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES)
    open_dataset(folder)
    assert (folder / "index.arrow").is_file()
    rows, total = STATES.size // 4, STATES[..., 0].sum()
    assert pl.scan_parquet(folder / "*.parquet").select("theta1").sum().collect().item() == pytest.approx(total)
    assert pa.dataset.dataset(sorted(folder.glob("*.parquet"))).count_rows() == rows
    counted = duckdb.sql(f"select count(*), sum(theta1), count(distinct sim_id) from '{folder}/*.parquet'").fetchall()
    assert counted == [(rows, pytest.approx(total), 10)]


@pytest.mark.parametrize(("key", "value", "said"), [("format_version", "2", "Update"), ("tolerance", "{", "damaged")])
def test_metadata_of_a_newer_emulant_or_damaged(tmp_path: Path, key: str, value: str, said: str) -> None:
    (path,) = write_shard(SHARD, product(STATES), tmp_path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key.encode(): value}), path)
    with pytest.raises(DataError, match=said):
        open_dataset(path)


# -- the index ----------------------------------------------------------------------------------------------------


def test_index_says_where_and_what(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "test", STATES)
    open_dataset(folder)
    with pa.OSFile(str(folder / "index.arrow")) as file:
        index = pl.DataFrame(pa.ipc.open_file(file).read_all())
    assert index["sim_id"].to_list() == [f"test_{case:06d}" for case in range(10)]
    assert set(index["split"]) == {"test"}
    energies = energy(STATES, np.array(list(PARAMETERS.values())))
    np.testing.assert_allclose(index["energy"], energies[:, 0], rtol=1e-14)
    np.testing.assert_allclose(index["energy_drift"], np.abs(energies - energies[:, :1]).max(axis=1), atol=1e-13)
    assert set(index["substeps"]) == {5}
    assert set(index["trust_horizon"]) == {1.5}
    for row in index.iter_rows(named=True):
        group = pl.DataFrame(pq.ParquetFile(folder / row["file"]).read_row_group(row["row_group"]))
        found = group[row["offset"] : row["offset"] + row["length"]]
        assert set(found["sim_id"]) == {row["sim_id"]}
        assert found["t"][-1] == row["t_end"] == 1.0


def test_index_is_kept_and_made_again_when_missing_torn_or_stale(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES[:4])
    index = folder / "index.arrow"
    open_dataset(folder)
    before, date = index.read_bytes(), index.stat().st_mtime_ns
    open_dataset(folder)
    assert index.stat().st_mtime_ns == date
    index.unlink()
    open_dataset(folder)
    assert index.read_bytes() == before
    index.write_bytes(before[: len(before) // 2])
    open_dataset(folder)
    assert index.read_bytes() == before
    write_split(folder, STATES)
    assert len(open_dataset(folder)) == 10
    date = index.stat().st_mtime_ns
    os.utime(folder / "shard_00000.parquet", ns=(1, 1))  # another file of the same size
    open_dataset(folder)
    assert index.stat().st_mtime_ns != date


def test_index_of_a_folder_that_cannot_be_written_lives_in_memory(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES)
    (folder / "index.arrow" / "in the way").mkdir(parents=True)
    assert len(open_dataset(folder)) == 10


def test_only_finished_shards_count(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES)
    write_shard(Shard("00007", "training", (70,)), product(STATES[:1], first=70), folder)
    assert len(open_dataset(folder)) == 10
    (folder / "shard_00001.parquet").unlink()
    with pytest.raises(DataError, match=r"shard_00001\.parquet: is missing"):
        open_dataset(folder)


# -- the document's single file -----------------------------------------------------------------------------------


def test_single_file(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES.astype(np.float32), accelerations=True)
    target = exports.single_file(open_dataset(folder), tmp_path / "one.parquet")
    schema = pq.read_schema(target)
    assert tuple(schema.names) == COLUMNS
    assert {str(field.type) for field in schema} == {"string", "double"}
    one = open_dataset(target)
    assert one.split == "training"
    np.testing.assert_array_equal(one.read(["state"])["state"], STATES.astype(np.float32))
    assert one.index["trust_horizon"].to_list() == [1.5] * 10


def test_single_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    data = open_dataset(write_split(tmp_path / "training", STATES))
    target = exports.single_file(data, tmp_path / "one.parquet")
    before = target.read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        exports.single_file(data.select([0]), target)
    assert target.read_bytes() == before
    exports.single_file(data.select([0]), target, overwrite=True)
    assert len(open_dataset(target)) == 1


@pytest.mark.parametrize("rows", [30, 1000])
def test_single_file_has_row_groups_of_whole_simulations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(exports, "GROUP_ROWS", 42)
    frame(STATES).write_parquet(tmp_path / "theirs.parquet", row_group_size=rows)
    target = exports.single_file(open_dataset(tmp_path / "theirs.parquet"), tmp_path / "one.parquet")
    metadata = pq.ParquetFile(target).metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert all(size in (21, 42) for size in sizes)
    np.testing.assert_array_equal(open_dataset(target).read(["state"])["state"], STATES)


def test_export_takes_one_split(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", STATES)

    class Run:
        class folder:
            root = tmp_path

            @staticmethod
            def split(name: str) -> Path:
                return tmp_path / name

        @staticmethod
        def dataset(split: str) -> object:
            return open_dataset(folder)

    assert exports.parquet(Run(), ["training"], tmp_path / "one.parquet", Table()) == [tmp_path / "one.parquet"]
    with pytest.raises(UsageError, match="training"):
        exports.parquet(Run(), ["training", "test"], tmp_path / "two.parquet", Table())
    assert not Store(tmp_path).is_ours

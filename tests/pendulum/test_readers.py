"""Reading: the seam, the document's readers, files made elsewhere, and files that are not sound."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pendulum_files import PARAMETERS, frame, simulate, write_split

from emulant.dataset.seams import Dataset
from emulant.errors import DataError
from emulant.evaluation.forecasts import Start, context, frame_times
from emulant.systems.pendulum.config import STATE
from emulant.systems.pendulum.files import COLUMNS
from emulant.systems.pendulum.readers import PendulumDataset, open_dataset

STATES = simulate(10, 21)


@pytest.fixture
def data(tmp_path: Path) -> PendulumDataset:
    return open_dataset(write_split(tmp_path / "training", STATES, accelerations=True))


# -- as any dataset -----------------------------------------------------------------------------------------------


def test_cases_have_numbers_and_parameters(data: PendulumDataset) -> None:
    assert len(data) == 10
    assert data.split == "training"
    assert data.cases["case"].to_list() == list(range(10))
    assert data.cases["group_key"].n_unique() == 10
    for name, value in PARAMETERS.items():
        assert data.cases[name].to_list() == [value] * 10


def test_read(data: PendulumDataset) -> None:
    fields = data.read(["state", "acceleration"])
    np.testing.assert_array_equal(fields["state"], STATES)
    assert fields["acceleration"].shape == (10, 21, 2)
    np.testing.assert_array_equal(data.read(["state"], [7, 0, 5])["state"], STATES[[7, 0, 5]])


def test_select_keeps_the_order_asked_for(data: PendulumDataset) -> None:
    some = data.select([9, 2])
    assert some.cases["case"].to_list() == [9, 2]
    np.testing.assert_array_equal(some.read(["state"])["state"], STATES[[9, 2]])
    assert some.scan().collect()["sim_id"].n_unique() == 2
    assert sum(len(batch) for batch in some.batch_stream()) == 2 * 21
    with pytest.raises(DataError, match="no case 10"):
        data.select([10])


def test_batches_are_a_pure_function_of_seed_and_epoch(data: PendulumDataset) -> None:
    def order(seed: int | None, epoch: int) -> np.ndarray:
        return np.concatenate([batch["state"][:, 0, 0] for batch in data.batches(3, ["state"], seed=seed, epoch=epoch)])

    starts = STATES[:, 0, 0]
    np.testing.assert_array_equal(order(None, 0), starts)
    np.testing.assert_array_equal(order(1, 0), order(1, 0))
    assert not np.array_equal(order(1, 0), order(1, 1))
    np.testing.assert_array_equal(np.sort(order(1, 0)), np.sort(starts))


def test_forecasters_get_states_step_and_parameters(data: PendulumDataset) -> None:
    dataset: Dataset = data
    times = frame_times(dataset)
    np.testing.assert_array_equal(times, np.arange(21) * 0.05)
    seen = context(dataset, [3, 4], Start("", 4))
    assert seen.fields["state"].shape == (2, 5, 4)
    assert seen.step == 0.05
    assert set(seen.parameters) == set(PARAMETERS)


def test_unknown_field(data: PendulumDataset) -> None:
    with pytest.raises(DataError, match=r"no field `rho` \(it has: state, acceleration\)"):
        data.read(["rho"])


# -- the readers of the document ----------------------------------------------------------------------------------


def test_scan_and_time_window(data: PendulumDataset) -> None:
    everything = data.scan().collect()
    assert len(everything) == STATES.size // 4
    window = data.load_time_window(0.15, 0.3)  # 3·dt and 6·dt are not exactly these numbers
    assert window["t"].unique().round(9).sort().to_list() == [0.15, 0.2, 0.25, 0.3]
    assert len(window) == 10 * 4


def test_single_simulation(data: PendulumDataset) -> None:
    one = data.load_single_simulation("training_000006")
    np.testing.assert_array_equal(one.select(STATE).to_numpy(), STATES[6])
    assert set(one["sim_id"]) == {"training_000006"}
    with pytest.raises(DataError, match=r"no simulation `training_00006`\. Did you mean `training_000006`"):
        data.load_single_simulation("training_00006")


def test_batch_stream(data: PendulumDataset) -> None:
    batches = list(data.batch_stream(16))
    assert max(len(batch) for batch in batches) <= 16
    joined = pl.concat([pl.DataFrame(batch) for batch in batches])
    np.testing.assert_array_equal(joined.select(STATE).to_numpy(), STATES.reshape(-1, 4))


def test_training_pairs_never_cross_simulations(data: PendulumDataset) -> None:
    now, later = (np.concatenate(parts) for parts in zip(*data.training_pairs(), strict=True))
    np.testing.assert_array_equal(now, STATES[:, :-1].reshape(-1, 4))
    np.testing.assert_array_equal(later, STATES[:, 1:].reshape(-1, 4))


def test_sim_index(data: PendulumDataset) -> None:
    assert data.sim_index() == {f"training_{case:06d}": (0.0, 1.0) for case in range(10)}


def test_sample_subsequence(data: PendulumDataset) -> None:
    places = set()
    for seed in range(60):
        window = data.sample_subsequence(6, np.random.default_rng(seed))
        np.testing.assert_array_equal(window, data.sample_subsequence(6, np.random.default_rng(seed)))
        case, sample = np.argwhere((window[0] == STATES).all(axis=-1))[0]
        np.testing.assert_array_equal(window, STATES[case, sample : sample + 6])
        places.add((int(case), int(sample)))
    assert len({case for case, _ in places}) == 10
    assert {sample for _, sample in places} >= {0, 15}


# -- files made elsewhere -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int", "string", "categorical"])
def test_any_file_with_the_eleven_columns(tmp_path: Path, kind: str) -> None:
    types = {"int": pl.Int32, "string": pl.String, "categorical": pl.Categorical}
    table = frame(STATES).with_columns(
        pl.col("sim_id").cast(pl.String).cast(types[kind]), note=pl.lit("x"), l1=pl.lit(1)
    )
    table.write_parquet(tmp_path / "theirs.parquet")
    data = open_dataset(tmp_path / "theirs.parquet")
    np.testing.assert_array_equal(data.read(["state"])["state"], STATES)
    assert data.cases["g"].to_list() == [9.81] * 10
    assert open_dataset(tmp_path / "theirs.parquet", g=1.6).cases["g"].to_list() == [1.6] * 10
    assert len(data.load_single_simulation("3")) == 21
    assert data.scan().collect()["sim_id"].dtype == pl.String
    assert list(tmp_path.iterdir()) == [tmp_path / "theirs.parquet"]  # nothing is written beside it


def test_a_folder_of_files(tmp_path: Path) -> None:
    table = frame(STATES)
    table.filter(pl.col("sim_id") >= 4).write_parquet(tmp_path / "b.parquet")
    table.filter(pl.col("sim_id") < 4).select(table.columns[::-1]).write_parquet(tmp_path / "a.parquet")
    data = open_dataset(tmp_path)
    np.testing.assert_array_equal(data.read(["state"])["state"], STATES)
    assert data.scan().select(COLUMNS).collect().height == 210


def test_float32_made_elsewhere_is_read_as_float64(tmp_path: Path) -> None:
    frame(STATES).with_columns(pl.col(STATE).cast(pl.Float32)).write_parquet(tmp_path / "x.parquet")
    state = open_dataset(tmp_path / "x.parquet").read(["state"])["state"]
    assert state.dtype == np.float64
    np.testing.assert_array_equal(state, STATES.astype(np.float32))


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), group=st.integers(1, 30))
def test_row_groups_that_cut_simulations_read_the_same(lengths: list[int], group: int) -> None:
    parts = [STATES[number % 10 : number % 10 + 1, :length] for number, length in enumerate(lengths)]
    table = pl.concat([frame(part).with_columns(sim_id=pl.lit(n, pl.Int64)) for n, part in enumerate(parts)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cut.parquet")
        table.write_parquet(path, row_group_size=group)
        data = open_dataset(path)
        assert data.index["length"].to_list() == lengths
        for case, part in enumerate(parts):
            np.testing.assert_array_equal(data.read(["state"], [case])["state"], part)
        now, later = (np.concatenate(pairs) for pairs in zip(*data.training_pairs(), strict=True))
        np.testing.assert_array_equal(now, np.concatenate([part[0, :-1] for part in parts]))
        np.testing.assert_array_equal(later, np.concatenate([part[0, 1:] for part in parts]))


# -- files that are not sound -------------------------------------------------------------------------------------


def test_truncated(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    frame(STATES).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"x\.parquet: is not a readable Parquet file"):
        open_dataset(path)


def test_not_there_or_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        open_dataset(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="one split of a run"):
        open_dataset(tmp_path)
    frame(STATES[:0]).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="holds no simulation"):
        open_dataset(tmp_path / "x.parquet")


def test_foreign_columns(tmp_path: Path) -> None:
    frame(STATES).drop("theta2_dot").write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no column `theta2_dot`"):
        open_dataset(tmp_path / "x.parquet")
    for text in (pl.lit("up"), pl.col("theta1").cast(pl.String), pl.col("theta1").cast(pl.String).cast(pl.Categorical)):
        frame(STATES).with_columns(theta1=text).write_parquet(tmp_path / "x.parquet")
        with pytest.raises(DataError, match=r"`theta1` is of type \w*string"):
            open_dataset(tmp_path / "x.parquet")


def test_a_flipped_bit_is_told_by_file_and_row_group(data: PendulumDataset) -> None:
    path = data.files[1]
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(3)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"shard_00001\.parquet: row group 0 is damaged"):
        data.read(["state"])


def _damaged(how: str) -> pl.DataFrame:
    table = frame(STATES)
    rows = pl.int_range(pl.len())
    if how == "shuffled":
        order = np.arange(210)
        order[[50, 51]] = order[[51, 50]]
        return table[order]
    if how == "gap":
        return table.filter(rows != 50)
    if how == "nan":
        return table.with_columns(theta2=pl.when(rows == 50).then(np.nan).otherwise("theta2"))
    if how == "null":
        return table.with_columns(theta2=pl.when(rows == 50).then(None).otherwise("theta2"))
    if how == "nan in t":
        return table.with_columns(t=pl.when(rows == 50).then(np.nan).otherwise("t"))
    return pl.concat([table, table.filter(sim_id=2)])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("shuffled", "has a time"),
        ("gap", "has a time"),
        ("nan in t", "has a time"),
        ("nan", "`theta2` that is not finite"),
        ("null", "`theta2` that is not finite"),
        ("twice", "is there twice"),
    ],
)
def test_unsound_numbers_are_told_by_file_row_group_and_simulation(tmp_path: Path, how: str, said: str) -> None:
    _damaged(how).write_parquet(tmp_path / "x.parquet", row_group_size=42)
    data = open_dataset(tmp_path / "x.parquet")
    for use in (
        lambda: data.read(["state"], [2]) if how != "gap" else list(data.training_pairs()),
        lambda: list(data.windows(5)),
        lambda: list(data.training_pairs()),
        lambda: data.load_single_simulation("2"),
    ):
        where = "[15]" if how == "twice" else "1"  # what is there twice is wrong in either place
        with pytest.raises(DataError, match=rf"x\.parquet: row group {where}: 2 .*{said}"):
            use()


def test_simulations_of_different_lengths_or_steps(tmp_path: Path) -> None:
    short = frame(STATES[3:4, :9]).with_columns(sim_id=pl.lit(99, pl.Int64))
    pl.concat([frame(STATES[:3]), short]).write_parquet(tmp_path / "x.parquet", row_group_size=63)
    with pytest.raises(DataError, match=r"x\.parquet: row group 1: 99 has 9 samples, 0 has 21"):
        open_dataset(tmp_path / "x.parquet").read(["state"])
    slow = frame(STATES[3:4], dt=0.1).with_columns(sim_id=pl.lit(99, pl.Int64))
    pl.concat([frame(STATES[:3]), slow]).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"dt is 0\.05 in 0 and 0\.1 in 99"):
        _ = open_dataset(tmp_path / "x.parquet").geometry

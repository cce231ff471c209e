"""Windows: every one once, none across simulations, an order that can be told, memory that is bounded."""

import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pendulum_files import frame, write_split

from emulant.dataset import parquet
from emulant.errors import DataError, UsageError
from emulant.systems.pendulum.pipeline import Pipeline
from emulant.systems.pendulum.readers import PendulumDataset, open_dataset


def labelled(cases: int, samples: int) -> np.ndarray:
    """States that say which they are: theta1 is the case, theta2 the sample."""
    case, sample = np.meshgrid(np.arange(cases), np.arange(samples), indexing="ij")
    return np.stack([case, sample, 10 * case, 10 * sample], axis=-1).astype(float)


def places(batches: list[np.ndarray]) -> list[tuple[int, int]]:
    """Case and first sample of each window, after a look at whether all else of it follows from these."""
    windows = np.concatenate(batches)
    case, sample = windows[:, :1, 0], windows[:, :1, 1] + np.arange(windows.shape[1])
    np.testing.assert_array_equal(windows, np.stack(np.broadcast_arrays(case, sample, 10 * case, 10 * sample), axis=-1))
    return [(int(c), int(s)) for c, s in windows[:, 0, :2]]


@pytest.fixture
def data(tmp_path: Path) -> PendulumDataset:
    """20 simulations of 21 samples, one per shard."""
    return open_dataset(write_split(tmp_path / "training", labelled(20, 21), shard_cases=1))


def test_an_epoch_has_every_window_once(data: PendulumDataset) -> None:
    windows = data.windows(5, batch=16)
    batches = list(windows)
    assert [batch.shape for batch in batches[:-1]] == [(16, 5, 4)] * (len(windows) - 1)
    assert batches[0].dtype == np.float32
    assert sorted(places(batches)) == [(case, sample) for case in range(20) for sample in range(17)]
    assert windows.count == 20 * 17


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(4, 12), min_size=1, max_size=15),
    length=st.integers(1, 4),
    stride=st.integers(1, 5),
    batch=st.integers(1, 20),
    group=st.integers(3, 40),
    start=st.integers(0, 12),
)
def test_any_files_any_windows(
    lengths: list[int], length: int, stride: int, batch: int, group: int, start: int
) -> None:
    states = labelled(len(lengths), max(lengths))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.parquet")
        table = pl.concat([frame(states)[case * max(lengths) :][:n] for case, n in enumerate(lengths)])
        table.write_parquet(path, row_group_size=group)
        windows = open_dataset(path).windows(length, batch=batch, stride=stride, seed=3)
        whole = list(windows.epoch(1))
        rest = list(windows.epoch(1, start))
    expected = [(case, first) for case, n in enumerate(lengths) for first in range(0, n - length + 1, stride)]
    assert sorted(places(whole)) == expected
    assert len(whole) == len(windows)
    assert len(rest) == max(0, len(whole) - start)
    for one, other in zip(whole[start:], rest, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_order_is_a_pure_function_of_seed_and_epoch(data: PendulumDataset) -> None:
    def order(seed: int, epoch: int) -> list[tuple[int, int]]:
        return places(list(data.windows(5, batch=16, seed=seed).epoch(epoch)))

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6


def test_batches_mix_simulations_and_epochs_mix_files(data: PendulumDataset) -> None:
    windows = data.windows(5, batch=34)
    assert all(len({case for case, _ in places([batch])}) >= 3 for batch in windows)
    first = [frozenset(case for case, _ in places([next(windows.epoch(epoch))])) for epoch in range(4)]
    assert len(set(first)) == 4


def test_only_a_handful_of_row_groups_is_read_at_once(data: PendulumDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    really = parquet.read_group
    monkeypatch.setattr(parquet, "read_group", lambda *args: read.append(args[1]) or really(*args))
    batches = iter(data.windows(5, batch=17))
    next(batches)
    assert len(set(read)) == 8
    assert len(list(batches)) == 19
    assert len(read) == len(set(read)) == 20
    read.clear()
    next(data.windows(5, batch=17).epoch(0, start=8))  # what is done is skipped without being read
    assert len(read) == 8


def test_windows_with_accelerations_and_in_float64(tmp_path: Path) -> None:
    folder = write_split(tmp_path / "training", np.random.default_rng(0).normal(size=(3, 9, 4)), accelerations=True)
    data = open_dataset(folder)
    (batch,) = data.windows(9, columns=("theta1_ddot", "theta1"), dtype=np.float64)
    assert batch.shape == (3, 9, 2)
    fields = data.read(["state", "acceleration"])
    expected = np.stack([fields["acceleration"][..., 0], fields["state"][..., 0]], axis=-1)
    np.testing.assert_array_equal(batch[batch[:, 0, 0].argsort()], expected[expected[:, 0, 0].argsort()])


def test_a_window_longer_than_a_simulation(tmp_path: Path) -> None:
    table = pl.concat([frame(labelled(2, 21)), frame(labelled(3, 9))[18:]])
    table.write_parquet(tmp_path / "x.parquet", row_group_size=42)
    data = open_dataset(tmp_path / "x.parquet")
    data.windows(9)
    with pytest.raises(DataError, match=r"x\.parquet: row group 1: 2 has 9 samples, a window 10\. Ask for shorter"):
        data.windows(10)
    with pytest.raises(DataError, match="a window 10"):
        data.sample_subsequence(10, np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [{"length": 0}, {"length": 3, "batch": 0}, {"length": 3, "stride": 0}])
def test_senseless_windows(data: PendulumDataset, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        data.windows(**wrong)


def test_a_pipeline_runs_on_and_goes_on_from_its_state(data: PendulumDataset) -> None:
    endless = Pipeline(data.folder, 5, batch=60, seed=1)
    batches = list(islice(endless, 15))  # an epoch has 6
    assert endless.state == (2, 3)
    for epoch in range(2):
        for one, other in zip(
            batches[6 * epoch : 6 * epoch + 6], data.windows(5, batch=60, seed=1).epoch(epoch), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    for position in (0, 4, 6, 7, 12):
        stopped = Pipeline(data.folder, 5, batch=60, seed=1)
        for _ in range(position):
            stopped.get_batch()
        resumed = Pipeline(data.folder, 5, batch=60, seed=1, state=stopped.state)
        np.testing.assert_array_equal(resumed.get_batch(), batches[position])

"""Training on windows that are read as they are needed: the same windows, the same resume, and never all in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pendulum_files import simulate, write_split

from emulant.dataset.seams import Streamed
from emulant.errors import SurrogateError
from emulant.surrogates import view
from emulant.surrogates.codes import Scales
from emulant.surrogates.recurrent import GAIN, Recurrent
from emulant.surrogates.sequence_tables import RecurrentTable
from emulant.systems.pendulum.readers import PendulumDataset, open_dataset
from emulant.training.batches import of_stream
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

QUICK = TrainingTable(max_epochs=4, batch_size=8, validate_every=1)
CASES, SAMPLES = 20, 41


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> PendulumDataset:
    return open_dataset(write_split(tmp_path_factory.mktemp("split") / "training", simulate(CASES, SAMPLES)))


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Room for three cases; how many were read at once, read by read."""
    monkeypatch.setattr(view, "LIMIT", 3 * SAMPLES * 4 * 8)
    reads: list[int] = []
    read = PendulumDataset.read

    def counted(self: PendulumDataset, *arguments: Any) -> Any:
        found = read(self, *arguments)
        reads.append(len(next(iter(found.values()))))
        return found

    monkeypatch.setattr(PendulumDataset, "read", counted)
    return reads


def test_what_does_not_fit_is_never_read_as_a_whole(train: PendulumDataset, small_memory: list[int]) -> None:
    assert isinstance(train, Streamed)
    model = Recurrent(RecurrentTable(hidden=8, lag=5, training=QUICK))
    model.fit(train)
    assert max(small_memory) == 3


def test_windows_are_random_and_each_comes_once(train: PendulumDataset) -> None:
    stream = train.stream("state", 10, 16, parameters=("l1", "m2"), seed=3)
    assert stream.count == CASES * (SAMPLES - 9)
    batches = list(stream.epoch(0))
    windows = np.concatenate([states for states, _ in batches])
    assert windows.shape == (stream.count, 10, 4)
    assert np.array_equal(batches[0][1], np.tile([1.0, 0.7], (16, 1)))
    truth = np.lib.stride_tricks.sliding_window_view(train.read(["state"])["state"], 10, axis=1)
    every = {window.tobytes() for window in np.moveaxis(truth, -1, 2).reshape(-1, 10, 4)}
    assert {window.tobytes() for window in windows} == every
    other = next(iter(stream.epoch(1)))[0]
    assert not np.array_equal(other, windows[:16])
    assert np.array_equal(next(iter(stream.epoch(0, 2)))[0], batches[2][0])


class Counted:
    """A stream of ten windows that are the numbers 0 to 9, turned by the epoch."""

    count = 10

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, Any]]:
        order = np.roll(np.arange(10.0), epoch)
        for first in range(4 * start, 10, 4):
            yield order[first : first + 4], order[first : first + 4]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_epochs_of_any_length_go_on_where_the_last_one_ended(length: int) -> None:
    table = TrainingTable(epoch_batches=length, batch_size=4)
    data = of_stream(lambda *_: torch.zeros(()), Counted(), 4, lambda a, _: (torch.tensor(a),), None, table)
    drawn = [tuple(batch[0].tolist()) for epoch in range(4) for batch in data.batches(epoch)]
    expected = [tuple(np.roll(np.arange(10.0), k // 2)[4 * (k % 2) :][:4].tolist()) for k in range(4 * length)]
    assert drawn == expected
    again = [tuple(batch[0].tolist()) for batch in data.batches(2)]
    assert again == expected[2 * length : 3 * length]


def trained(train: PendulumDataset, folder: Path, stop_after: int | None = None, **settings: Any) -> bytes:
    def listen(_what: str, done: int, _total: int) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    model = Recurrent(RecurrentTable(hidden=8, lag=5, training=QUICK, **settings))
    model.workshop = Workshop("lstm", folder, folder, 0, "key", listen)
    model.fit(train, train.select([0, 1, 2]))
    return (folder / "best.safetensors").read_bytes()


def test_a_training_on_windows_resumes_to_the_bit(train: PendulumDataset, tmp_path: Path) -> None:
    calm = trained(train, tmp_path / "calm", window=12)
    with pytest.raises(KeyboardInterrupt):
        trained(train, tmp_path / "stopped", stop_after=2, window=12)
    assert trained(train, tmp_path / "stopped", window=12) == calm
    assert trained(train, tmp_path / "other", window=11) != calm


def test_streamed_sequences_teach_as_much(train: PendulumDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TrainingTable(max_epochs=30, batch_size=5)

    def losses() -> tuple[float, float]:
        """Mean squared error of the scaled steps on the training split, and that of standing still."""
        surrogate = Recurrent(RecurrentTable(hidden=16, lag=5, training=settings))
        surrogate.fit(train)
        seen, network = surrogate.model or pytest.fail("not fitted")
        codes = torch.tensor(seen.see(train).codes, dtype=torch.float32)
        steps = GAIN * codes.diff(dim=1)
        with torch.no_grad():
            found = network(codes[:, :-1])[0]
        return float((found - steps).square().mean()), float(steps.square().mean())

    in_memory, still = losses()
    monkeypatch.setattr("emulant.surrogates.recurrent.fits", lambda *_: False)
    streamed, _ = losses()
    assert streamed != in_memory
    assert streamed < 0.5 * still
    assert streamed == pytest.approx(in_memory, rel=0.25)


def test_scales_of_pieces_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).normal([3.0, 1e6, 3.0], [1.0, 1e-3, 50.0], (100, 7, 3))
    whole, parts = Scales.of(values), Scales.of_pieces([values[:1], values[1:60], values[60:]])
    assert parts.mean == pytest.approx(whole.mean, rel=1e-14)
    assert parts.deviation == pytest.approx(whole.deviation, rel=1e-7)
    assert np.array_equal(whole.deviation, values.reshape(-1, 3).std(axis=0))


def test_windows_of_a_dataset_that_deals_out_none_are_refused(dataset: Callable[..., Any]) -> None:
    data = dataset({"state": simulate(4, 20)}, ("state",), {"step": 0.05, "periodic": (0, 1)})
    with pytest.raises(SurrogateError, match="deals out no windows"):
        Recurrent(RecurrentTable(window=10)).fit(data)

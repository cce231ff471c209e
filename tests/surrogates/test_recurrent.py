from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from motion import pendulums
from torch import nn

from emulant.dataset.seams import Forecaster
from emulant.errors import SurrogateError
from emulant.surrogates.recurrent import Recurrent
from emulant.surrogates.sequence_tables import GRUTable, LatentRecurrentTable, RecurrentTable, RNNTable
from emulant.training.table import TrainingTable
from emulant.training.workshop import Trainable, Workshop

GEOMETRY = {"step": 0.05, "periodic": (0, 1)}
QUICK = TrainingTable(max_epochs=40, epoch_batches=3, batch_size=16, validate_every=20)


@pytest.fixture(scope="module")
def split() -> dict[str, Any]:
    return pendulums(48, 41, 0, swing=0.5)


@pytest.fixture(scope="module")
def unseen() -> dict[str, Any]:
    return pendulums(6, 41, 1, swing=0.5)


@pytest.mark.parametrize("table", [RecurrentTable, GRUTable, RNNTable])
def test_every_cell_learns_and_comes_back_to_the_bit(
    table: type[RecurrentTable],
    split: dict[str, Any],
    unseen: dict[str, Any],
    dataset: Callable[..., Any],
    context: Callable[..., Any],
    tmp_path: Path,
) -> None:
    config = table(hidden=24, lag=10, training=QUICK)
    model = Recurrent(config)
    assert isinstance(model, Forecaster)
    assert isinstance(model, Trainable)
    model.workshop = Workshop("r", tmp_path, tmp_path, 0, "key")
    model.fit(dataset(split, ("state",), GEOMETRY), dataset(unseen, ("state",), GEOMETRY))
    seen = context(unseen, 10)
    forecast = model.forecast(seen, 8)["state"]
    truth, still = unseen["state"][:, 10:18], unseen["state"][:, 9:10]
    assert np.abs(forecast - truth).mean() < 0.4 * np.abs(still - truth).mean()
    assert [path.name for path in model.save(tmp_path)] == ["best.safetensors"]
    again = Recurrent.load(tmp_path, table(hidden=99))
    np.testing.assert_array_equal(again.forecast(seen, 8)["state"], forecast)
    curve = pl.read_csv(tmp_path / "metrics.csv")["validation_vpt"].drop_nulls()
    assert len(curve) == 2
    assert curve.max() > 0


def test_the_rollout_is_the_network_on_its_own_output(
    split: dict[str, Any], dataset: Callable[..., Any], context: Callable[..., Any]
) -> None:
    model = Recurrent(RecurrentTable(hidden=8, layers=2, lag=5, training=TrainingTable(max_epochs=1)))
    model.fit(dataset(split, ("state",), GEOMETRY))
    assert model.model is not None
    view, network = model.model
    codes = torch.tensor(view.see(dataset(split, ("state",), GEOMETRY)).codes[:, :5])
    network = network.double()
    with torch.no_grad():
        for _ in range(4):  # all over again from the first frame, with torch's own handling of the memory
            outputs, _ = network.recurrent(codes)
            step = codes[:, -1] + network.head(outputs)[:, -1] / 10
            raw = step * torch.tensor(view.scales.deviation) + torch.tensor(view.scales.mean)
            angles = torch.atan2(raw[:, :2], raw[:, 2:4])
            raw = torch.cat([angles.sin(), angles.cos(), raw[:, 4:]], dim=1)
            scaled = (raw - torch.tensor(view.scales.mean)) / torch.tensor(view.scales.deviation)
            codes = torch.cat([codes, scaled[:, None]], dim=1)
    expected = view.frames(codes[:, 5:].numpy(), split["state"][:, 4])
    np.testing.assert_allclose(model.forecast(context(split, 5), 4)["state"], expected, atol=1e-9)
    context_of_seven = model.forecast(context(split, 7), 4)["state"]
    later = model.forecast(context({"state": split["state"][:, 2:]}, 5), 4)["state"]
    np.testing.assert_array_equal(context_of_seven, later)


def test_the_seed_decides(split: dict[str, Any], dataset: Callable[..., Any]) -> None:
    def weights(seed: int) -> torch.Tensor:
        model = Recurrent(RecurrentTable(hidden=4, training=TrainingTable(max_epochs=2)))
        model.workshop = Workshop(seed=seed)
        model.fit(dataset(split, ("state",), GEOMETRY))
        assert model.model is not None
        return nn.utils.parameters_to_vector(model.model[1].parameters()).detach()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_parameters_that_vary_are_told_to_it(dataset: Callable[..., Any], context: Callable[..., Any]) -> None:
    lengths = np.linspace(0.8, 1.6, 12)
    data = pendulums(12, 31, 2, l1=lengths)
    train = dataset(data, ("state",), GEOMETRY)
    train = replace(train, cases=train.cases.with_columns(l1=pl.Series(lengths), m1=pl.lit(1.0)))
    model = Recurrent(RecurrentTable(hidden=6, lag=4, training=TrainingTable(max_epochs=1)))
    model.fit(train)
    seen = replace(context(data, 4), parameters={"l1": lengths})
    told, other = model.forecast(seen, 3)["state"], replace(seen, parameters={"l1": lengths[::-1]})
    assert np.abs(told - model.forecast(other, 3)["state"]).max() > 1e-6
    with pytest.raises(SurrogateError, match="no parameter `l1`"):
        model.forecast(context(data, 4), 3)


def test_it_continues_fields_by_their_modes(
    split: dict[str, Any], dataset: Callable[..., Any], context: Callable[..., Any], tmp_path: Path
) -> None:
    grid = np.random.default_rng(0).normal(size=(4, 6))
    fields = {"rho": (split["state"] @ grid).reshape(48, 41, 2, 3)}
    model = Recurrent(LatentRecurrentTable(hidden=16, rank=4, training=QUICK))
    model.fit(dataset(fields), dataset(fields))
    forecast = model.forecast(context(fields, 6), 4)["rho"]
    still = np.abs(fields["rho"][:, 5:6] - fields["rho"][:, 6:10]).mean()
    assert np.abs(forecast - fields["rho"][:, 6:10]).mean() < 0.6 * still
    model.save(tmp_path)
    again = Recurrent.load(tmp_path, LatentRecurrentTable())
    np.testing.assert_array_equal(again.forecast(context(fields, 6), 4)["rho"], forecast)


def test_what_cannot_be_done_is_told(split: dict[str, Any], context: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match="is not fitted"):
        Recurrent().forecast(context(split, 3), 1)
    with pytest.raises(SurrogateError, match=r"best\.safetensors: is missing"):
        Recurrent.load(tmp_path)

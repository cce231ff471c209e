from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from motion import pendulums

from emulant.dataset.seams import Forecaster
from emulant.errors import SurrogateError
from emulant.surrogates.recurrent import Recurrent
from emulant.surrogates.residual_mlp import ResidualMLP
from emulant.surrogates.sequence_tables import RecurrentTable, ResidualMLPTable
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

GEOMETRY = {"step": 0.05, "periodic": (0, 1)}


def test_it_learns_the_step_and_comes_back_to_the_bit(
    dataset: Callable[..., Any], context: Callable[..., Any], tmp_path: Path
) -> None:
    data, unseen = pendulums(60, 41, 0), pendulums(6, 41, 1)
    table = TrainingTable(max_epochs=20, batch_size=256, learning_rate=5e-3, validate_every=10)
    model = ResidualMLP(ResidualMLPTable(width=32, depth=2, training=table))
    assert isinstance(model, Forecaster)
    model.workshop = Workshop("mlp", tmp_path, tmp_path, 0, "key")
    model.fit(dataset(data, ("state",), GEOMETRY), dataset(unseen, ("state",), GEOMETRY))
    forecast = model.forecast(context(unseen, 3), 10)["state"]
    truth, still = unseen["state"][:, 3:13], unseen["state"][:, 2:3]
    assert np.abs(forecast - truth).mean() < 0.25 * np.abs(still - truth).mean()
    model.save(tmp_path)
    np.testing.assert_array_equal(ResidualMLP.load(tmp_path).forecast(context(unseen, 3), 10)["state"], forecast)
    with pytest.raises(SurrogateError, match="is not of this kind of surrogate"):
        Recurrent.load(tmp_path, RecurrentTable())


def test_one_step_is_the_state_and_the_unscaled_output(
    dataset: Callable[..., Any], context: Callable[..., Any]
) -> None:
    data = pendulums(8, 11, 0)
    model = ResidualMLP(ResidualMLPTable(width=8, depth=1, training=TrainingTable(max_epochs=1)))
    model.fit(dataset(data, ("state",), GEOMETRY))
    assert model.model is not None
    view, scales, network = model.model
    steps = np.diff(data["state"], axis=1)
    np.testing.assert_allclose(scales.deviation, steps.std(axis=(0, 1)))
    codes = torch.tensor(view.see(dataset(data, ("state",), GEOMETRY)).codes[:, 2])
    with torch.no_grad():
        step = network.double()(codes).numpy() * steps.std(axis=(0, 1)) + steps.mean(axis=(0, 1))
    forecast = model.forecast(context(data, 3), 1)["state"][:, 0]
    np.testing.assert_allclose(forecast, data["state"][:, 2] + step, atol=1e-12)


def test_whole_turns_do_not_matter_and_fields_are_refused(
    dataset: Callable[..., Any], context: Callable[..., Any]
) -> None:
    data = pendulums(8, 11, 0)
    model = ResidualMLP(ResidualMLPTable(width=8, training=TrainingTable(max_epochs=1)))
    model.fit(dataset(data, ("state",), GEOMETRY))
    turned = {"state": data["state"] + 2 * np.pi * np.array([3, -1, 0, 0])}
    here, there = (model.forecast(context(case, 2), 5)["state"] for case in (data, turned))
    np.testing.assert_allclose(there - here, np.broadcast_to([6 * np.pi, -2 * np.pi, 0, 0], here.shape), atol=1e-9)
    with pytest.raises(SurrogateError, match="vectors of states"):
        ResidualMLP().fit(dataset({"rho": np.zeros((2, 5, 3, 3))}))

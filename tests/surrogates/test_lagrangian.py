from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from motion import accelerations, pendulums
from torch import Tensor

from emulant.dataset.seams import Forecaster
from emulant.errors import SurrogateError
from emulant.surrogates.lagrangian import Lagrangian, LagrangianNetwork, TangentPerceptron, inertia_matrix
from emulant.surrogates.sequence_tables import LagrangianTable
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

GEOMETRY = {"step": 0.05, "periodic": (0, 1)}


@pytest.fixture
def network() -> LagrangianNetwork:
    torch.manual_seed(0)
    return LagrangianNetwork(1, 8).double()


def energy_parts(network: LagrangianNetwork, q: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """M (2, 2) and V at one q (2,), without any derivative of the network's own."""
    inputs = torch.cat([q.sin(), q.cos(), given])[None]
    nothing = torch.zeros(2, *inputs.shape, dtype=inputs.dtype)
    m11, m12, m22 = inertia_matrix(*network.inertia(inputs, nothing))[0][0]
    mass = torch.stack([torch.stack([m11, m12]), torch.stack([m12, m22])])
    return mass, 10.0 * network.potential(inputs, nothing)[0][0, 0]


def test_accelerations_are_those_of_the_euler_lagrange_equations(network: LagrangianNetwork) -> None:
    def lagrangian(q: Tensor, v: Tensor, given: Tensor) -> Tensor:
        mass, potential = energy_parts(network, q, given)
        return 0.5 * v @ mass @ v - potential

    states, given = torch.randn(12, 4, dtype=torch.float64), torch.randn(12, 1, dtype=torch.float64)
    found = network(states, given)
    for row, told, acceleration in zip(states, given, found, strict=True):
        q, v = row[:2], row[2:]
        force = torch.autograd.functional.jacobian(lambda x: lagrangian(x, v, told), q)  # noqa: B023
        momentum = torch.func.jacrev(torch.func.grad(lagrangian, argnums=1), argnums=(0, 1))
        over_q, over_v = momentum(q, v, told)
        expected = torch.linalg.solve(over_v, force - over_q @ v)
        torch.testing.assert_close(acceleration, expected, rtol=1e-10, atol=1e-10)


def test_the_tangents_are_the_derivatives(network: LagrangianNetwork) -> None:
    net = TangentPerceptron(3, 7, 2).double()
    point, direction = torch.randn(5, 3, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)

    def outputs(x: Tensor) -> Tensor:
        return net(x, torch.zeros(1, 5, 3, dtype=x.dtype))[0]

    _, tangents = net(point, direction)
    for found, along in zip(tangents, direction, strict=True):
        step = 1e-6 * along
        torch.testing.assert_close(found, (outputs(point + step) - outputs(point - step)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_a_rollout_keeps_its_own_energy_and_the_inertia_is_positive(
    dataset: Callable[..., Any], context: Callable[..., Any]
) -> None:
    data = pendulums(6, 11, 0)
    model = Lagrangian(LagrangianTable(width=8, rollout_substeps=20, training=TrainingTable(max_epochs=1)))
    model.fit(dataset(data, ("state",), GEOMETRY))
    assert model.model is not None
    network, nothing = model.model[1].double().requires_grad_(False), torch.zeros(0, dtype=torch.float64)
    states = torch.tensor(model.forecast(context(data, 1), 60)["state"])
    for case in states:
        parts = [(energy_parts(network, y[:2], nothing), y[2:]) for y in case]
        energies = torch.stack([0.5 * v @ mass @ v + potential for (mass, potential), v in parts])
        assert float((energies - energies[0]).abs().max()) < 1e-6
        assert all(float(torch.linalg.eigvalsh(mass).min()) > 0 for (mass, _), _ in parts)


@pytest.mark.parametrize(("target", "epochs", "share"), [("accelerations", 60, 0.06), ("states", 12, 0.1)])
def test_it_fits_another_lagrangian(
    target: str, epochs: int, share: float, dataset: Callable[..., Any], context: Callable[..., Any], tmp_path: Path
) -> None:
    """A spring pulls at the lower bob, and l, m are not one: nothing of the double pendulum may be built in."""
    physics = {"spring": 6.0, "l1": 0.8, "l2": 1.3, "m1": 1.4, "m2": 0.7}
    data, unseen = pendulums(60, 41, 0, **physics), pendulums(6, 41, 1, **physics)
    size = 256 if target == "accelerations" else 64
    table = TrainingTable(
        max_epochs=epochs, batch_size=size, learning_rate=1e-2, scheduler="cosine", validate_every=epochs
    )
    model = Lagrangian(LagrangianTable.model_validate({"target": target, "width": 32, "training": table}))
    assert isinstance(model, Forecaster)
    model.workshop = Workshop("lagrangian", tmp_path, tmp_path, 0, "key")
    fields = ["state", "acceleration"][: 1 if target == "states" else 2]
    splits = [dataset({name: part[name] for name in fields}, ("state",), GEOMETRY) for part in (data, unseen)]
    model.fit(*splits)
    assert model.model is not None
    states = torch.tensor(unseen["state"].reshape(-1, 4))
    with torch.no_grad():
        found = model.model[1].double()(states, torch.zeros(len(states), 0, dtype=torch.float64)).numpy()
    truth = unseen["acceleration"].reshape(-1, 2)
    assert np.sqrt(np.mean((found - truth) ** 2)) < share * truth.std()
    model.save(tmp_path)
    seen = context(unseen, 2)
    again = Lagrangian.load(tmp_path).forecast(seen, 6)["state"]
    np.testing.assert_array_equal(again, model.forecast(seen, 6)["state"])
    still = np.abs(unseen["state"][:, 1:2] - unseen["state"][:, 2:8]).mean()
    assert np.abs(again - unseen["state"][:, 2:8]).mean() < 0.1 * still


def test_swept_parameters_are_inputs(dataset: Callable[..., Any], context: Callable[..., Any]) -> None:
    lengths = np.linspace(0.7, 1.6, 60)
    data = pendulums(60, 31, 3, l1=lengths)
    train = dataset(data, ("state",), GEOMETRY)
    train = replace(train, cases=train.cases.with_columns(l1=pl.Series(lengths)))
    table = TrainingTable(max_epochs=40, batch_size=256, learning_rate=1e-2)
    model = Lagrangian(LagrangianTable(width=32, training=table))
    model.fit(train)
    start = np.tile([0.7, -0.4, 0.0, 0.0], (2, 1))
    probe = replace(context({"state": start[:, None]}, 1), parameters={"l1": np.array([0.8, 1.5])})
    step = model.forecast(probe, 1)["state"][:, 0, 2:] / 0.05
    truth = accelerations(
        start, {"l1": np.array([0.8, 1.5]), "l2": 1.0, "m1": 1.0, "m2": 1.0, "g": 9.81, "spring": 0.0}
    )
    np.testing.assert_allclose(step, truth, rtol=0.3, atol=1.0)
    assert abs(step[0, 0] - step[1, 0]) > 0.4 * abs(truth[0, 0] - truth[1, 0])


def test_what_cannot_be_fitted_is_told(dataset: Callable[..., Any]) -> None:
    states = {"state": pendulums(3, 5, 0)["state"]}
    with pytest.raises(SurrogateError, match=r'no field `acceleration`.*target = "states"'):
        Lagrangian().fit(dataset(states, ("state",), GEOMETRY))
    with pytest.raises(SurrogateError, match="has 3 components"):
        Lagrangian().fit(dataset({"state": np.zeros((2, 5, 3))}, ("state",), GEOMETRY))

"""The contact graph: what it is before training, what it can learn, what it keeps whatever its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from small_scenes import Recordings, chain, crowd, disc, scene, swing, tower

from emulant.errors import SurrogateError
from emulant.systems.scenes.baselines import ConstantVelocity, ZeroChange
from emulant.systems.scenes.graph import frame, recordings
from emulant.systems.scenes.graph.flat import Flat, flatten
from emulant.systems.scenes.graph.network import ContactNetwork
from emulant.systems.scenes.graph.objective import Objective, share_of_scenes
from emulant.systems.scenes.graph.surrogate import ContactGraph, Untrained
from emulant.systems.scenes.graph.table import ContactGraphTable
from emulant.systems.scenes.scene import Scene
from emulant.training.batches import Batch
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

FEW = TrainingTable(max_epochs=6, epoch_batches=25, batch_size=16, learning_rate=3e-3, validate_every=2)
STARTS = ["flight", "contacts"]


def graph(scenes: Sequence[Scene], start: str = "flight") -> ContactGraph:
    """With weights that are not zero anywhere."""
    model = ContactGraph(ContactGraphTable(width=16, rounds=2, start=start))
    torch.manual_seed(0)
    model.network = ContactNetwork(16, 2)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def state_of(data: Recordings, flat: Flat, k: int = 9) -> torch.Tensor:
    return torch.from_numpy(data.state[:, k].reshape(-1, 6)[flat.rows.numpy()].astype(np.float32))


def position_mse(found: dict[str, np.ndarray], data: Recordings) -> float:
    there = data.static["body_kind"][:, None, :, None] > 0
    squares = (found["state"] - data.after()["state"])[..., :2] ** 2
    return float((squares * there).sum() / (2 * there.sum() * squares.shape[1]))


def test_untrained_it_is_what_it_starts_from() -> None:
    data = Recordings([crowd(0), tower(4), swing()])
    context, network = data.context(), ContactNetwork(16, 2)
    free = ZeroChange().forecast(context, 20)["state"]
    model = ContactGraph(ContactGraphTable(width=16, rounds=2, start="flight"))
    model.network = network
    np.testing.assert_allclose(model.forecast(context, 20)["state"], free, atol=0.05)
    solved = Untrained().forecast(context, 20)
    assert position_mse(solved, data) < 0.1 * position_mse({"state": free}, data)


@pytest.mark.parametrize("start", STARTS)
def test_momentum_is_kept_whatever_the_weights(start: str) -> None:
    apart = [disc(12, (300 + 25 * i, 300 + i), (200 - 90 * i, 5 * i), mass=1 + i) for i in range(4)]
    data = Recordings([scene(apart, statics=(), gravity=(0, 0))])
    flat = flatten(data.static)
    before = state_of(data, flat, 0)
    after = frame.step(graph([]).network, flat, before, ContactGraphTable(start=start)).state.detach()
    mass = 1 / flat.inverse[: flat.bodies, :1]
    assert (after - before)[:, 3:5].abs().max() > 0.3
    rounding = 1e-5 * float((mass * after[:, 3:5].abs()).sum())
    torch.testing.assert_close((mass * after[:, 3:5]).sum(0), (mass * before[:, 3:5]).sum(0), rtol=0, atol=rounding)


@pytest.mark.parametrize("start", STARTS)
def test_a_turned_world_gives_the_turned_answer(start: str) -> None:
    """Nothing in the network knows where up is; a quarter of a turn keeps the engine's axes, too."""
    data = Recordings([crowd(2)])
    flat = flatten(data.static)
    state = state_of(data, flat, 25)
    turned_flat = flat._replace(fixed=_turned(flat.fixed), gravity=_turned(flat.gravity))
    network, table = graph([]).network, ContactGraphTable(start=start)
    there = frame.step(network, flat, state, table).state
    assert (there - frame.step(None, flat, state, table).state).abs().max() > 3
    turned_state = torch.cat([_turned(state[:, :3]), _rotated(state[:, 3:])], 1)
    turned = frame.step(network, turned_flat, turned_state, table).state
    torch.testing.assert_close(turned[:, :2], _turned(there[:, :2]), atol=2e-2, rtol=1e-4)
    torch.testing.assert_close(turned[:, 3:], _rotated(there[:, 3:]), atol=0.5, rtol=1e-3)


def _rotated(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([-rows[:, 1:2], rows[:, :1], rows[:, 2:]], dim=1)


def _turned(rows: torch.Tensor) -> torch.Tensor:
    found = _rotated(rows)
    if rows.shape[1] == 3:
        found = found + torch.tensor([0.0, 0.0, np.pi / 2])
    return found


@pytest.mark.parametrize("start", STARTS)
def test_scenes_side_by_side_do_not_feel_each_other(start: str) -> None:
    scenes = [crowd(1), tower(4), chain(5)]
    model, both = graph(scenes, start), Recordings(scenes)
    together = model.forecast(both.context(), 5)["state"]
    for row, each in enumerate(scenes):
        alone = model.forecast(Recordings([each]).context(), 5)["state"]
        np.testing.assert_allclose(together[row, :, : len(each.bodies)], alone[0], atol=0.02)
        assert not together[row, :, len(each.bodies) :].any()


def test_it_learns_what_holds_things_up(tmp_path: Path) -> None:
    train = Recordings([make(seed) for seed in range(12) for make in (crowd, lambda s: tower(3, s))])
    held = Recordings([make(seed) for seed in range(100, 104) for make in (crowd, lambda s: tower(3, s))])
    model = ContactGraph(ContactGraphTable(width=32, rounds=2, start="flight", frames=40, training=FEW))
    model.workshop = Workshop(folder=tmp_path, logs=tmp_path)
    model.fit(train, held)
    context = held.context()
    learnt = model.forecast(context, 20)
    model.save(tmp_path / "kept")
    again = ContactGraph.load(tmp_path / "kept").forecast(context, 20)
    np.testing.assert_array_equal(learnt["state"], again["state"])
    known = [position_mse(law().forecast(context, 20), held) for law in (ZeroChange, ConstantVelocity)]
    assert position_mse(learnt, held) < 0.5 * min(known)
    curves = (tmp_path / "metrics.csv").read_text().splitlines()
    assert "validation_position_rms" in curves[0]


def test_training_is_a_function_of_seed_and_data() -> None:
    data = Recordings([crowd(seed) for seed in range(4)])
    little = ContactGraphTable(width=8, rounds=1, training=TrainingTable(max_epochs=1, epoch_batches=3, batch_size=4))
    weights = []
    for seed in (0, 0, 1):
        model = ContactGraph(little)
        model.workshop = Workshop(seed=seed)
        model.fit(data)
        assert model.network is not None
        weights.append(torch.cat([value.ravel() for value in model.network.state_dict().values()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_share_the_scenes_of_a_batch_have_its_gradient_together(processes: int) -> None:
    data = Recordings([crowd(1), tower(4), swing(), chain(5), crowd(2)][: 5 if processes == 2 else 3])
    scenes = recordings.read(data, 15)
    network = graph([]).network
    assert network is not None
    objective = Objective.of(ContactGraphTable(width=16, rounds=2), scenes)
    (batch,) = objective.data(scenes, scenes, 0).validation

    def gradient(part: Batch) -> torch.Tensor:
        loss, parameters = objective.loss(network, part), list(network.parameters())
        if not loss.requires_grad:  # the network has no part in a scene in which nothing touches
            return torch.zeros(sum(parameter.numel() for parameter in parameters))
        found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([each.ravel() for each in found])

    whole = gradient(batch)
    shares = [share_of_scenes(batch, rank, processes) for rank in range(processes)]
    assert sum(part for _, part in shares) == pytest.approx(1)
    together = torch.stack([part * gradient(own) for own, part in shares]).sum(dim=0)
    torch.testing.assert_close(together, whole, rtol=2e-3, atol=2e-5)


def test_scenes_are_read_without_padding_and_put_side_by_side_again() -> None:
    data = Recordings([crowd(0), swing(), chain(5)])
    read = recordings.read(data, 15)
    assert [scene.state.shape for scene in read] == [(15, 6, 6), (15, 1, 6), (15, 5, 6)]
    for one, other in zip(recordings.beside(read), flatten(data.static), strict=True):
        assert torch.equal(one, other)


def test_scenes_that_are_too_short_and_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match="too short to unroll"):
        ContactGraph().fit(Recordings([swing()], frames=2))
    with pytest.raises(SurrogateError, match="is missing"):
        ContactGraph.load(tmp_path)
    with pytest.raises(SurrogateError, match="not fitted"):
        ContactGraph().save(tmp_path)

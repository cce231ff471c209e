"""A frame by known laws: exact where nothing touches, close to the engine where something does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_scenes import BOX, FALL, Recordings, chain, crowd, disc, scene, swing, tower

from emulant.dataset.seams import Array
from emulant.systems.scenes.graph.flat import Flat, flatten
from emulant.systems.scenes.graph.march import flight, march
from emulant.systems.scenes.scene import STEP, Force, Scene, Static


def started(data: Recordings, frame: int = 9) -> tuple[Flat, torch.Tensor]:
    flat = flatten(data.static)
    return flat, torch.from_numpy(data.state[:, frame].reshape(-1, 6)[flat.rows.numpy()].astype(np.float32))


def marched(each: Scene, frames: int, steps: int, iterations: int) -> tuple[Array, Array]:
    """The states (N, 6) after some frames from frame 10 on, and the engine's."""
    data = Recordings([each], 10 + frames)
    flat, state = started(data)
    for _ in range(frames):
        found = march(flat, state[:, :3], state[:, 3:], steps, iterations)
        state = torch.cat([found.pose, found.velocity], dim=1)
    return state.numpy(), data.state[0, -1]


@pytest.mark.parametrize("substeps", [1, 3, 8])
def test_free_flight_is_the_engines_closed_form(substeps: int) -> None:
    data = Recordings([scene([disc(8, (300, 400), (120, 40))], substeps=substeps)], 20)
    flat, state = started(data)
    pose, velocity = state[:, :3], state[:, 3:]
    for _ in range(10):
        pose, velocity = flight(flat, pose, velocity)
    v, k = np.array((120.0, 40.0)), 20
    place = np.array((300.0, 400.0)) + k * v * STEP + 0.5 * np.array(FALL) * STEP**2 * (k**2 - k / substeps)
    np.testing.assert_allclose(pose[0, :2], place, atol=2e-3)
    np.testing.assert_allclose(pose[0, :2], data.state[0, -1, 0, :2], atol=2e-3)


@pytest.mark.parametrize(
    "force",
    [Force("central", 4e6, (400, 320)), Force("central", 4e6, (380, 330), 40.0), Force("mutual", 4e3, softening=0.0)],
)
def test_flight_under_attraction_is_the_engines(force: Force) -> None:
    bodies = [disc(5, (400, 320), mass=1000), disc(4, (520, 320), (0, 170)), disc(4, (400, 500), (-140, 0))]
    data = Recordings([scene(bodies[force.kind == "central" :], gravity=(0, 0), force=force)], 30)
    flat, state = started(data)
    pose, velocity = state[:, :3], state[:, 3:]
    for _ in range(20):
        pose, velocity = flight(flat, pose, velocity)
    np.testing.assert_allclose(pose[:, :2], data.state[0, -1, :, :2], atol=0.01)


@pytest.mark.parametrize(
    ("each", "bound"),
    [(tower(9), 0.5), (chain(10), 0.1), (swing(), 0.05), (crowd(3), 1.0)],
    ids=["tower", "chain", "swing", "crowd"],
)
def test_at_the_engines_own_substeps_it_follows_the_engine(each: Scene, bound: float) -> None:
    found, truth = marched(each, 20, steps=8, iterations=30)
    assert np.sqrt(((found - truth)[:, :2] ** 2).mean()) < bound


def test_fewer_steps_and_iterations_cost_accuracy() -> None:
    errors = [
        np.square(np.subtract(*marched(tower(9), 20, *work))[:, :2]).mean() for work in ((2, 8), (4, 10), (8, 30))
    ]
    assert errors[0] > errors[1] > errors[2]


def test_impulses_within_a_scene_keep_momentum() -> None:
    data = Recordings(
        [scene([disc(12, (300 + 26 * i, 300), (200 - 90 * i, 5 * i), mass=1 + i) for i in range(4)], gravity=(0, 0))],
        12,
    )
    flat, state = started(data, 0)
    mass = 1 / flat.inverse[: flat.bodies, :1]
    after = march(flat, state[:, :3], state[:, 3:], 4, 10)
    assert (after.velocity - state[:, 3:]).abs().max() > 1
    torch.testing.assert_close(
        (mass * after.velocity[:, :2]).sum(0), (mass * state[:, 3:5]).sum(0), rtol=1e-5, atol=1e-2
    )


def test_a_belt_carries_what_lies_on_it() -> None:
    belt = Static("segment", ((100, 150), (700, 150)), 2, 1.0, 0.1, surface_velocity=(80.0, 0.0))
    found, truth = marched(scene([disc(10, (300, 162), mu=1.0)], (*BOX, belt)), 20, 8, 20)
    assert truth[0, 5] > 1  # it rolls
    np.testing.assert_allclose(found[0, [0, 3, 5]], truth[0, [0, 3, 5]], atol=0.5)


def test_scenes_side_by_side_do_not_feel_each_other() -> None:
    both = Recordings([crowd(1), tower(4), chain(5)])
    flat, state = started(both)
    together = march(flat, state[:, :3], state[:, 3:], 4, 10)
    for row, each in enumerate(both.scenes):
        own_flat, own = started(Recordings([each]))
        alone = march(own_flat, own[:, :3], own[:, 3:], 4, 10)
        np.testing.assert_allclose(together.pose[flat.scene == row], alone.pose, atol=1e-4)

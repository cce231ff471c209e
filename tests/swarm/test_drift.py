from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emulant.dataset.seams import Array, Context, Forecaster
from emulant.systems.swarm.drift import Drift, mean_velocity

GEOMETRY = {"Lx": 12.0, "Ly": 8.0, "nx": 48, "ny": 40, "bc": "periodic", "speed": 1.5}
STEP, FRAMES = 0.2, 4


def blob(centre: Array, width: float = 0.8, bc: str = "periodic") -> Array:
    """(..., 2) -> (..., ny, nx): a Gaussian on the torus, or with its mirror images."""
    profiles = []
    for axis, (length, cells) in enumerate(((12.0, 48), (8.0, 40))):
        x, c = (np.arange(cells) + 0.5) * length / cells, centre[..., axis, None]
        places = (
            [c + m * length for m in range(-5, 6)]
            if bc == "periodic"
            else [s * c + 2 * m * length for m in (-1, 0, 1) for s in (1, -1)]
        )
        profiles.append(sum(np.exp(-((x - place) ** 2) / (2 * width**2)) for place in places))
    return profiles[1][..., :, None] * profiles[0][..., None, :]


def flock(angles: Array, start: tuple[float, float] = (11.0, 7.5), bc: str = "periodic") -> tuple[Context, Array]:
    """Blobs that move rigidly, one case per angle, and where they are in the 6 frames after the context."""
    velocity = 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None]
    times = STEP * np.arange(FRAMES + 6)[:, None]
    rho = blob(np.array(start) + velocity * times, bc=bc)
    headings = np.repeat(angles[:, None, None], FRAMES, axis=1) + np.array([-0.1, 0.1])
    seen = {"rho": rho[:, :FRAMES], "headings": headings}
    context = Context(seen, STEP * np.arange(FRAMES), STEP, GEOMETRY | {"bc": bc})
    return context, rho[:, FRAMES:]


ANGLES = np.array([0.3, 2.0, -2.5])


def test_a_rigid_flock_is_forecast_exactly_across_the_edges() -> None:
    context, truth = flock(ANGLES)
    context = replace(context, fields=context.fields | {"headings": ANGLES[:, None, None] * np.ones((3, FRAMES, 5))})
    model = Drift()
    assert isinstance(model, Forecaster)
    np.testing.assert_allclose(model.forecast(context, 6)["rho"], truth, atol=1e-6)


def test_the_velocity_is_the_mean_at_the_last_context_frame() -> None:
    headings = np.random.default_rng(0).uniform(-3, 3, (2, 4, 7))
    context = Context({"rho": np.ones((2, 4, 40, 48)), "headings": headings}, np.arange(4.0), 1.0, GEOMETRY)
    expected = 1.5 * np.array([[np.cos(h).mean(), np.sin(h).mean()] for h in headings[:, -1]])
    np.testing.assert_allclose(mean_velocity(context), expected)


def test_without_headings_the_velocity_comes_from_the_density() -> None:
    context, truth = flock(ANGLES)
    context = replace(context, fields={"rho": context.fields["rho"]})
    expected = 1.5 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    np.testing.assert_allclose(mean_velocity(context), expected, atol=1e-6)
    np.testing.assert_allclose(Drift().forecast(context, 6)["rho"], truth, atol=1e-5)


def test_between_walls_the_centre_is_a_plain_one_and_the_frame_is_mirrored() -> None:
    context, truth = flock(ANGLES[:2], start=(5.0, 3.5), bc="reflecting")
    context = replace(context, fields={"rho": context.fields["rho"]})
    expected = 1.5 * np.stack([np.cos(ANGLES[:2]), np.sin(ANGLES[:2])], axis=-1)
    np.testing.assert_allclose(mean_velocity(context), expected, atol=1e-3)
    # Mirrored matter moves along rigidly, so this holds only until some of it reaches a wall.
    np.testing.assert_allclose(Drift().forecast(context, 2)["rho"], truth[:, :2], atol=0.003)


def test_what_leaves_a_wall_comes_with_its_mirror_image() -> None:
    context, _ = flock(np.array([np.pi]), start=(12.0, 4.0), bc="reflecting")
    rho = context.fields["rho"][:, :1]  # the first frame: at the wall, and half of it beyond
    headings = np.full((1, 1, 3), np.pi)
    context = replace(context, fields={"rho": rho, "headings": headings}, times=context.times[:1])
    profile = Drift().forecast(context, 5)["rho"][0, -1].sum(axis=0)
    x = (np.arange(48) + 0.5) * 12 / 48
    expected = np.exp(-((x - (12.0 - 1.5 * 5 * STEP)) ** 2) / (2 * 0.8**2))
    np.testing.assert_allclose(profile / profile.max(), expected / expected.max(), atol=1e-3)


def test_no_swarm_outruns_its_particles() -> None:
    noise = np.random.default_rng(0).uniform(size=(20, 4, 40, 48))
    context = Context({"rho": noise}, np.arange(4.0), 0.01, GEOMETRY)
    assert np.linalg.norm(mean_velocity(context), axis=1).max() <= 1.5 + 1e-12
    one_frame = Context({"rho": noise[:, :1]}, np.arange(1.0), 0.01, GEOMETRY)
    np.testing.assert_array_equal(mean_velocity(one_frame), 0)


@pytest.mark.parametrize("bc", ["periodic", "reflecting"])
def test_a_shift_keeps_the_mass_on_the_torus_and_a_swarm_at_rest_stays(bc: str, tmp_path: Path) -> None:
    context, _ = flock(ANGLES, bc=bc)
    still = np.array([0.0, np.pi]) * np.ones((3, FRAMES, 1))
    context = replace(context, fields=context.fields | {"headings": still})
    model = Drift.load(tmp_path)
    assert model.save(tmp_path) == []
    forecast = model.forecast(context, 3)["rho"]
    np.testing.assert_allclose(forecast, np.repeat(context.fields["rho"][:, -1:], 3, axis=1), atol=1e-12)

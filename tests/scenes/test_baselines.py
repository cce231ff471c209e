"""Laws of motion against closed forms, and the oracle against the engine."""

from __future__ import annotations

import numpy as np
import pytest
from small_scenes import BOX, Recordings, box, chain, crowd, disc, scene, swing, tower

from emulant.errors import SurrogateError
from emulant.systems.scenes.baselines import Ballistic, ConstantVelocity, ZeroChange
from emulant.systems.scenes.oracle import Resimulate
from emulant.systems.scenes.scene import STEP, Force, Static


def test_constant_velocity_goes_on_for_all_frames_turning_included() -> None:
    data = Recordings([crowd(0)])
    found, last = ConstantVelocity().forecast(data.context(), 20)["state"], data.state[:, 9]
    np.testing.assert_allclose(found[:, -1, :, :3], last[..., :3] + 20 * STEP * last[..., 3:])
    np.testing.assert_array_equal(found[:, -1, :, 3:], last[..., 3:])


@pytest.mark.parametrize("substeps", [1, 8])
def test_ballistic_is_exact_for_what_falls_and_still_for_what_lies(substeps: int) -> None:
    data = Recordings([scene([disc(10, (200, 400), (90, 30)), box(30, 20, (500, 62))], substeps=substeps)])
    found = Ballistic().forecast(data.context(), 20)["state"]
    np.testing.assert_allclose(found[:, :, 0], data.after()["state"][:, :, 0], atol=1e-6)
    np.testing.assert_allclose(found[:, :, 1], data.after()["state"][:, :, 1], atol=0.1)
    falls = ConstantVelocity().forecast(data.context(), 20)["state"][0, -1, 0, 1] - data.after()["state"][0, -1, 0, 1]
    assert falls == pytest.approx(0.5 * 981 * STEP**2 * (400 - 20 / substeps), rel=1e-3)


def test_ballistic_needs_two_frames_to_see_what_falls() -> None:
    with pytest.raises(SurrogateError, match="needs 2"):
        Ballistic().forecast(Recordings([swing()]).context(1), 3)


@pytest.mark.parametrize("force", [Force("central", 4e6, (400, 320), 20.0), Force("mutual", 4e3)])
def test_zero_change_is_exact_under_the_forces_of_the_header(force: Force) -> None:
    bodies = [disc(5, (400, 320), mass=1000), disc(4, (520, 320), (0, 170)), disc(4, (400, 500), (-140, 0))]
    data = Recordings([scene(bodies[force.kind == "central" :], gravity=(0, 0), force=force), crowd(1)])
    found = ZeroChange().forecast(data.context(), 20)["state"]
    there = len(data.scenes[0].bodies)
    np.testing.assert_allclose(found[0, :, :there], data.after()["state"][0, :, :there], atol=1e-6)
    assert not found[0, :, there:].any()


def test_the_oracle_runs_the_headers_scene_on_from_the_last_frame() -> None:
    block = Static("polygon", ((500, 60), (560, 60), (560, 90), (500, 90)), 0, 0.5, 0.5)
    belt = Static("segment", ((100, 150), (300, 150)), 2, 1.0, 0.1, surface_velocity=(80.0, 0.0))
    bob = Static("circle", ((600, 300),), 20, 0.5, 0.5)
    falling = scene([disc(9, (520, 140)), disc(9, (150, 162)), disc(9, (605, 340))], (*BOX, block, belt, bob))
    orbit = scene([disc(5, (520, 320), (0, 170))], gravity=(0, 0), force=Force("central", 4e6, (400, 320)))
    data = Recordings([falling, tower(4), chain(6), orbit])
    found = Resimulate().forecast_with_truth(data.context(), data.after())["state"]
    np.testing.assert_allclose(found, data.after()["state"], atol=0.5)
    np.testing.assert_allclose(found[3], data.after()["state"][3], atol=1e-9)

"""The simulator against closed forms and conservation laws."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ellipk
from small_scenes import BOX, FALL, box, disc, scene

from emulant.systems.scenes.arrays import scene_arrays
from emulant.systems.scenes.catalogue import make_scene
from emulant.systems.scenes.checks import energy_gain, momentum_error
from emulant.systems.scenes.scene import STATIC, STEP, Force, Joint, initial_state, quantised
from emulant.systems.scenes.simulation import engine, simulate


def turns(angle):
    """Periods of a full revolution, in s, from unwrapped angles (T,) of frames."""
    return 2 * math.pi * STEP * (len(angle) - 1) / abs(angle[-1] - angle[0])


@pytest.mark.parametrize("substeps", [1, 3, 8])
def test_free_flight_is_in_the_engines_order_of_operations(substeps):
    flying = replace(scene([disc(5, (200, 300), (150, 90))], statics=()), engine=engine(substeps, 10))
    state = simulate(flying, 40)[:, 0]
    k = np.arange(1, 41)
    fall = 0.5 * FALL[1] * STEP**2 * (k**2 - k / substeps)
    np.testing.assert_allclose(state[:, 0], 200 + k * 150 * STEP, rtol=0, atol=1e-9)
    np.testing.assert_allclose(state[:, 1], 300 + k * 90 * STEP + fall, rtol=0, atol=1e-9)
    np.testing.assert_allclose(state[:, 4], 90 + k * FALL[1] * STEP, rtol=0, atol=1e-9)


def test_a_pendulum_has_the_period_of_the_elliptic_integral():
    rod, angle = 200.0, math.radians(60)
    bob = disc(10, (400 + rod * math.sin(angle), 500 - rod * math.cos(angle)))
    tie = Joint("pin", (STATIC, 0), ((400.0, 500.0), (0.0, 0.0)), rod)
    x = simulate(scene([bob], joints=(tie,)), 400)[:, 0, 0] - 400
    falling = np.flatnonzero((x[:-1] > 0) & (x[1:] <= 0))
    crossings = (falling + x[falling] / (x[falling] - x[falling + 1])) * STEP
    period = 4 * math.sqrt(rod / 981) * ellipk(math.sin(angle / 2) ** 2)
    assert np.diff(crossings) == pytest.approx(period, rel=0.01)


def test_an_orbit_keeps_keplers_third_law():
    mu, apart = 4e6, 150.0
    speed = math.sqrt(mu / apart)
    bodies = [disc(3, (400 + apart, 320), (0, speed))]
    state = simulate(scene(bodies, statics=(), gravity=(0.0, 0.0), force=Force("central", mu, (400, 320))), 600)
    angle = np.unwrap(np.arctan2(state[:, 0, 1] - 320, state[:, 0, 0] - 400))
    assert turns(angle) == pytest.approx(2 * math.pi * math.sqrt(apart**3 / mu), rel=0.01)


def test_planets_keep_keplers_third_law_about_their_sun_and_the_momentum_stays_zero():
    system = make_scene("solar_system", 1, 5, engine(8, 10))
    assert system.force is not None
    state = simulate(system, 1200)
    masses = np.array([body.mass for body in system.bodies])
    gm = system.force.strength * masses[0]
    start = initial_state(system)
    place = (start - start[0])[:, :2]
    velocity = (start - start[0])[:, 3:5]
    distance = np.hypot(*place.T)[1:]
    axis = 1 / (2 / distance - (velocity[1:] ** 2).sum(axis=1) / gm)
    around = np.unwrap(np.arctan2(*np.moveaxis((state - state[:, :1])[:, 1:, 1::-1], -1, 0)), axis=0)
    inner = np.argsort(axis)[:2]  # those that go round often, so that the ellipse averages out
    for planet in inner:
        revolutions = np.abs(around[:, planet] - around[0, planet]) / (2 * math.pi)
        last = int(np.argmax(revolutions >= math.floor(revolutions[-1])))
        period = 2 * math.pi * math.sqrt(axis[planet] ** 3 / gm)
        assert last * STEP / math.floor(revolutions[-1]) == pytest.approx(period, rel=0.01)
    momentum = (masses[:, None] * state[..., 3:5]).sum(axis=1)
    terms = (masses[:, None] * np.abs(state[..., 3:5])).sum(axis=(1, 2))
    assert (np.hypot(*momentum.T) < 1e-6 * terms).all()


def test_bodies_that_hit_each_other_in_flight_keep_their_momentum():
    bodies = [disc(10, (300, 400), (200, 0), mass=2), disc(14, (380, 405), (-150, 10), mass=5), box(30, 20, (340, 430))]
    flying = scene(bodies)
    frames = np.concatenate([initial_state(flying)[None], quantised(simulate(flying, 15))])
    fields = scene_arrays([flying])
    assert np.abs(np.diff(frames[:, 0, 3])).max() > 50, "they have met"
    assert momentum_error(frames[None], fields)[0] < 1e-3
    frames[8:, 0, 3] += 5
    assert momentum_error(frames[None], fields)[0] > 1e-3


def test_free_flight_gains_no_energy_and_a_kick_does():
    flying = scene([disc(10, (300, 400), (200, 100), mass=2)], statics=())
    frames = np.concatenate([initial_state(flying)[None], simulate(flying, 30)])
    assert energy_gain(frames[None], scene_arrays([flying]))[0] < 1e-12
    frames[20:, :, 4] -= 300
    assert energy_gain(frames[None], scene_arrays([flying]))[0] > 0.1


@pytest.mark.parametrize("way", [-1, 1])
def test_a_belt_carries_what_lies_on_it_its_own_way(way):
    belt = replace(BOX[0], surface_velocity=(way * 80.0, 0.0), friction=1.0)
    state = simulate(scene([box(30, 20, (400, 62))], statics=(belt, *BOX[1:])), 120)
    assert state[-1, 0, 3] == pytest.approx(way * 80, abs=1)


def test_a_state_goes_on_where_it_is_put():
    flying = scene([disc(5, (200, 300), (150, 90)), box(20, 10, (500, 400), angle=0.3)], statics=())
    whole = simulate(flying, 30)
    np.testing.assert_allclose(simulate(flying, 20, whole[9]), whole[10:], rtol=0, atol=1e-9)

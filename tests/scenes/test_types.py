"""The 35 types: what their names say, in places that are free."""

from dataclasses import replace

import numpy as np
import pytest

from emulant.systems.scenes.arrays import scene_arrays
from emulant.systems.scenes.catalogue import BIG, HELDOUT, SCENARIOS, TYPES, case_number, make_scene, type_and_number
from emulant.systems.scenes.checks import energy_gain, start_of
from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.layout import layout
from emulant.systems.scenes.scene import HEIGHT, WIDTH, initial_state, quantised
from emulant.systems.scenes.simulation import engine, simulate
from emulant.systems.scenes.stage import Stage
from emulant.systems.scenes.touching import encounters

ENGINE = engine(8, 10)
CORE = [name for name in TYPES if name not in BIG]


def deepest_overlap(scene):
    plan = layout(scene_arrays([scene]))
    (met,) = encounters(plan, initial_state(scene)[None])
    return -float(met.gaps.min(initial=0.0))


def watched(name, difficulty, seed, gravity=1.0):
    scene = make_scene(name, difficulty, seed, ENGINE, gravity)
    return Watched(scene, quantised(simulate(scene)), initial_state(scene))


def test_there_are_35_of_them_and_their_numbers_are_fixed():
    assert len(TYPES) == 35
    assert set(HELDOUT) < set(TYPES)
    assert TYPES[:3] == ("billiards", "bowling", "explosion")
    assert TYPES[-1] == "solar_system"
    assert {type_and_number(case_number(name, 7)) for name in TYPES} == {(name, 7) for name in TYPES}


@pytest.mark.parametrize("name", TYPES)
def test_difficulty_gives_the_number_of_objects(name):
    counts = tuple(len(make_scene(name, d, 1, ENGINE).bodies) for d in range(1, 6))
    assert counts == SCENARIOS[name].objects


@pytest.mark.parametrize("name", TYPES)
def test_nothing_overlaps_at_the_start_and_everything_is_inside(name):
    seeds = range(2) if name in BIG else range(12)
    for seed in seeds:
        for difficulty in {1, 3, 5, SCENARIOS[name].hardest}:
            scene = make_scene(name, difficulty, seed, ENGINE, 1.0 if difficulty < 6 else 1.7)
            assert deepest_overlap(scene) < 0.01, (difficulty, seed)
            places = initial_state(scene)[:, :2]
            assert ((places > 0) & (places < [WIDTH, HEIGHT])).all(), (difficulty, seed)


def test_the_overlap_is_seen():
    stage = Stage(np.random.default_rng(0))
    stage.block(100, 100, 30, 30)
    assert not stage.is_clear(118, 118, 4.5)
    assert stage.is_clear(119.2, 119.2, 4.5)
    scene = make_scene("tower", 1, 0, ENGINE)
    lowest = replace(scene.bodies[0], position=(scene.bodies[0].position[0], scene.bodies[0].position[1] + 3))
    assert deepest_overlap(replace(scene, bodies=(lowest, *scene.bodies[1:]))) == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize("name", CORE)
def test_the_thing_in_its_name_happens(name):
    happened = [SCENARIOS[name].happened(watched(name, difficulty, 11)) for difficulty in (2, 3, 4)]
    assert sum(happened) >= 2


@pytest.mark.parametrize("name", TYPES)
def test_a_seed_is_a_scene_and_another_seed_another(name):
    many = 3 if name in BIG else 30
    starts = [start_of(make_scene(name, 3, seed, ENGINE)) for seed in range(many)]
    assert len(set(starts)) == many
    assert start_of(make_scene(name, 3, 1, ENGINE)) == starts[1]


def test_types_that_need_it_are_solved_with_more_iterations_and_none_with_fewer_than_asked_for():
    assert make_scene("jenga", 1, 0, ENGINE).engine.iterations == 30
    assert make_scene("jenga", 1, 0, engine(8, 50)).engine.iterations == 50
    assert make_scene("tower", 1, 0, ENGINE).engine.iterations == 10


@pytest.mark.parametrize("name", ["bowling", "jenga", "bridge", "wrecking_ball"])
def test_the_types_that_gained_energy_gain_hardly_any(name):
    gains = []
    for seed in range(6):
        each = watched(name, 3 + seed % 3, 60 + seed)
        frames = np.concatenate([each.start[None], each.state])
        gains.append(float(energy_gain(frames[None], scene_arrays([each.scene]))[0]))
    assert sorted(gains)[-2] < 0.01
    assert max(gains) < 0.10


@pytest.mark.parametrize("name", ["projectile", "angry_birds", "basketball"])
@pytest.mark.parametrize("gravity", [0.5, 2.0])
def test_throws_are_aimed_under_another_gravity_too(name, gravity):
    assert sum(SCENARIOS[name].happened(watched(name, 3, seed, gravity)) for seed in range(5)) >= 4


@pytest.mark.soak
@pytest.mark.parametrize("name", TYPES)
def test_soak_events_escapes_and_energy(name):
    """50 scenes of each difficulty (5 of the big types): the event in 80 %, hardly an escape, little energy gained."""
    scenario, many = SCENARIOS[name], 5 if name in BIG else 50
    escaped = bodies = 0
    gains = []
    for difficulty in range(1, 6):
        seen = [watched(name, difficulty, 1000 * difficulty + seed) for seed in range(many)]
        assert sum(map(scenario.happened, seen)) >= 0.8 * many, difficulty
        for each in seen:
            outside = (each.state[..., :2] < 0) | (each.state[..., :2] > [WIDTH, HEIGHT])
            escaped, bodies = escaped + int(outside.any(axis=(0, 2)).sum()), bodies + len(each.start)
            if each.scene.force is None and name != "conveyor":
                frames = np.concatenate([each.start[None], each.state])
                gains.append(float(energy_gain(frames[None], scene_arrays([each.scene]))[0]))
    assert escaped <= 0.001 * bodies
    assert max(gains, default=0) < 0.10
    assert np.mean(np.array(gains or [0.0]) > 0.01) <= 0.10


@pytest.mark.soak
@pytest.mark.parametrize("name", CORE)
def test_soak_ten_thousand_seeds_are_ten_thousand_scenes(name):
    starts = {start_of(make_scene(name, 1 + seed % 5, seed, ENGINE)) for seed in range(10_000)}
    assert len(starts) >= 9_999

"""All types of scenes, and the one function that makes a scene of any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from emulant.dataset.seeds import case_sequence, stream
from emulant.systems.scenes.collision import COLLISION
from emulant.systems.scenes.complex import COMPLEX
from emulant.systems.scenes.constraint import CONSTRAINT
from emulant.systems.scenes.minigame import MINIGAME
from emulant.systems.scenes.ramp import RAMP
from emulant.systems.scenes.scenario import Scenario
from emulant.systems.scenes.scene import Engine, Scene
from emulant.systems.scenes.stacking import STACKING
from emulant.systems.scenes.stage import Stage

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario for scenario in (*COLLISION, *STACKING, *RAMP, *CONSTRAINT, *MINIGAME, *COMPLEX)
}
TYPES = tuple(SCENARIOS)
"""The place of a type here is its number in seeds and cases: new types go to the end."""
CATEGORIES = tuple(dict.fromkeys(scenario.category for scenario in SCENARIOS.values()))
HELDOUT = ("bowling", "ramp_roll", "newtons_cradle", "angry_birds", "pong", "hourglass")
BIG = ("particle_explosion", "chain_reaction", "fluid_sim")
"""Those of a hundred bodies and more; all others are the core types."""

PER_TYPE = 10**8
"""Case number = number of the type times this + number of the scene, so no case changes when types or scenes join."""


def case_number(type_: str, number: int) -> int:
    """The case that scene `number` of a type is, in every split."""
    return TYPES.index(type_) * PER_TYPE + number


def type_and_number(case: int) -> tuple[str, int]:
    """The inverse of `case_number`."""
    place, number = divmod(case, PER_TYPE)
    return TYPES[place], number


def scene_seed(root: int, split: str, type_: str, number: int) -> int:
    """The seed of a scene: 53 bits, so that every reader of JSON holds it exactly."""
    words = case_sequence(root, split, TYPES.index(type_), number).generate_state(1, "uint64")
    return int(words[0]) >> 11


def make_scene(type_: str, difficulty: int, seed: int, engine: Engine, gravity_factor: float = 1.0) -> Scene:
    """A scene as a pure function of its arguments.

    Args:
        gravity_factor: Of the vertical gravity, for scenes outside the range of training.
    """
    scenario = SCENARIOS[type_]
    x, y = scenario.gravity
    stage = Stage(stream(seed, "simulation"), (x, y * gravity_factor))
    scenario.build(stage, difficulty)
    return Scene(
        type=type_,
        category=scenario.category,
        difficulty=difficulty,
        seed=seed,
        description=scenario.description,
        gravity=stage.gravity,
        bodies=tuple(stage.bodies),
        statics=tuple(stage.statics),
        joints=tuple(stage.joints),
        force=stage.force,
        engine=replace(engine, iterations=max(engine.iterations, scenario.iterations)),
    )

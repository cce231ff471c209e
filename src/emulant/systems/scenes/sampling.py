"""Which scene a case is: a pure function of the study's seed, the split, the type and the scene's number."""

from __future__ import annotations

from dataclasses import replace

from emulant.dataset.seeds import stream
from emulant.systems.scenes.catalogue import SCENARIOS, make_scene, scene_seed
from emulant.systems.scenes.config import HARDEST, ScenesConfig
from emulant.systems.scenes.scene import Scene
from emulant.systems.scenes.simulation import engine

WEAK, STRONG = (0.5, 0.7), (1.4, 2.0)
"""What `test_ood` multiplies gravity by: one range or the other, equally often."""


def draw(config: ScenesConfig, split: str, type_: str, number: int) -> Scene:
    """Scene `number` of a type; `difficulty` and gravity beyond the range of training in `test_ood`."""
    seed = scene_seed(config.seed, split, type_, number)
    scene = make_scene(
        type_,
        difficulty(config, split, type_, number),
        seed,
        engine(config.system.substeps, config.system.iterations),
        gravity_factor(seed) if split == "test_ood" else 1.0,
    )
    return replace(scene, frames=config.system.frames, split=split, number=number)


def difficulty(config: ScenesConfig, split: str, type_: str, number: int) -> int:
    """Every difficulty of the range equally often, in turn."""
    low, high = config.system.difficulty
    hardest = SCENARIOS[type_].hardest
    if split == "test_ood" and hardest > HARDEST:
        low, high = HARDEST + 1, hardest
    return low + number % (high - low + 1)


def gravity_factor(seed: int) -> float:
    """Drawn beside the scene's own numbers, so that a seed keeps its meaning."""
    random = stream(seed, "simulation", 1)
    low, high = WEAK if random.random() < 0.5 else STRONG
    return float(random.uniform(low, high))

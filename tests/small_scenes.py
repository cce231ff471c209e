"""Small scenes for the tests of what learns from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.seams import Array, Context
from emulant.systems.scenes.arrays import padded_states, scene_arrays
from emulant.systems.scenes.scene import FIELDS, STEP, Body, Engine, Force, Joint, Scene, Static
from emulant.systems.scenes.simulation import simulate

FALL = (0.0, -981.0)
BOX = (
    Static("segment", ((10, 50), (790, 50)), 2, 0.8, 0.5),
    Static("segment", ((10, 50), (10, 590)), 2, 0.5, 0.3),
    Static("segment", ((790, 50), (790, 590)), 2, 0.5, 0.3),
    Static("segment", ((10, 590), (790, 590)), 2, 0.5, 0.3),
)


def disc(radius: float, place: Any, velocity: Any = (0, 0), mass: float = 1.0, mu: float = 0.5, e: float = 0.5) -> Body:
    return Body("disc", (radius, radius), place, velocity, 0.0, 0.0, mass, 0.5 * mass * radius**2, mu, e)


def box(width: float, height: float, place: Any, angle: float = 0.0, mass: float = 1.0, e: float = 0.2) -> Body:
    moment = mass * (width**2 + height**2) / 12
    return Body("box", (width / 2, height / 2), place, (0, 0), angle, 0.0, mass, moment, 0.7, e)


def scene(
    bodies: Sequence[Body],
    statics: Sequence[Static] = BOX,
    joints: Sequence[Joint] = (),
    gravity: Any = FALL,
    force: Force | None = None,
    substeps: int = 8,
) -> Scene:
    return Scene(
        "test", "test", 1, 0, "", gravity, tuple(bodies), tuple(statics), tuple(joints), force, Engine(substeps)
    )


def tower(blocks: int, seed: int = 0) -> Scene:
    offsets = np.random.default_rng(seed).uniform(-2, 2, blocks)
    return scene([box(50, 20, (400 + offset, 62 + 20 * i), mass=2) for i, offset in enumerate(offsets)])


def chain(links: int) -> Scene:
    bodies = [disc(6, (400 + 15 * i, 500)) for i in range(links)]
    first = Joint("pivot", (-1, 0), ((400, 500), (0, 0)))
    return scene(bodies, joints=[first, *(Joint("pin", (i, i + 1), ((0, 0), (0, 0)), 15.0) for i in range(links - 1))])


def swing(angle: float = 1.0, length: float = 150.0) -> Scene:
    bob = disc(15, (400 + length * np.sin(angle), 500 - length * np.cos(angle)))
    return scene([bob], joints=[Joint("pin", (-1, 0), ((400, 500), (0, 0)), length)])


def crowd(seed: int, count: int = 6) -> Scene:
    """Discs and boxes, thrown about over a floor."""
    rng = np.random.default_rng(seed)
    bodies = []
    for i in range(count):
        place = (120 + 110 * (i % 6) + rng.uniform(-20, 20), 90 + 100 * (i // 6) + rng.uniform(0, 40))
        if rng.random() < 0.5:
            bodies.append(disc(rng.uniform(8, 25), place, tuple(rng.uniform(-200, 200, 2)), rng.uniform(0.5, 5)))
        else:
            bodies.append(box(*rng.uniform(16, 50, 2), place, rng.uniform(-3, 3), rng.uniform(0.5, 5)))
    return scene(bodies)


class Recordings:
    """Simulated scenes as a dataset in memory."""

    split, targets, geometry = "training", ("state",), {"step": STEP}

    def __init__(self, scenes: Sequence[Scene], frames: int = 40) -> None:
        self.scenes, self.frames, self.schema = scenes, frames, dict(FIELDS)
        self.static = scene_arrays(scenes)
        self.state, _ = padded_states([simulate(each, frames) for each in scenes])
        self.cases = pl.DataFrame({"case": range(len(scenes)), "split": "training"})

    def __len__(self) -> int:
        return len(self.scenes)

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        rows = list(range(len(self)) if cases is None else cases)
        return {name: self.state[rows] if name == "state" else self.static[name][rows] for name in fields}

    def batches(self, size: int, fields: Sequence[str], **_: Any) -> Iterator[dict[str, Array]]:
        for first in range(0, len(self), size):
            yield self.read(fields, range(first, min(first + size, len(self))))

    def context(self, frames: int = 10) -> Context:
        times = STEP * np.arange(frames)
        return Context({"state": self.state[:, :frames].copy()}, times, STEP, self.geometry, static=self.static)

    def after(self, frames: int = 10, horizon: int = 20) -> dict[str, Array]:
        return {"state": self.state[:, frames : frames + horizon]}

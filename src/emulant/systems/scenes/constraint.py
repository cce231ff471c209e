"""Bodies on rods and hinges."""

from __future__ import annotations

import math

import numpy as np

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.scenario import Scenario
from emulant.systems.scenes.scene import STATIC
from emulant.systems.scenes.stage import CLEARANCE, FLOOR, LEFT, RIGHT, Stage


def newtons_cradle(stage: Stage, d: int) -> None:
    """Some of a row of hanging discs are pulled aside and let go."""
    stage.box()
    count, rod = 3 + d, 200 * stage.about(1, 0.05)
    x, y, pulled = stage.about(400, 10) - 31 * (count - 1) / 2, stage.about(450, 10), 1 + stage.below(2)
    angle = math.radians(stage.uniform(30, 60))
    for place in range(count):
        aside = angle if place >= count - pulled else 0.0
        pivot = x + 31 * place, y
        where = pivot[0] + rod * math.sin(aside), pivot[1] - rod * math.cos(aside)
        stage.pin(STATIC, stage.disc(*where, 15, mass=2.0, friction=0.1, elasticity=0.95), pivot)


def knocked_on(seen: Watched) -> bool:
    return bool(seen.moved(10, [0]).any())


def pendulum(stage: Stage, d: int) -> None:
    """Pendulums swing, each in its own cell; from difficulty 4 on the first has a second bob."""
    stage.box()
    cell = 500 / max(d - 1, 1) if d > 1 else 700
    y = stage.about(500, 10)
    for place in range(d):
        x = (400 if d == 1 else 150 + place * cell) + stage.about(0, 3)
        rod, radius = stage.uniform(120, 250), stage.uniform(10, min(20, cell / 8))
        room = min(cell / 2, x - LEFT, RIGHT - x) - radius - 6
        largest = math.degrees(math.asin(min(room / rod, 0.98)))
        angle = math.radians(stage.either() * stage.uniform(min(30, 0.6 * largest), min(80, largest)))
        bob = _hang(stage, STATIC, (x, y), rod, angle, radius)
        if d >= 4 and place == 0:
            _hang(stage, bob, stage.bodies[bob].position, stage.uniform(45, 60), angle, 10.0)


def _hang(stage: Stage, above: int, pivot: tuple[float, float], rod: float, angle: float, radius: float) -> int:
    """A disc on a rod at an angle from the downward vertical; jointed at its centre, so it is a point pendulum."""
    where = pivot[0] + rod * math.sin(angle), pivot[1] - rod * math.cos(angle)
    bob = stage.disc(*where, radius, mass=stage.uniform(1, 5))
    stage.pin(above, bob, pivot if above == STATIC else (0.0, 0.0))
    return bob


def swung(seen: Watched) -> bool:
    x = seen.state[:, 0, 0]
    return bool(np.ptp(x) > 20)


def wrecking_ball(stage: Stage, d: int) -> None:
    """A heavy disc on a rod swings into a tower of blocks."""
    stage.box()
    blocks, radius = 3 + 2 * d, 20.0 + 3 * d
    pivot = (420 + stage.about(0, 8), 500.0)
    rod = 500 - (FLOOR + 0.6 * 20 * blocks)
    tower = pivot[0] + radius + 19.5 + stage.uniform(5, 40)
    for level in range(blocks):
        where = stage.about(tower, 2), FLOOR + 20 * (level + 0.5)
        stage.block(*where, 35, 20, mass=stage.uniform(3, 8), elasticity=0.1)
    widest = math.degrees(math.asin(min((pivot[0] - LEFT - CLEARANCE - radius) / rod, 1.0)))
    angle = math.radians(stage.uniform(50, min(80, widest)))
    where = pivot[0] - rod * math.sin(angle), pivot[1] - rod * math.cos(angle)
    stage.pin(STATIC, stage.disc(*where, radius, mass=10.0 + 3 * d, elasticity=0.2), pivot)


def wrecked(seen: Watched) -> bool:
    return bool(seen.moved(20, slice(0, -1)).any())


def chain(stage: Stage, d: int) -> None:
    """A chain of discs, held at one end and laid out straight, falls."""
    stage.box()
    x, y = stage.about(400, 10), stage.about(500, 10)
    angle, side = math.radians(stage.uniform(-25, 25)), stage.either()
    rise = math.sin(angle)
    for link in range(5 + 3 * d):
        number = stage.disc(x, y, 6, mass=1.0, friction=0.4, elasticity=0.3)
        if link == 0:
            stage.pivot(STATIC, number, (x, y), (0.0, 0.0))
        else:
            stage.pin(number - 1, number)
        length = stage.uniform(14, 16)
        if y + length * rise > 575:  # folds back below the ceiling
            rise = -rise
        x, y = x + side * length * math.cos(angle), y + length * rise


def fell(seen: Watched) -> bool:
    return bool(seen.shift(1, [-1]).min() < -50)


def seesaw(stage: Stage, d: int) -> None:
    """Discs are dropped onto both sides of a hinged plank."""
    stage.box()
    x, y, length = stage.about(400, 12), stage.about(110, 15), 300.0 + 30 * d
    plank = stage.block(x, y, length, 10, mass=stage.uniform(3, 6), elasticity=0.2)
    stage.pivot(STATIC, plank, (x, y), (0.0, 0.0))
    for side, heaviest in ((-1, 5.0), (1, 8.0)):
        ends = sorted((x + side * 40, x + side * (length / 2 - 20)))
        for _ in range(d):
            px, py, radius = stage.free(stage.uniform(10, 20), stage.within(ends[0], ends[1], y + 40, 420))
            stage.disc(px, py, radius, mass=stage.uniform(1 if side < 0 else 2, heaviest), elasticity=0.2)


def tipped(seen: Watched) -> bool:
    return bool(seen.tilted(0.05, [0]).any())


CONSTRAINT = (
    Scenario("newtons_cradle", "constraint", newtons_cradle, knocked_on, (4, 5, 6, 7, 8)),
    Scenario("pendulum", "constraint", pendulum, swung, (1, 2, 3, 5, 6), hardest=5),
    Scenario("wrecking_ball", "constraint", wrecking_ball, wrecked, (6, 8, 10, 12, 14)),
    Scenario("chain", "constraint", chain, fell, (8, 11, 14, 17, 20), hardest=6, iterations=20),
    Scenario("seesaw", "constraint", seesaw, tipped, (3, 5, 7, 9, 11)),
)

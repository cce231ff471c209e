"""Things that are thrown at each other."""

from __future__ import annotations

import math
from collections.abc import Callable

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.scenario import SPACE, Scenario
from emulant.systems.scenes.scene import Vector
from emulant.systems.scenes.stage import FASTEST, FLOOR, Material, Stage


def billiards(stage: Stage, d: int) -> None:
    """A cue disc breaks a triangle of discs on a table without gravity."""
    stage.box(floor=(0.05, 0.9), walls=(0.05, 0.9))
    radius, ball = 12.0, Material(mass=1.0, friction=0.05, elasticity=0.92)
    angle, speed = math.radians(stage.about(0, 5)), stage.uniform(400, 800)
    velocity = (speed * math.cos(angle), speed * math.sin(angle))
    stage.disc(stage.about(150, 10), stage.about(300, 10), radius, velocity, **ball)
    x, y, pitch = stage.about(500, 8), stage.about(300, 8), 2.2 * radius
    for row in range(d + 1):
        for place in range(row + 1):
            stage.disc(x + row * pitch * math.cos(math.pi / 6), y + (place - row / 2) * pitch, radius, **ball)


def broke(seen: Watched) -> bool:
    return bool(seen.moved(5, slice(1, None)).any())


def bowling(stage: Stage, d: int) -> None:
    """A heavy disc rolls along the floor into a row of upright pins."""
    stage.box()
    radius, speed = 20.0, (200 + 60 * d) * stage.about(1, 0.15)
    stage.disc(
        stage.about(110, 10), FLOOR + radius, radius, (speed, 0.0), mass=8.0, elasticity=0.3, spin=-speed / radius
    )
    pins, x = min(d + 1, 4), stage.about(520, 8)
    for _ in range(pins * (pins + 1) // 2):
        stage.block(x, FLOOR + 15, 8, 30, mass=stage.uniform(0.4, 0.6), friction=1.0, elasticity=0.3)
        x += stage.uniform(18, 26)


def strike(seen: Watched) -> bool:
    return bool(seen.tilted(0.5, slice(1, None)).any())


def explosion(stage: Stage, d: int) -> None:
    """Discs on concentric rings fly apart."""
    stage.box()
    x, y, count, ring = stage.about(400, 30), stage.about(300, 30), 5 + 5 * d, 30.0
    while count:
        fits = min(count, int(math.pi / math.asin(20.3 / ring)))
        phase = stage.uniform(0, 2 * math.pi)
        for place in range(fits):
            angle = phase + 2 * math.pi * place / fits
            speed = min(stage.about(200 + 120 * d, 60), FASTEST)
            direction = math.cos(angle), math.sin(angle)
            velocity = (speed * direction[0], speed * direction[1])
            where = x + ring * direction[0], y + ring * direction[1]
            stage.disc(*where, stage.uniform(8, 20), velocity, **stage.material())
        count, ring = count - fits, ring + 42


def burst(seen: Watched) -> bool:
    x, y = seen.start[:, :2].mean(axis=0)
    spread = seen.distance(x, y).mean(axis=1)
    return bool(spread.max() > 1.5 * spread[0])


def head_on(stage: Stage, d: int) -> None:
    """Two groups of discs fly at each other without gravity."""
    stage.box()
    partners = []
    for _ in range(2 * d):
        place = stage.free(stage.uniform(10, 25), stage.within(80, 200, 100, 500))
        partners.append((place, (stage.about(150 + 80 * d, 30), stage.about(0, 50))))
        stage.disc(*place, partners[-1][1], **stage.material())
    for (x, y, other), (vx, vy) in partners:
        radius, velocity = stage.uniform(10, 25), (-stage.about(150 + 80 * d, 30), stage.about(0, 50))
        closing, sinking = vx - velocity[0], vy - velocity[1]
        miss = stage.about(0, 0.5) * (other + radius)
        facing = _facing(stage, (x, y + miss), sinking / closing, radius)
        stage.disc(*stage.free(radius, facing), velocity, **stage.material())


def _facing(stage: Stage, partner: Vector, slope: float, radius: float) -> Callable[[], Vector]:
    """Places on the right from which a disc meets its partner, if nobody else comes between."""

    def place() -> Vector:
        x = stage.uniform(600, 720)
        y = partner[1] + slope * (x - partner[0])
        return x, min(max(y, 60 + radius), 580 - radius)

    return place


def clash(seen: Watched) -> bool:
    half = len(seen.start) // 2
    return seen.met(range(half), range(half, 2 * half), within=12)


def projectile(stage: Stage, d: int) -> None:
    """Discs are thrown at stacked blocks."""
    stage.box()
    blocks, x = [], stage.about(600, 20)
    for column in range(-(-2 * d // 4)):
        y = FLOOR
        for _ in range(min(4, 2 * d - 4 * column)):
            width, height = stage.uniform(30, 50), stage.uniform(20, 30)
            place = stage.about(x + 54 * column, 1), y + height / 2
            stage.block(*place, width, height, mass=stage.uniform(1, 3), friction=0.4)
            blocks.append(place)
            y += height
    for _ in range(d):
        x0, y0, radius = stage.free(stage.uniform(10, 20), stage.within(60, 120, FLOOR + 25, 250))
        velocity = stage.throw((x0, y0), blocks[stage.below(min(4, len(blocks)))], (25, 65))
        stage.disc(x0, y0, radius, velocity, mass=stage.uniform(2, 6), elasticity=0.3)


def hit(seen: Watched) -> bool:
    blocks = [number for number, body in enumerate(seen.scene.bodies) if body.kind == "box"]
    return bool(seen.moved(5, blocks).any())


COLLISION = (
    Scenario("billiards", "collision", billiards, broke, (4, 7, 11, 16, 22), SPACE),
    Scenario("bowling", "collision", bowling, strike, (4, 7, 11, 11, 11)),
    Scenario("explosion", "collision", explosion, burst, (10, 15, 20, 25, 30)),
    Scenario("head_on", "collision", head_on, clash, (4, 8, 12, 16, 20), SPACE),
    Scenario("projectile", "collision", projectile, hit, (3, 6, 9, 12, 15), hardest=6),
)

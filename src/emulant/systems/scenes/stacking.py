"""Blocks upon blocks."""

from __future__ import annotations

import math
from itertools import pairwise

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.scenario import Scenario
from emulant.systems.scenes.scene import Vector
from emulant.systems.scenes.stage import FLOOR, Stage


def tower(stage: Stage, d: int) -> None:
    """A tower of blocks stands; at higher difficulty a disc is thrown at it."""
    stage.box()
    x, width, height = stage.about(400, 10), max(60.0 - 5 * d, 25.0), 20.0
    places = [(stage.about(x, 2), FLOOR + (level + 0.5) * height) for level in range(3 + 3 * d)]
    for place in places:
        stage.block(*place, width, height, mass=stage.uniform(1, 3), friction=0.7, elasticity=0.2)
    if d >= 3:
        start = stage.uniform(80, 200), stage.uniform(420, 560)
        target = places[stage.below(len(places) * 2 // 3)]
        stage.disc(*start, 15, stage.throw(start, target, (-50, 10)), mass=5.0, friction=0.5, elasticity=0.3)


def stood_or_was_hit(seen: Watched) -> bool:
    if seen.scene.bodies[-1].kind == "disc":
        return bool(seen.moved(5, slice(0, -1)).any())
    return bool(abs(seen.shift(1, [-1])[-1, 0]) < 10)


def pyramid(stage: Stage, d: int) -> None:
    """A pyramid of square blocks, one of which is shoved."""
    stage.box()
    base, side, gap = 2 + d, stage.about(25, 2), stage.uniform(2, 6)
    x, pushed = stage.about(400, 10), stage.below((2 + d) * (3 + d) // 2)
    number = 0
    for level in range(base):
        for place in range(base - level):
            where = (
                x + (place - (base - level - 1) / 2) * (side + gap) + stage.about(0, 0.7),
                FLOOR + (level + 0.5) * side,
            )
            shove = (stage.either() * stage.uniform(20, 120), 0.0) if number == pushed else (0.0, 0.0)
            stage.block(*where, side, side, shove, mass=stage.uniform(1, 3), friction=0.3)
            number += 1


def gave_way(seen: Watched) -> bool:
    pushed = [number for number, body in enumerate(seen.scene.bodies) if body.velocity[0]]
    return bool(seen.moved(1, pushed).any())


def dominos(stage: Stage, d: int) -> None:
    """A disc pushes the first of a row of dominos."""
    stage.box()
    width, height, radius = 6.0, 30.0, 10.0
    x = stage.about(110, 10)
    speed = stage.uniform(120, 200)
    # it must strike above the middle of the tile, or it would kick the feet from under it
    stage.disc(x - radius - 4 - stage.uniform(0.5, 8), FLOOR + 26, radius, (speed, 0.0), mass=3.0, elasticity=0.2)
    for _ in range(5 + 4 * d):
        stage.block(x, FLOOR + height / 2, width, height, friction=0.6, elasticity=0.1)
        x += stage.uniform(0.55, 0.8) * height


def toppled(seen: Watched) -> bool:
    return bool(seen.tilted(0.5, slice(1, None)).mean() > 0.5)


def jenga(stage: Stage, d: int) -> None:
    """A tower of crossed layers of three, from which blocks have been taken."""
    stage.box(floor=(0.8, 0.15))
    x, layers, height = stage.about(400, 10), 3 + 2 * d, 12.0
    inner = [(layer, place) for layer in range(1, layers - 1) for place in range(3)]
    taken = {inner[number] for number in stage.generator.permutation(len(inner))[: d - 1]}
    for layer in range(layers):
        width, pitch = (19.0, 20.0) if layer % 2 == 0 else (12.0, 18.0)
        for place in range(3):
            offset = stage.about(0, 0.4)
            if (layer, place) not in taken:
                where = x + (place - 1) * pitch + offset, FLOOR + (layer + 0.5) * height
                stage.block(*where, width, height, mass=stage.uniform(0.8, 1.2), friction=0.7, elasticity=0.15)


def stood_or_settled(seen: Watched) -> bool:
    if seen.scene.difficulty == 1:
        return not seen.moved(12).any()
    return bool(seen.moved(2).any())


def bridge(stage: Stage, d: int) -> None:
    """A hinged deck spans two pillars; at higher difficulty a disc is dropped onto it."""
    stage.box()
    x, gap = stage.about(400, 10), stage.about(100 + 30 * d, 10)
    levels, planks = (80 + 20 * d) // 25, max(3, (100 + 30 * d) // 35)
    tops = []
    for side in (-1, 1):
        for level in range(levels):
            where = x + side * (gap / 2 + 15), FLOOR + 25 * (level + 0.5)
            highest = stage.block(*where, 30, 25, mass=5.0, friction=0.8, elasticity=0.1)
        tops.append(highest)
    # a deck that is hung straight would pull with infinite force: it starts with the sag of a light chain
    top, sag, previous = FLOOR + 25 * levels, 0.2 * gap, tops[0]
    nodes = [(x + gap * (i / planks - 0.5), top - 6 - sag * (1 - (2 * i / planks - 1) ** 2)) for i in range(planks + 1)]
    anchor: Vector = (15.0, 6.5)
    for (ax, ay), (bx, by) in pairwise(nodes):
        length, angle = math.hypot(bx - ax, by - ay), math.atan2(by - ay, bx - ax)
        plank = stage.block((ax + bx) / 2, (ay + by) / 2, length, 12, angle=angle, mass=4.5 / planks, elasticity=0.1)
        stage.pivot(previous, plank, anchor, (-length / 2, 0.0))
        previous, anchor = plank, (length / 2, 0.0)
    stage.pivot(previous, tops[1], anchor, (-15.0, 6.5))
    if d >= 3:
        drop = stage.about(x, gap / 2 - 15), stage.uniform(top + 60, 560)
        stage.disc(*drop, 15, mass=8.0, friction=0.5, elasticity=0.2)


def carried(seen: Watched) -> bool:
    deck = sorted({number for joint in seen.scene.joints for number in joint.bodies})
    if seen.scene.bodies[-1].kind == "disc":
        return bool(seen.kicked(30, [-1]).any())
    return not seen.moved(40, deck).any()


STACKING = (
    Scenario("tower", "stacking", tower, stood_or_was_hit, (6, 9, 13, 16, 19), hardest=7),
    Scenario("pyramid", "stacking", pyramid, gave_way, (6, 10, 15, 21, 28)),
    Scenario("dominos", "stacking", dominos, toppled, (10, 14, 18, 22, 26), hardest=6),
    Scenario("jenga", "stacking", jenga, stood_or_settled, (15, 20, 25, 30, 35), iterations=30),
    Scenario("bridge", "stacking", bridge, carried, (11, 12, 16, 19, 22), iterations=20),
)

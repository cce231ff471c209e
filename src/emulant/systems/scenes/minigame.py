"""Scenes that are borrowed from games."""

from __future__ import annotations

import math

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.scenario import SPACE, Scenario
from emulant.systems.scenes.stage import FLOOR, Stage


def angry_birds(stage: Stage, d: int) -> None:
    """Discs are thrown at a wall of blocks."""
    stage.box()
    x, face = stage.about(550, 10), []
    for column in range(2 + d):
        for row in range(2 + d):
            where = x + 26 * column, FLOOR + 20 * (row + 0.5)
            stage.block(*where, 25, 20, mass=stage.uniform(0.5, 2), friction=0.4, elasticity=0.1)
            if column == 0:
                face.append(where)
    for _ in range(min(d, 3)):
        px, py, radius = stage.free(12.0, stage.within(60, 150, FLOOR + 20, 200))
        velocity = stage.throw((px, py), face[stage.below(len(face))], (30, 55))
        stage.disc(px, py, radius, velocity, mass=stage.uniform(2, 4), elasticity=0.3)


def struck(seen: Watched) -> bool:
    blocks = [number for number, body in enumerate(seen.scene.bodies) if body.kind == "box"]
    return bool(seen.moved(5, blocks).any())


def pinball(stage: Stage, d: int) -> None:
    """A disc is shot up among bumpers above two flippers."""
    stage.box()
    for side in (-1, 1):
        stage.segment((400 + side * 160, 130), (400 + side * 50, 95), 5, friction=0.5, elasticity=0.5)
    bumpers = []
    for _ in range(3 + 2 * d):
        x, y, radius = stage.free(stage.uniform(15, 30), stage.within(120, 620, 260, 520))
        stage.circle(x, y, radius, friction=0.3, elasticity=0.9)
        bumpers.append((x, y))
    start = stage.about(700, 20), stage.uniform(70, 110)
    velocity = stage.throw(start, bumpers[stage.below(len(bumpers))], (60, 85))
    stage.disc(*start, 10, velocity, mass=1.0, friction=0.3, elasticity=0.85)


def bumped(seen: Watched) -> bool:
    bumpers = [piece for piece in seen.scene.statics if piece.kind == "circle"]
    return any(seen.nearest(*piece.points[0]) < piece.radius + 22 for piece in bumpers)


def basketball(stage: Stage, d: int) -> None:
    """Discs are thrown at a hoop with a backboard."""
    stage.box()
    x, y, gap = 550 + 20 * d + stage.about(0, 8), 300 + 20 * d + stage.about(0, 8), max(50.0 - 3 * d, 35.0)
    for side in (-1, 1):
        stage.segment((x + side * gap / 2, y), (x + side * (gap / 2 + 25), y), 2, elasticity=0.6)
    board = x + gap / 2 + 25
    stage.segment((board, y), (board, y + 60), 2, elasticity=0.6)
    for _ in range(d):
        px, py, radius = stage.free(12.0, stage.within(80, 250, 80, 220))
        target = stage.about(x, gap / 4), y + 8
        velocity = stage.throw((px, py), target, (50, 70))
        stage.disc(px, py, radius, velocity, mass=1.0, friction=0.5, elasticity=0.7)


def came_to_the_hoop(seen: Watched) -> bool:
    first, second = seen.scene.statics[4], seen.scene.statics[5]
    x, y = (first.points[0][0] + second.points[0][0]) / 2, first.points[0][1]
    return seen.nearest(x, y) < 45


def breakout(stage: Stage, d: int) -> None:
    """A disc flies into a grid of free bricks, without gravity."""
    stage.box(floor=(0.5, 0.8), walls=(0.5, 0.8))
    rows, columns = 2 + d, 3 + d
    width, height = min(60.0, 700 / columns - 4), 15.0
    x, top = stage.about(400, 8), stage.about(540, 8)
    for row in range(rows):
        for column in range(columns):
            where = x + (column - (columns - 1) / 2) * (width + 4), top - row * (height + 4)
            stage.block(*where, width, height, mass=0.5, friction=0.3, elasticity=0.8)
    paddle = stage.uniform(250, 550)
    stage.segment((paddle - 50, 80), (paddle + 50, 80), 5, friction=0.3, elasticity=0.9)
    start = stage.about(paddle, 40), stage.uniform(100, 130)
    target = stage.about(x, columns * width / 2), top - (rows - 1) * (height + 4)
    speed, distance = 400 + 50 * d, math.hypot(target[0] - start[0], target[1] - start[1])
    velocity = tuple(speed * (there - here) / distance for here, there in zip(start, target, strict=True))
    stage.disc(*start, 8, (velocity[0], velocity[1]), mass=1.0, friction=0.3, elasticity=0.9)


def broke_out(seen: Watched) -> bool:
    return bool(seen.moved(5, slice(0, -1)).any())


def pong(stage: Stage, d: int) -> None:
    """Discs fly between two paddles, without gravity."""
    stage.box(floor=(0.1, 0.95), walls=(0.1, 0.95))
    length, paddles = max(100.0 - 10 * d, 40.0), []
    for x in (30.0, 770.0):
        y = stage.uniform(150, 450)
        stage.segment((x, y - length / 2), (x, y + length / 2), 4, friction=0.1, elasticity=0.95)
        paddles.append((x, y))
    for _ in range(min(d, 3)):
        target = paddles[stage.below(2)]
        aim = stage.about(target[1], 0.45 * length)
        while True:  # a place from which the paddle is met within 45 degrees
            px, py, radius = stage.free(8.0, stage.within(300, 500, 120, 480))
            if abs(aim - py) < abs(target[0] - px):
                break
        speed, distance = 300 + 80 * d, math.hypot(target[0] - px, aim - py)
        velocity = speed * (target[0] - px) / distance, speed * (aim - py) / distance
        stage.disc(px, py, radius, velocity, mass=1.0, friction=0.1, elasticity=0.95)


def returned(seen: Watched) -> bool:
    for piece in seen.scene.statics[4:6]:
        x, (low, high) = piece.points[0][0], sorted(point[1] for point in piece.points)
        near = (abs(seen.state[..., 0] - x) < 28) & (seen.state[..., 1] > low - 10) & (seen.state[..., 1] < high + 10)
        if near.any():
            return True
    return False


MINIGAME = (
    Scenario("angry_birds", "minigame", angry_birds, struck, (10, 18, 28, 39, 52), hardest=6),
    Scenario("pinball", "minigame", pinball, bumped, (1, 1, 1, 1, 1)),
    Scenario("basketball", "minigame", basketball, came_to_the_hoop, (1, 2, 3, 4, 5)),
    Scenario("breakout", "minigame", breakout, broke_out, (13, 21, 31, 43, 57), SPACE),
    Scenario("pong", "minigame", pong, returned, (1, 2, 3, 3, 3), SPACE),
)

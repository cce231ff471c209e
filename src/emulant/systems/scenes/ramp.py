"""Discs that run down something."""

from __future__ import annotations

import math

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.scenario import Scenario
from emulant.systems.scenes.scene import Vector
from emulant.systems.scenes.stage import CLEARANCE, Stage

SURFACE = 3.0
"""px, half thickness of slopes."""


def lay_along(stage: Stage, top: Vector, down: Vector, radii: list[float], first: float, gap: float) -> None:
    """Lay discs on a slope, one below the other, at rest; `down` is its unit vector, gaps are at most `gap` px."""
    normal = (-down[1], down[0]) if down[0] > 0 else (down[1], -down[0])
    along = first
    for radius in radii:
        along += radius
        off = SURFACE + radius + CLEARANCE
        x, y = (top[axis] + along * down[axis] + off * normal[axis] for axis in (0, 1))
        stage.disc(x, y, radius, **stage.material())
        along += radius + stage.uniform(2 * CLEARANCE, gap)


def ramp_roll(stage: Stage, d: int) -> None:
    """Discs roll down a ramp with a lip at its foot."""
    stage.box()
    angle, top = math.radians(stage.about(15 + 6 * d, 2)), (stage.about(100, 10), stage.about(400, 10))
    down = math.cos(angle), -math.sin(angle)
    foot = top[0] + 400 * down[0], top[1] + 400 * down[1]
    stage.segment(top, foot, SURFACE)
    stage.segment(foot, (foot[0] + 50, foot[1] + 10), SURFACE)
    radii = [stage.uniform(10, 22) for _ in range(1 + d)]
    lay_along(stage, top, down, radii, stage.uniform(5, 15), 12)


def rolled(seen: Watched) -> bool:
    return bool((seen.moved(50) & seen.tilted(1.0)).any())


def ski_jump(stage: Stage, d: int) -> None:
    """Discs run down a curved slope and take off."""
    stage.box()
    dx = stage.about(0, 10)
    top, bend, lip = (50 + dx, 500.0), (300 + dx, 200.0), (400 + dx + stage.about(0, 5), stage.about(250, 15))
    begin = (top[0] + 0.62 * (bend[0] - top[0]), top[1] + 0.62 * (bend[1] - top[1]))
    stage.segment(top, begin, SURFACE, friction=0.2)
    last = begin
    for piece in range(1, 13):  # a bend instead of a kink, which would swallow the speed
        t = piece / 12
        point = tuple((1 - t) ** 2 * begin[axis] + 2 * t * (1 - t) * bend[axis] + t * t * lip[axis] for axis in (0, 1))
        stage.segment(last, (point[0], point[1]), SURFACE, friction=0.2)
        last = (point[0], point[1])
    length = math.hypot(bend[0] - top[0], bend[1] - top[1])
    down = (bend[0] - top[0]) / length, (bend[1] - top[1]) / length
    lay_along(stage, top, down, [stage.uniform(10, 18) for _ in range(d)], stage.uniform(2, 10), 3)


def took_off(seen: Watched) -> bool:
    lip = seen.scene.statics[-1].points[1]
    x, y = seen.state[..., 0], seen.state[..., 1]
    return bool(((x > lip[0] + 15) & (y > lip[1] - 20)).any())


def funnel(stage: Stage, d: int) -> None:
    """Discs run through a funnel."""
    stage.box()
    x, gap = stage.about(400, 10), max(60.0 - 8 * d, 20.0)
    reach, neck = stage.about(250, 10), 250.0
    for side in (-1, 1):
        stage.segment((x + side * reach, 450), (x + side * (gap / 2 + SURFACE), neck), SURFACE, friction=0.2)

    def above() -> Vector:
        y = stage.uniform(300, 570)
        half = (min(y, 440) - neck) / 200 * reach - 12
        return stage.about(x, half), y

    for _ in range(5 + 5 * d):
        px, py, radius = stage.free(stage.uniform(6, min(gap / 2 - 2, 15)), above)
        stage.disc(px, py, radius, mass=stage.uniform(0.5, 10), friction=0.2, elasticity=stage.uniform(0.1, 0.6))


def ran_through(seen: Watched) -> bool:
    return bool((seen.state[-1, :, 1] < 245).any())


def plinko(stage: Stage, d: int) -> None:
    """Discs drop through rows of pegs."""
    stage.box()
    rows, spacing = 3 + d, min(60.0, 500 / (3 + d)) * stage.about(1, 0.05)
    x, top = stage.about(400, 10), stage.about(470, 8)
    for row in range(rows):
        for peg in range(rows):
            offset = (peg - (rows - 1) / 2 + (0.25 if row % 2 else -0.25)) * spacing
            stage.circle(x + offset, top - row * 0.866 * spacing, 5, friction=0.3, elasticity=0.6)
    for _ in range(d):
        px, py, radius = stage.free(8.0, stage.within(x - spacing / 2, x + spacing / 2, top + 20, 575))
        stage.disc(px, py, radius, mass=stage.uniform(0.5, 3), friction=0.3, elasticity=0.5)


def bounced_down(seen: Watched) -> bool:
    pegs = [piece.points[0][1] for piece in seen.scene.statics if piece.kind == "circle"]
    return bool(((seen.state[..., 1] < max(pegs) - 40).any(axis=0) & seen.kicked(20)).any())


def marble_run(stage: Stage, d: int) -> None:
    """Discs run down slopes that lead left and right in turn."""
    stage.box()
    count, x = 2 + d, stage.about(400, 10)
    pitch = min(110.0, 500 / count)
    drop = 0.34 * pitch * stage.about(1, 0.05)
    for slope in range(count):
        side, y = (1, -1)[slope % 2], 520 - slope * pitch
        high, low = (x - side * 175, y), (x + side * 75, y - drop)
        stage.segment(high, low, SURFACE, friction=0.8)
        stage.segment(high, (high[0], y + 25), SURFACE, friction=0.3, elasticity=0.1)
    length = math.hypot(250, drop)
    radii = [stage.uniform(8, 14) for _ in range(d)]
    lay_along(stage, (x - 175, 520), (250 / length, -drop / length), radii, 60 + stage.uniform(5, 20), 4)


def fell_to_the_next(seen: Watched) -> bool:
    (_, low), (high, _) = seen.scene.statics[4].points, seen.scene.statics[6].points
    return bool((seen.state[..., 1].min(axis=0) < low[1] - 0.3 * (low[1] - high[1])).any())


RAMP = (
    Scenario("ramp_roll", "ramp", ramp_roll, rolled, (2, 3, 4, 5, 6), hardest=6),
    Scenario("ski_jump", "ramp", ski_jump, took_off, (1, 2, 3, 4, 5), hardest=5),
    Scenario("funnel", "ramp", funnel, ran_through, (10, 15, 20, 25, 30)),
    Scenario("plinko", "ramp", plinko, bounced_down, (1, 2, 3, 4, 5), hardest=6),
    Scenario("marble_run", "ramp", marble_run, fell_to_the_next, (1, 2, 3, 4, 5), hardest=6),
)

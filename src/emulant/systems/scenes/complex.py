"""Many bodies, wind, belts and attraction."""

from __future__ import annotations

import math

import numpy as np

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.scenario import SPACE, Scenario
from emulant.systems.scenes.scene import Force, Vector
from emulant.systems.scenes.stage import CLEARANCE, FASTEST, FLOOR, LEFT, RIGHT, Material, Stage

SLOPE = 3.0
"""px, half thickness of slopes and shelves."""


def avalanche(stage: Stage, d: int) -> None:
    """Layers of discs slide down a steep slope."""
    stage.box()
    angle, foot = math.radians(stage.about(30 + 5 * d, 1)), (stage.about(600, 5), 60.0)
    up = -math.cos(angle), math.sin(angle)
    normal = math.sin(angle), math.cos(angle)
    stage.segment((foot[0] + 480 * up[0], foot[1] + 480 * up[1]), foot, SLOPE, friction=0.4)
    count, pitch = 10 + 8 * d, 37.0
    in_row = int(460 // pitch)
    for number in range(count):
        row, place = divmod(number, in_row)
        radius = stage.uniform(6, 18)
        loose = 18.25 - radius
        along, off = 30 + place * pitch + stage.about(0, loose), SLOPE + CLEARANCE + 18 + row * pitch
        off += stage.uniform(-loose, loose) + 0.25
        x, y = (foot[axis] + along * up[axis] + off * normal[axis] for axis in (0, 1))
        stage.disc(x, y, radius, **stage.material())


def slid(seen: Watched) -> bool:
    return bool(np.abs(seen.shift(0)[-1]).mean() > 30)


def conveyor(stage: Stage, d: int) -> None:
    """A belt carries discs along while a heavy box pushes them."""
    stage.box()
    x, y, side = stage.about(400, 10), stage.about(150, 8), stage.either()
    belt = (side * (60.0 + 20 * d), 0.0)
    stage.segment((x - 250, y - 5), (x + 250, y - 5), 5, friction=0.9, elasticity=0.2, surface_velocity=belt)
    push = (side * (100.0 + 40 * d), 0.0)
    stage.block(x - side * 230, y + 30, 30, 60, push, mass=50.0, friction=0.3, elasticity=0.1)
    ends = sorted((x - side * 190, x + side * 235))
    for _ in range(3 + 3 * d):
        radius = stage.uniform(8, 18)
        where = stage.free(radius, stage.within(ends[0], ends[1], y + radius + 1, y + radius + 10 + 14 * d))
        stage.disc(*where, mass=stage.uniform(0.5, 5), friction=stage.uniform(0.4, 1), elasticity=0.2)


def carried_along(seen: Watched) -> bool:
    side = np.sign(seen.scene.statics[4].surface_velocity[0])
    return bool((side * seen.shift(0, slice(1, None)).mean(axis=1)).max() > 20)


def hourglass(stage: Stage, d: int) -> None:
    """Discs run through the neck of an hourglass."""
    x, neck, wall = stage.about(400, 10), max(40.0 - 5 * d, 18.0), 10.0
    left, right, bottom, top = x - 150 - wall, x + 150 + wall, 50 - wall, 550 + wall
    for start, end in (
        ((left, bottom), (right, bottom)),
        ((left, bottom), (left, top)),
        ((right, bottom), (right, top)),
        ((left, top), (right, top)),
    ):
        stage.segment(start, end, wall, friction=0.3, elasticity=0.3)
    shoulder = stage.about(100, 8)
    for side in (-1, 1):
        waist = x + side * (neck / 2 + SLOPE), 300.0
        for level in (300 + shoulder, 300 - shoulder):
            stage.segment((x + side * 150, level), waist, SLOPE, friction=0.2, elasticity=0.3)
    for _ in range(10 + 6 * d):
        place = stage.within(x - 138, x + 138, 300 + shoulder + 5, 538)
        px, py, radius = stage.free(stage.uniform(4, min(neck / 2 - 2, 12)), place)
        stage.disc(px, py, radius, mass=stage.uniform(0.5, 3), friction=0.2, elasticity=0.3)


def ran(seen: Watched) -> bool:
    return bool((seen.state[-1, :, 1] < 295).any())


def wind(stage: Stage, d: int) -> None:
    """Discs and boxes fall while a steady wind blows from the side."""
    stage.gravity = (stage.either() * (100.0 + 80 * d), stage.gravity[1])
    stage.box()
    stage.jumble(5 + 4 * d, (8, 25), (15, 50), stage.within(50, 750, 90, 550))


def blown(seen: Watched) -> bool:
    return bool((np.sign(seen.scene.gravity[0]) * seen.shift(0).mean(axis=1)).max() > 20)


# -- attraction ---------------------------------------------------------------------------------------------------


def kepler(stage: Stage, mu: float, orbit: float, eccentricity: float) -> tuple[Vector, Vector]:
    """Place and velocity on an ellipse of that half axis about the origin, at a random point, in either sense."""
    anomaly, perihelion, sense = stage.uniform(0, 2 * math.pi), stage.uniform(0, 2 * math.pi), stage.either()
    latus = orbit * (1 - eccentricity**2)
    distance, pace = latus / (1 + eccentricity * math.cos(anomaly)), math.sqrt(mu / latus)
    outward, around = pace * eccentricity * math.sin(anomaly), pace * (1 + eccentricity * math.cos(anomaly))
    angle = perihelion + sense * anomaly
    cos, sin = math.cos(angle), math.sin(angle)
    velocity = outward * cos - sense * around * sin, outward * sin + sense * around * cos
    return (distance * cos, distance * sin), velocity


def annuli(stage: Stage, count: int) -> list[tuple[float, float, float]]:
    """(half axis, eccentricity, radius) of bodies that have an annulus each between 60 and 255 px."""
    width, orbits = 195 / count, []
    for number in range(count):
        orbit, radius = 60 + (number + 0.5) * width, stage.uniform(0.15, 0.3) * width
        orbits.append((orbit, stage.uniform(0, 0.9) * (width / 2 - CLEARANCE - radius) / orbit, radius))
    return orbits


def orbit(stage: Stage, d: int) -> None:
    """Discs orbit a fixed centre of attraction."""
    stage.box()
    x, y, mu = stage.about(400, 8), stage.about(320, 4), stage.uniform(3e6, 6e6)
    stage.force = Force("central", mu, (x, y))
    stage.circle(x, y, 12)
    for half_axis, eccentricity, radius in annuli(stage, 3 + 2 * d):
        (dx, dy), velocity = kepler(stage, mu, half_axis, eccentricity)
        stage.disc(x + dx, y + dy, radius, velocity, **stage.material())


def went_round(seen: Watched) -> bool:
    source = seen.scene.force
    centre = source.centre if source and source.kind == "central" else seen.start[0, :2]
    around = np.unwrap(np.arctan2(seen.state[..., 1] - centre[1], seen.state[..., 0] - centre[0]), axis=0)
    return bool(np.abs(around[-1] - around[0]).max() > math.pi)


def gravity_well(stage: Stage, d: int) -> None:
    """Discs and boxes fall towards a point and heap up around it."""
    stage.box()
    centre = stage.about(400, 100), stage.about(320, 60)
    stage.force = Force("central", stage.uniform(4e6, 1e7), centre, softening=40.0)

    def around() -> Vector:
        while True:
            x, y = stage.uniform(50, 750), stage.uniform(90, 550)
            if math.hypot(x - centre[0], y - centre[1]) > 60:
                return x, y

    stage.jumble(6 + 4 * d, (8, 22), (15, 40), around, speed=30)


def heaped_up(seen: Watched) -> bool:
    assert seen.scene.force is not None
    mean = seen.distance(*seen.scene.force.centre).mean(axis=1)
    return bool(mean.min() < 0.7 * mean[0])


def solar_system(stage: Stage, d: int) -> None:
    """Planets orbit a sun, and everything attracts everything."""
    stage.box()
    x, y, sun, strength = stage.about(400, 8), stage.about(320, 4), 1e6, stage.uniform(3e6, 6e6)
    stage.force = Force("mutual", strength / sun)
    planets = []
    for half_axis, eccentricity, radius in annuli(stage, 3 + 2 * d):
        mass = stage.uniform(0.5, 10)
        planets.append((*kepler(stage, strength * (1 + mass / sun), half_axis, eccentricity / 2), radius, mass))
    total = sun + sum(mass for *_, mass in planets)
    drift_x, drift_y = (-sum(mass * velocity[axis] for _, velocity, _, mass in planets) / total for axis in (0, 1))
    stage.disc(x, y, 20, (drift_x, drift_y), mass=sun, friction=0.5, elasticity=0.5)
    for (dx, dy), (vx, vy), radius, mass in planets:
        stage.disc(x + dx, y + dy, radius, (vx + drift_x, vy + drift_y), mass=mass)


# -- crowds -------------------------------------------------------------------------------------------------------


def particle_explosion(stage: Stage, d: int) -> None:
    """A packed cloud of small discs flies apart."""
    stage.box()
    x, y, count = stage.about(400, 10), stage.about(330, 10), 50 + 50 * d
    edge = math.sqrt(count * 6.1**2 / 0.42)

    def within() -> Vector:
        distance, angle = edge * math.sqrt(stage.random()), stage.uniform(0, 2 * math.pi)
        return x + distance * math.cos(angle), y + distance * math.sin(angle)

    for _ in range(count):
        px, py, radius = stage.free(stage.uniform(3, 8), within)
        speed = min(stage.uniform(100, 400) * (1 + 0.5 * d), FASTEST)
        out = math.hypot(px - x, py - y)
        stage.disc(px, py, radius, (speed * (px - x) / out, speed * (py - y) / out), elasticity=0.6)


def scattered(seen: Watched) -> bool:
    x, y = seen.start[:, :2].mean(axis=0)
    mean = seen.distance(x, y).mean(axis=1)
    return bool(mean.max() > 1.5 * mean[0])


def chain_reaction(stage: Stage, d: int) -> None:
    """A disc sets off hundreds of dominos on shelves, one row after the other."""
    stage.box()
    tiles = 100 + 100 * d
    rows = -(-tiles // 45)
    in_row, lift = -(-tiles // rows), 536 / rows
    shift = stage.about(0, 3)
    for row in range(rows):
        side, count = (1, -1)[row % 2], min(in_row, tiles - row * in_row)
        ground = FLOOR + (rows - 1 - row) * lift
        begin, end = 400 - side * 338 + shift, 400 + side * 338 + shift
        if row < rows - 1:
            _shelf(stage, row, side, ground, begin, end, lift)
        height, pitch = stage.uniform(22, min(30.0, lift - 10)), 672 / (in_row - 1)
        for place in range(count):
            where = begin + side * (2 + pitch * place + (stage.about(0, 0.08 * pitch) if place else 0.0))
            stage.block(where, ground + height / 2, stage.uniform(6, 8), height, friction=0.4, elasticity=0.05)
        if row == 0:
            radius = stage.uniform(10, 15)
            trigger = begin - side * (radius + 6), ground + max(height - 3, radius + 1)
    stage.disc(*trigger, radius, (300.0, 0.0), mass=4.0, elasticity=0.1)


def _shelf(stage: Stage, row: int, side: int, ground: float, begin: float, end: float, lift: float) -> None:
    """What a row stands on, open at its far end, and there a slide that leads the last tile to the next row."""
    wall = (LEFT, RIGHT) if side > 0 else (RIGHT, LEFT)
    stage.segment((wall[0], ground - SLOPE), (end, ground - SLOPE), SLOPE, friction=1.6, elasticity=0.1)
    slide = (wall[1] - side * 2, ground - 4), (end + side * 14, ground - lift + 12)
    stage.segment(*slide, 2, friction=0.1, elasticity=0.1)


def ran_on(seen: Watched) -> bool:
    return bool(seen.tilted(0.5, slice(0, -1)).sum() >= 20)


def fluid_sim(stage: Stage, d: int) -> None:
    """A crowd of small discs falls over three fixed boxes."""
    stage.box()
    for x, y in ((250, 200), (400, 130), (550, 200)):
        px, py = stage.about(x, 30), stage.about(y, 10)
        stage.polygon([(px - 40, py - 10), (px + 40, py - 10), (px + 40, py + 10), (px - 40, py + 10)])
    water = Material(mass=0.8, friction=0.1, elasticity=0.3)
    stage.scatter(60 + 60 * d, (4, 7), stage.within(90, 710, 280, 575), water)


def poured(seen: Watched) -> bool:
    return bool(seen.shift(1)[-1].mean() < -100)


COMPLEX = (
    Scenario("avalanche", "complex", avalanche, slid, (18, 26, 34, 42, 50), hardest=6),
    Scenario("conveyor", "complex", conveyor, carried_along, (7, 10, 13, 16, 19)),
    Scenario("hourglass", "complex", hourglass, ran, (16, 22, 28, 34, 40)),
    Scenario("wind", "complex", wind, blown, (9, 13, 17, 21, 25)),
    Scenario("orbit", "complex", orbit, went_round, (5, 7, 9, 11, 13), SPACE),
    Scenario("gravity_well", "complex", gravity_well, heaped_up, (10, 14, 18, 22, 26), SPACE),
    Scenario("particle_explosion", "complex", particle_explosion, scattered, (100, 150, 200, 250, 300)),
    Scenario("chain_reaction", "complex", chain_reaction, ran_on, (201, 301, 401, 501, 601), hardest=5),
    Scenario("fluid_sim", "complex", fluid_sim, poured, (120, 180, 240, 300, 360)),
    Scenario("solar_system", "complex", solar_system, went_round, (6, 8, 10, 12, 14), SPACE),
)

"""What the functions of the 35 types build a scene with: bodies, static pieces, joints, and places that are free.

Every body keeps `CLEARANCE` from every other and from every static piece, unless it is put down by `disc` or `block`,
which take the place as given: those are for blocks that rest on each other and for what a type lays out by formula.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict

import numpy as np

from emulant.systems.scenes.scene import Body, Force, Joint, Static, Vector

CLEARANCE = 0.5
"""px between whatever is not meant to touch at the start."""
FLOOR, LEFT, RIGHT, CEILING = 52.0, 12.0, 788.0, 588.0
"""Free surfaces of the standard box."""
THICK = 22.0
"""Half thickness of its walls: more than a fast body moves in a substep, so that none is pushed out on the far side."""
FASTEST = 1000.0
"""px/s of anything that is thrown."""
TRIES = 1000
_CELL = 40.0


class Material(TypedDict):
    """Mass and surface of a body."""

    mass: float
    friction: float
    elasticity: float


class Stage:
    """A scene in the making; all its random numbers come from one generator."""

    def __init__(self, generator: np.random.Generator, gravity: Vector = (0.0, -981.0)) -> None:
        self.random = generator.random
        self.generator = generator
        self.gravity = gravity
        self.bodies: list[Body] = []
        self.statics: list[Static] = []
        self.joints: list[Joint] = []
        self.force: Force | None = None
        self._cells: defaultdict[tuple[int, int], list[Body]] = defaultdict(list)

    # -- random numbers

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def about(self, centre: float, spread: float) -> float:
        """Uniform on centre ± spread."""
        return centre + spread * (2 * self.random() - 1)

    def either(self) -> int:
        """-1 or 1."""
        return 1 if self.random() < 0.5 else -1

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(count * self.random())

    def material(self) -> Material:
        """The table's "random material"."""
        return Material(mass=self.uniform(0.5, 10), friction=self.uniform(0.1, 1), elasticity=self.uniform(0.1, 0.95))

    # -- bodies

    def disc(
        self,
        x: float,
        y: float,
        radius: float,
        velocity: Vector = (0.0, 0.0),
        *,
        mass: float = 1.0,
        friction: float = 0.5,
        elasticity: float = 0.5,
        spin: float = 0.0,
    ) -> int:
        """Add a disc; its number."""
        moment = 0.5 * mass * radius * radius
        size = (radius, radius)
        return self._add(Body("disc", size, (x, y), velocity, 0.0, spin, mass, moment, friction, elasticity))

    def block(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        velocity: Vector = (0.0, 0.0),
        *,
        mass: float = 1.0,
        friction: float = 0.6,
        elasticity: float = 0.2,
        angle: float = 0.0,
    ) -> int:
        """Add a box of that width and height; its number."""
        size, moment = (width / 2, height / 2), mass * (width * width + height * height) / 12
        return self._add(Body("box", size, (x, y), velocity, angle, 0.0, mass, moment, friction, elasticity))

    def _add(self, body: Body) -> int:
        self.bodies.append(body)
        for cell in _cells(*body.position, _reach(body)):
            self._cells[cell].append(body)
        return len(self.bodies) - 1

    # -- free places

    def is_clear(self, x: float, y: float, radius: float) -> bool:
        """Whether a disc there keeps its clearance from everything."""
        needed = radius + CLEARANCE
        for cell in _cells(x, y, needed):
            for body in self._cells.get(cell, ()):
                if _from_body(x, y, body) < needed:
                    return False
        return all(_from_static(x, y, piece) >= needed for piece in self.statics)

    def free(self, radius: float, place: Callable[[], Vector]) -> tuple[float, float, float]:
        """(x, y, radius) of a free place out of those that `place` draws; after many tries for a smaller radius."""
        while True:
            for _ in range(TRIES):
                x, y = place()
                if self.is_clear(x, y, radius):
                    return x, y, radius
            radius *= 0.9

    def within(self, left: float, right: float, bottom: float, top: float) -> Callable[[], Vector]:
        """Draws places of that rectangle."""
        return lambda: (self.uniform(left, right), self.uniform(bottom, top))

    def scatter(self, count: int, radii: Vector, place: Callable[[], Vector], material: Material | None = None) -> None:
        """`count` discs at rest on free places, each of a random material unless one is given."""
        for _ in range(count):
            x, y, radius = self.free(self.uniform(*radii), place)
            self.disc(x, y, radius, **(material or self.material()))

    def jumble(self, count: int, radii: Vector, sides: Vector, place: Callable[[], Vector], speed: float = 0.0) -> None:
        """`count` discs or boxes, turned at random, on free places."""
        for _ in range(count):
            velocity = (self.about(0, speed), self.about(0, speed))
            if self.random() < 0.5:
                x, y, radius = self.free(self.uniform(*radii), place)
                self.disc(x, y, radius, velocity, **self.material())
                continue
            width, height = self.uniform(*sides), self.uniform(*sides)
            reach = math.hypot(width, height) / 2
            x, y, found = self.free(reach, place)
            width, height = width * found / reach, height * found / reach
            self.block(x, y, width, height, velocity, angle=self.uniform(0, math.pi), **self.material())

    # -- static pieces

    def segment(
        self,
        start: Vector,
        end: Vector,
        radius: float = 3.0,
        *,
        friction: float = 0.6,
        elasticity: float = 0.4,
        surface_velocity: Vector = (0.0, 0.0),
    ) -> None:
        self.statics.append(Static("segment", (start, end), radius, friction, elasticity, surface_velocity))

    def circle(self, x: float, y: float, radius: float, *, friction: float = 0.5, elasticity: float = 0.6) -> None:
        self.statics.append(Static("circle", ((x, y),), radius, friction, elasticity))

    def polygon(self, points: Sequence[Vector], *, friction: float = 0.5, elasticity: float = 0.4) -> None:
        self.statics.append(Static("polygon", tuple(points), 0.0, friction, elasticity))

    def box(self, *, floor: Vector = (0.8, 0.5), walls: Vector = (0.5, 0.3)) -> None:
        """The standard box, closed on all sides; (friction, elasticity) of the floor and of the rest."""
        left, right, bottom, top = LEFT - THICK, RIGHT + THICK, FLOOR - THICK, CEILING + THICK
        corners = (left, bottom), (right, bottom), (right, top), (left, top)
        for start, end, surface in (
            (corners[0], corners[1], floor),
            (corners[0], corners[3], walls),
            (corners[1], corners[2], walls),
            (corners[3], corners[2], walls),
        ):
            self.segment(start, end, THICK, friction=surface[0], elasticity=surface[1])

    # -- joints

    def pin(self, a: int, b: int, anchor_a: Vector = (0.0, 0.0), anchor_b: Vector = (0.0, 0.0)) -> None:
        """Keeps the anchors as far apart as they are now."""
        (ax, ay), (bx, by) = self._world(a, anchor_a), self._world(b, anchor_b)
        self.joints.append(Joint("pin", (a, b), (anchor_a, anchor_b), math.hypot(bx - ax, by - ay)))

    def pivot(self, a: int, b: int, anchor_a: Vector, anchor_b: Vector) -> None:
        """Keeps the anchors together."""
        self.joints.append(Joint("pivot", (a, b), (anchor_a, anchor_b)))

    def _world(self, number: int, anchor: Vector) -> Vector:
        if number < 0:
            return anchor
        body = self.bodies[number]
        cos, sin = math.cos(body.angle), math.sin(body.angle)
        (x, y), (u, v) = body.position, anchor
        return x + cos * u - sin * v, y + sin * u + cos * v

    # -- throws

    def throw(self, start: Vector, target: Vector, degrees: Vector, ceiling: float = CEILING - 20) -> Vector:
        """The velocity of a throw whose free parabola meets the target, at an angle drawn from `degrees`.

        Angles that need more than `FASTEST` (times the root of a stronger gravity, so that parabolas keep their shape)
        or that pass above `ceiling` are drawn again; if there seems to be none, the slowest throw is taken.
        """
        drop, dx, dy = -self.gravity[1], target[0] - start[0], target[1] - start[1]
        fastest = FASTEST * math.sqrt(max(1.0, drop / 981))
        throws = []
        for _ in range(100):
            angle = math.radians(self.uniform(*degrees))
            rise = abs(dx) * math.tan(angle) - dy
            if rise <= 0:
                continue
            speed = math.sqrt(drop * dx * dx / (2 * math.cos(angle) ** 2 * rise))
            velocity = (math.copysign(speed * math.cos(angle), dx), speed * math.sin(angle))
            apex = start[1] + max(velocity[1], 0) ** 2 / (2 * drop)
            if speed <= fastest and apex <= ceiling:
                return velocity
            throws.append((speed, velocity))
        speed, velocity = min(throws, default=(1.0, (math.copysign(300.0, dx), 300.0)))
        slower = min(1.0, fastest / speed)
        return velocity[0] * slower, velocity[1] * slower


# -- distances ----------------------------------------------------------------------------------------------------


def _cells(x: float, y: float, reach: float) -> Iterator[tuple[int, int]]:
    """The cells of the grid that a disc may touch."""
    for column in range(int((x - reach) // _CELL), int((x + reach) // _CELL) + 1):
        for row in range(int((y - reach) // _CELL), int((y + reach) // _CELL) + 1):
            yield column, row


def _reach(body: Body) -> float:
    return body.size[0] if body.kind == "disc" else math.hypot(*body.size)


def _from_body(x: float, y: float, body: Body) -> float:
    """Distance from a point to the surface of a body; 0 or less within it."""
    dx, dy = x - body.position[0], y - body.position[1]
    if body.kind == "disc":
        return math.hypot(dx, dy) - body.size[0]
    cos, sin = math.cos(body.angle), math.sin(body.angle)
    u, v = abs(cos * dx + sin * dy) - body.size[0], abs(cos * dy - sin * dx) - body.size[1]
    return math.hypot(max(u, 0.0), max(v, 0.0)) + min(max(u, v), 0.0)


def _from_static(x: float, y: float, piece: Static) -> float:
    """Distance from a point to the surface of a static piece; 0 or less within it."""
    points = piece.points
    if piece.kind == "circle":
        return math.hypot(x - points[0][0], y - points[0][1]) - piece.radius
    if piece.kind == "segment":
        return _from_line(x, y, *points) - piece.radius
    edges = list(zip(points, (*points[1:], points[0]), strict=True))
    inside = all((q[0] - p[0]) * (y - p[1]) >= (q[1] - p[1]) * (x - p[0]) for p, q in edges)
    return 0.0 if inside else min(_from_line(x, y, p, q) for p, q in edges)


def _from_line(x: float, y: float, p: Vector, q: Vector) -> float:
    ux, uy = q[0] - p[0], q[1] - p[1]
    along = ((x - p[0]) * ux + (y - p[1]) * uy) / (ux * ux + uy * uy)
    along = min(max(along, 0.0), 1.0)
    return math.hypot(x - p[0] - along * ux, y - p[1] - along * uy)

"""A scene as data: everything that the engine is told before the first step, and what it puts out.

A `Scene` is the header: alone it simulates again to the bit. Its bodies hold *frame 0*, the state before the first
step, which is stored nowhere else. A `Recording` holds frames 1 to T; frame k is the state after k time steps of
`STEP` seconds. So in arrays, row 0 of `state` is frame 1. Units: px, s, rad; mass in arbitrary units; y points up.

`FIELDS` are the arrays of an opened dataset. Scenes differ in their numbers of bodies, static pieces and joints, so
arrays are padded with zeros to the largest scene *that is read at once*; kind 0 says "not there", and so does `mask`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Field

Vector: TypeAlias = tuple[float, float]

STEP = 1 / 60
"""s between frames."""
FRAME = 1.0
"""The unit of time of datasets, forecasts and scores."""
WIDTH, HEIGHT = 800.0, 600.0
"""px of the canvas; the origin is its lower left corner."""
STATE = ("x", "y", "angle", "vx", "vy", "omega")
"""The last axis of every state: px, px, rad, px/s, px/s, rad/s."""
SCALE = np.array([100.0, 100.0, 1e4, 100.0, 100.0, 1e3])
"""Stored states are whole numbers divided by these: 0.01 px, 1e-4 rad, 0.01 px/s, 1e-3 rad/s."""
STATIC = -1
"""The body number of everything that does not move."""

BODY_KINDS = ("none", "disc", "box")
STATIC_KINDS = ("none", "segment", "circle", "polygon")
JOINT_KINDS = ("none", "pin", "pivot")
FORCE_KINDS = ("none", "central", "mutual")
"""Their places are the numbers that the fields `body_kind`, `static_kind`, `joint_kind` and `force` hold."""
CORNERS = 4
"""Points that `static_points` has room for."""


@dataclass(frozen=True, slots=True)
class Body:
    """A dynamic body in its initial state (frame 0)."""

    kind: Literal["disc", "box"]
    size: Vector
    """Half extents along its own axes: (radius, radius) of a disc, (width / 2, height / 2) of a box."""
    position: Vector
    """Of the centre of mass, which is the centre of the shape."""
    velocity: Vector
    angle: float
    angular_velocity: float
    mass: float
    moment: float
    friction: float
    """Coulomb's; the engine multiplies those of the two shapes in contact."""
    elasticity: float
    """Restitution; multiplied, too."""


@dataclass(frozen=True, slots=True)
class Static:
    """A piece that never moves: a segment (2 points), a circle (1) or a convex polygon (counter-clockwise)."""

    kind: Literal["segment", "circle", "polygon"]
    points: tuple[Vector, ...]
    radius: float
    """Of a circle; of a segment the half thickness, so that its free surface lies that far from its line."""
    friction: float
    elasticity: float
    surface_velocity: Vector = (0.0, 0.0)
    """Of a conveyor belt, px/s: the direction in which it carries what lies on it."""


@dataclass(frozen=True, slots=True)
class Joint:
    """Ties two bodies: a pin keeps its anchors at a distance, a pivot keeps them together."""

    kind: Literal["pin", "pivot"]
    bodies: tuple[int, int]
    """Body numbers, or `STATIC`."""
    anchors: tuple[Vector, Vector]
    """In the coordinates of each body; in world coordinates where the body is `STATIC`."""
    distance: float = 0.0
    collide: bool = False
    """Whether the two bodies also collide with each other."""


@dataclass(frozen=True, slots=True)
class Force:
    """An acceleration beside gravity, with r the vector from the source.

    central: a = -μ r / (r² + ε²)^(3/2) about `centre`, strength = μ in px³/s².
    mutual: a_i = -G Σ_j m_j r_ij / (r_ij² + ε²)^(3/2), strength = G.
    """

    kind: Literal["central", "mutual"]
    strength: float
    centre: Vector = (0.0, 0.0)
    softening: float = 0.0
    """ε in px."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The settings of the simulation; every one of them changes bytes."""

    substeps: int = 8
    """Steps of the engine per frame."""
    iterations: int = 10
    damping: float = 1.0
    collision_slop: float = 0.1
    collision_bias: float = 0.0017970074436457143
    collision_persistence: int = 3
    name: str = "pymunk"
    version: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a simulation needs. The order of bodies, statics and joints matters to the solver."""

    type: str
    category: str
    difficulty: int
    seed: int
    """With type, difficulty and gravity it makes this scene again."""
    description: str
    gravity: Vector
    bodies: tuple[Body, ...]
    statics: tuple[Static, ...]
    joints: tuple[Joint, ...] = ()
    force: Force | None = None
    engine: Engine = Engine()
    frames: int = 200
    split: str = ""
    number: int = 0
    """k: the scene's number among those of its type and split, from 0."""


@dataclass(frozen=True)
class Recording:
    """A scene and its frames 1 to T."""

    scene: Scene
    state: NDArray[np.float64]
    """(T, N, 6), see `STATE`; whole multiples of 1 / `SCALE`."""


def initial_state(scene: Scene) -> NDArray[np.float64]:
    """(N, 6): frame 0."""
    rows = [(*b.position, b.angle, *b.velocity, b.angular_velocity) for b in scene.bodies]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def quantised(state: NDArray[np.float64]) -> NDArray[np.float64]:
    """A state (..., 6) rounded to what the store holds."""
    rounded: NDArray[np.float64] = np.rint(state * SCALE) / SCALE + 0.0  # never -0.0
    return rounded


FIELDS: Mapping[str, Field] = {
    "state": Field("<f8", ("time", "body", ", ".join(STATE)), "px, px, rad, px/s, px/s, rad/s"),
    "mask": Field("|b1", ("time", "body")),
    "body_kind": Field("<i8", ("body",)),
    "size": Field("<f8", ("body", "half width, half height"), "px"),
    "mass": Field("<f8", ("body",), "mass"),
    "moment": Field("<f8", ("body",), "mass px²"),
    "friction": Field("<f8", ("body",)),
    "elasticity": Field("<f8", ("body",)),
    "static_kind": Field("<i8", ("static",)),
    "static_points": Field("<f8", ("static", "corner", "x, y"), "px"),
    "static_radius": Field("<f8", ("static",), "px"),
    "static_friction": Field("<f8", ("static",)),
    "static_elasticity": Field("<f8", ("static",)),
    "static_velocity": Field("<f8", ("static", "x, y"), "px/s"),
    "joint_kind": Field("<i8", ("joint",)),
    "joint_bodies": Field("<i8", ("joint", "a, b")),
    "joint_anchors": Field("<f8", ("joint", "a, b", "x, y"), "px"),
    "joint_distance": Field("<f8", ("joint",), "px"),
    "joint_collide": Field("|b1", ("joint",)),
    "gravity": Field("<f8", ("x, y",), "px/s²"),
    "force": Field("<f8", ("kind, strength, x, y, softening",), "1, px³/s² or px³/s²/mass, px, px, px"),
    "engine": Field("<i8", ("substeps, iterations",)),
}
"""What an opened split gives per scene.

`mask` tells the bodies that are there (true over all frames of a scene). The points of a static piece with fewer than
`CORNERS` of them repeat the last one, so that edges between repeated points have no length. `joint_bodies` are
numbers along the axis of bodies, `STATIC` = -1 for the world. `force[0]` is the place of its kind in `FORCE_KINDS`.
`Dataset.cases` has the type as `family`, the `category`, and as parameters the `difficulty` and how many `objects`.
"""

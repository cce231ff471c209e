"""Scenes through the engine: Chipmunk by way of pymunk, read out in one batch.

Order inside one substep h: positions move with the *old* velocities, collisions are found, velocities get h g, the
solver works. So free flight over k frames of S substeps is exactly p_k = p + k v dt + g dt² (k² - k/S) / 2,
v_k = v + k g dt. Central and mutual forces are kicks h a(p) to the velocities before each substep, which is
symplectic as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymunk
from numpy.typing import NDArray
from pymunk import batch
from pymunk._chipmunk_cffi import ffi, lib

from emulant.errors import SimulationError
from emulant.systems.scenes.scene import STATIC, STEP, Body, Engine, Force, Joint, Scene, Static

State = NDArray[np.float64]
_READ = (
    batch.BodyFields.POSITION | batch.BodyFields.ANGLE | batch.BodyFields.VELOCITY | batch.BodyFields.ANGULAR_VELOCITY
)


def engine(substeps: int, iterations: int) -> Engine:
    """The settings of the engine that runs here, its version among them."""
    return Engine(substeps, iterations, version=f"{pymunk.version} ({pymunk.chipmunk_version.partition('-')[0]})")


def simulate(scene: Scene, frames: int | None = None, start: State | None = None) -> State:
    """The states (T, N, 6) of frames 1 to T, full precision.

    Args:
        scene: What is simulated.
        frames: T; by default those of the scene.
        start: (N, 6); begin with this state, and no memory of contacts, in place of the scene's own frame 0.

    Raises:
        SimulationError: A number is not finite.
    """
    space, bodies = build(scene, start)
    states = _run(space, bodies, scene, scene.frames if frames is None else frames)
    if not np.isfinite(states).all():
        frame, body = np.argwhere(~np.isfinite(states))[0][:2]
        raise SimulationError(f"{scene.type} scene {scene.number}: body {body} is not finite in frame {frame + 1}.")
    return states


def build(scene: Scene, start: State | None = None) -> tuple[pymunk.Space, list[pymunk.Body]]:
    """The engine's own form of a scene: bodies in order, then static pieces, then joints."""
    space = pymunk.Space()
    settings = scene.engine
    space.iterations, space.damping, space.gravity = settings.iterations, settings.damping, scene.gravity
    space.collision_slop, space.collision_bias = settings.collision_slop, settings.collision_bias
    space.collision_persistence = settings.collision_persistence
    bodies = [_add_body(space, body) for body in scene.bodies]
    for piece in scene.statics:
        _add_static(space, piece)
    for joint in scene.joints:
        _add_joint(space, joint, bodies)
    for body, row in zip(bodies, () if start is None else start.tolist(), strict=start is not None):
        body.position, body.angle, body.velocity, body.angular_velocity = (
            tuple(row[:2]),
            row[2],
            tuple(row[3:5]),
            row[5],
        )
    return space, bodies


def _add_body(space: pymunk.Space, given: Body) -> pymunk.Body:
    body = pymunk.Body(given.mass, given.moment)
    body.position, body.angle = given.position, given.angle
    body.velocity, body.angular_velocity = given.velocity, given.angular_velocity
    half_width, half_height = given.size
    shape: pymunk.Shape
    if given.kind == "disc":
        shape = pymunk.Circle(body, half_width)
    else:
        shape = pymunk.Poly.create_box(body, (2 * half_width, 2 * half_height))
    shape.friction, shape.elasticity = given.friction, given.elasticity
    space.add(body, shape)
    return body


def _add_static(space: pymunk.Space, piece: Static) -> None:
    shape: pymunk.Shape
    if piece.kind == "segment":
        shape = pymunk.Segment(space.static_body, piece.points[0], piece.points[1], piece.radius)
    elif piece.kind == "circle":
        shape = pymunk.Circle(space.static_body, piece.radius, piece.points[0])
    else:
        shape = pymunk.Poly(space.static_body, piece.points)
    shape.friction, shape.elasticity = piece.friction, piece.elasticity
    if piece.surface_velocity != (0.0, 0.0):
        shape.surface_velocity = piece.surface_velocity
    space.add(shape)


def _add_joint(space: pymunk.Space, joint: Joint, bodies: Sequence[pymunk.Body]) -> None:
    a, b = (space.static_body if number == STATIC else bodies[number] for number in joint.bodies)
    made: pymunk.Constraint
    if joint.kind == "pin":
        pin = pymunk.PinJoint(a, b, *joint.anchors)
        pin.distance = joint.distance
        made = pin
    else:
        made = pymunk.PivotJoint(a, b, *joint.anchors)
    made.collide_bodies = joint.collide
    space.add(made)


# -- running ------------------------------------------------------------------------------------------------------


def _run(space: pymunk.Space, bodies: Sequence[pymunk.Body], scene: Scene, frames: int) -> State:
    """All frames are gathered in one buffer and read at the end."""
    buffer, h, substeps = batch.Buffer(), STEP / scene.engine.substeps, range(scene.engine.substeps)
    rows = _rows(space, bodies)
    kick = None if scene.force is None else _Kick(space, rows, scene, h)
    step, engine, read = lib.cpSpaceStep, space._space, _Visit(space, _READ, buffer)
    for _ in range(frames):
        for _ in substeps:
            if kick is not None:
                kick()
            step(engine, h)  # `space.step` looks after callbacks, which there are none of, for half as long again
        read()
    states = np.frombuffer(bytes(buffer.float_buf()), dtype=np.float64).reshape(frames, -1, 6)
    return states[:, rows]


def _rows(space: pymunk.Space, bodies: Sequence[pymunk.Body]) -> NDArray[np.int64]:
    """Where the bodies stand in what the batch interface reads; the world's own body is among them."""
    buffer = batch.Buffer()
    batch.get_space_bodies(space, batch.BodyFields.BODY_ID, buffer)
    read = memoryview(buffer.int_buf()).cast("P").tolist()
    return np.array([read.index(body.id) for body in bodies], dtype=np.int64)


class _Visit:
    """`batch.get_space_bodies` or `set_space_bodies` with its argument made once; else that takes as long as a step."""

    def __init__(self, space: pymunk.Space, fields: batch.BodyFields, buffer: batch.Buffer, verb: str = "Get") -> None:
        self.space, self.buffer = space._space, buffer
        self.function = ffi.addressof(lib, f"pmSpaceBody{verb}IteratorFuncBatched")
        self.data = ffi.new("pmBatchedData *")
        self.data.fields = fields.value
        self.data.floatArray, self.data.intArray = buffer._float_arr, buffer._int_arr

    def __call__(self) -> None:
        lib.cpSpaceEachBody(self.space, self.function, self.data)


class _Kick:
    """Adds h a(p) to all velocities."""

    def __init__(self, space: pymunk.Space, rows: NDArray[np.int64], scene: Scene, h: float) -> None:
        assert scene.force is not None
        self.rows, self.force, self.h = rows, scene.force, h
        self.masses = np.array([body.mass for body in scene.bodies])
        self.places, self.velocities = batch.Buffer(), batch.Buffer()
        self.read_places = _Visit(space, batch.BodyFields.POSITION, self.places)
        self.read_velocities = _Visit(space, batch.BodyFields.VELOCITY, self.velocities)
        self.set_velocities = _Visit(space, batch.BodyFields.VELOCITY, self.velocities, "Set")

    def __call__(self) -> None:
        p, v = self._read(self.read_places), self._read(self.read_velocities)
        v[self.rows] += self.h * acceleration(self.force, p[self.rows], self.masses)
        self.velocities.clear()  # setting begins at the first number
        self.set_velocities()

    def _read(self, visit: _Visit) -> State:
        """(bodies that the engine knows, 2), the memory of the buffer itself."""
        visit.buffer.clear()
        visit()
        return np.frombuffer(visit.buffer.float_buf(), dtype=np.float64).reshape(-1, 2)


def acceleration(force: Force, positions: State, masses: State) -> State:
    """(N, 2) px/s², see `Force`; sums in a fixed order, without BLAS, so that bytes do not depend on its threads."""
    if force.kind == "central":
        r = positions - np.array(force.centre)
        distance2 = np.square(r).sum(axis=1) + force.softening**2
        return np.asarray(-force.strength * r / (distance2 * np.sqrt(distance2))[:, None])
    r = positions[:, None] - positions[None]
    distance2 = np.square(r).sum(axis=2) + force.softening**2
    np.fill_diagonal(distance2, np.inf)  # nobody attracts itself
    pulls: Any = masses[None, :, None] * r / (distance2 * np.sqrt(distance2))[:, :, None]
    return np.asarray(-force.strength * pulls.sum(axis=1))

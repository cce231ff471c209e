"""Scenes through the engine: Chipmunk by way of pymunk, read out in one batch.

Order inside one substep h: positions move with the *old* velocities, collisions are found, velocities get h g, the
solver works. So free flight over k frames of S substeps is exactly p_k = p + k v dt + g dt² (k² - k/S) / 2,
v_k = v + k g dt. Central and mutual forces are kicks h a(p) to the velocities before each substep, which is
symplectic as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pymunk
from numpy.typing import NDArray
from pymunk import batch
from pymunk._chipmunk_cffi import ffi, lib

from emulant.errors import SimulationError
from emulant.systems.scenes.contacts import ContactLog
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
    return _finite(scene, _run(space, bodies, scene, scene.frames if frames is None else frames))


def record(scene: Scene) -> tuple[State, NDArray[np.int32]]:
    """All frames of a scene as `simulate` gives them, and its beginnings of contact (E, 3), see `ContactLog`."""
    space, bodies = build(scene)
    log = ContactLog(space, bodies)
    return _finite(scene, _run(space, bodies, scene, scene.frames, log)), log.contacts()


def _finite(scene: Scene, states: State) -> State:
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
    body.position = given.position
    if (given.angle, given.velocity, given.angular_velocity) != (0.0, (0.0, 0.0), 0.0):  # else it is so already
        body.angle, body.velocity, body.angular_velocity = given.angle, given.velocity, given.angular_velocity
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


def _run(
    space: pymunk.Space, bodies: Sequence[pymunk.Body], scene: Scene, frames: int, log: ContactLog | None = None
) -> State:
    """All frames are gathered in one buffer and read at the end."""
    _require_order(space, bodies)
    buffer, h, substeps = batch.Buffer(), STEP / scene.engine.substeps, range(scene.engine.substeps)
    kick = None if scene.force is None else _Kick(space, scene, h)
    # `space.step` would look after callbacks, which there are none of, for half as long as the step itself
    step, engine, read = lib.cpSpaceStep, space._space, _visit(space, _READ, buffer)
    for _ in range(frames):
        for _ in substeps:
            if kick is not None:
                kick()
            step(engine, h)
            if log is not None:
                log.step_ends()
        read()
        if log is not None:
            log.frame_ends()
    states = np.frombuffer(buffer.float_buf(), dtype=np.float64).reshape(frames, -1, 6)
    return states[:, : len(bodies)].copy()


def _require_order(space: pymunk.Space, bodies: Sequence[pymunk.Body]) -> None:
    """The batch interface must read the bodies in the order in which they were added, the world's own body last."""
    buffer = batch.Buffer()
    batch.get_space_bodies(space, batch.BodyFields.BODY_ID, buffer)
    read = memoryview(buffer.int_buf()).cast("P").tolist()
    if read[: len(bodies)] != [body.id for body in bodies]:
        raise SimulationError("This pymunk reads bodies in another order than they were added in.")


def _visit(
    space: pymunk.Space, fields: batch.BodyFields, buffer: batch.Buffer, verb: str = "Get"
) -> Callable[[], None]:
    """`batch.get_space_bodies` or `set_space_bodies` with its argument made once; else that takes as long as a step."""
    data = ffi.new("pmBatchedData *")
    data.fields = fields.value
    data.floatArray, data.intArray = buffer._float_arr, buffer._int_arr
    return partial(lib.cpSpaceEachBody, space._space, ffi.addressof(lib, f"pmSpaceBody{verb}IteratorFuncBatched"), data)


class _Kick:
    """Adds h a(p) to all velocities."""

    def __init__(self, space: pymunk.Space, scene: Scene, h: float) -> None:
        assert scene.force is not None
        self.force, self.h = scene.force, h
        self.masses = np.array([body.mass for body in scene.bodies])
        self.places, self.velocities = batch.Buffer(), batch.Buffer()
        self.read_places = _visit(space, batch.BodyFields.POSITION, self.places)
        self.read_velocities = _visit(space, batch.BodyFields.VELOCITY, self.velocities)
        self.set_velocities = _visit(space, batch.BodyFields.VELOCITY, self.velocities, "Set")
        self.read_places(), self.read_velocities()
        # the memory of the buffers: it stays where it is, for what is read is always as much
        self.p, self.v = (self._memory(buffer) for buffer in (self.places, self.velocities))

    def __call__(self) -> None:
        self.places.clear()
        self.velocities.clear()
        self.read_places()
        self.read_velocities()
        self.v += self.h * acceleration(self.force, self.p, self.masses)
        self.velocities.clear()  # setting begins at the first number
        self.set_velocities()

    def _memory(self, buffer: batch.Buffer) -> State:
        """(N, 2)"""
        return np.frombuffer(buffer.float_buf(), dtype=np.float64).reshape(-1, 2)[: len(self.masses)]


def acceleration(force: Force, positions: State, masses: State) -> State:
    """(N, 2) px/s², see `Force`; sums in a fixed order, without BLAS, so that bytes do not depend on its threads."""
    if force.kind == "central":
        r = positions - np.array(force.centre)
        distance2 = r[:, 0] ** 2 + r[:, 1] ** 2 + force.softening**2
        return np.asarray(-force.strength * r / (distance2 * np.sqrt(distance2))[:, None])
    r = positions[:, None] - positions[None]
    itself = np.diag(np.full(len(masses), np.inf))
    distance2 = r[..., 0] ** 2 + r[..., 1] ** 2 + (force.softening**2 + itself)
    pulls: Any = masses[None, :, None] * r / (distance2 * np.sqrt(distance2))[:, :, None]
    return np.asarray(-force.strength * pulls.sum(axis=1))

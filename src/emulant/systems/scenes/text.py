"""A scene in words and numbers, for people and for language models that read plain text."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emulant.systems.scenes.header import kind_of
from emulant.systems.scenes.scene import STATIC, Body, Scene, Static


def scene_text(scene: Scene) -> str:
    """The header: a sentence, a table of the objects, then what does not move, what is tied, and what pulls."""
    gx, gy = scene.gravity
    count = len(scene.bodies)
    lines = [
        f"{scene.type} ({scene.category}), difficulty {scene.difficulty}: {scene.description} "
        f"{count} object{'s' if count > 1 else ''}, gravity ({gx:g}, {gy:g}) px/s², 60 frames per second.",
        "object  kind       size px       mass  friction  elasticity",
        *(_row(number, body) for number, body in enumerate(scene.bodies)),
        *(_fixed(piece) for piece in scene.statics),
    ]
    for joint in scene.joints:
        a, b = ("the world" if number == STATIC else f"object {number}" for number in joint.bodies)
        tie = f"rod of {joint.distance:.1f} px" if joint.kind == "pin" else "hinge"
        lines.append(f"{a} is tied to {b} by a {tie}")
    if scene.force is not None:
        (x, y), strength = scene.force.centre, scene.force.strength
        pull = f"everything is pulled to ({x:.1f}, {y:.1f})" if scene.force.kind == "central" else "objects attract"
        lines.append(f"{pull} with strength {strength:.4g}, softened over {scene.force.softening:g} px")
    return "\n".join(lines)


def _row(number: int, body: Body) -> str:
    width, height = 2 * body.size[0], 2 * body.size[1]
    size = f"radius {body.size[0]:.1f}" if body.kind == "disc" else f"{width:.1f} x {height:.1f}"
    return f"{number:6d}  {kind_of(body):9}  {size:12}  {body.mass:.4g}  {body.friction:.2f}  {body.elasticity:.2f}"


def _fixed(piece: Static) -> str:
    points = " to ".join(f"({x:.1f}, {y:.1f})" for x, y in piece.points)
    belt = piece.surface_velocity[0]
    thick = f" radius {piece.radius:g}" if piece.radius else ""
    return f"static {piece.kind} {points}{thick}" + (f" running at {belt:g} px/s" if belt else "")


def frame_text(scene: Scene, state: NDArray[np.float64], number: int) -> str:
    """`Frame 7: object 0 circle at (x, y) moving (vx, vy); object 1 ...` of a state (N, 6)."""
    rows = zip(scene.bodies, state.tolist(), strict=True)
    objects = (
        f"object {index} {kind_of(body)} at ({x:.2f}, {y:.2f}) angle {angle:.3f} moving ({vx:.2f}, {vy:.2f}) "
        f"turning {omega:.2f}"
        for index, (body, (x, y, angle, vx, vy, omega)) in enumerate(rows)
    )
    return f"Frame {number}: " + "; ".join(objects)


def recording_text(scene: Scene, state: NDArray[np.float64], first: int = 1) -> Iterator[str]:
    """The lines of a scene: its header, then its frames from number `first` on."""
    yield scene_text(scene)
    for number, frame in enumerate(state, first):
        yield frame_text(scene, frame, number)

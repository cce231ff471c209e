"""A scene in words and numbers, for people and for language models that read plain text.

Numbers of frames are rounded to the quanta of the language of scenes, 0.1 px, 0.01 rad, 1 px/s and 0.05 rad/s: what is
written is what a model is shown, and `read_frames` has it back exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from emulant.dataset.seams import Array, Fields
from emulant.errors import DataError
from emulant.systems.scenes.arrays import scene_arrays
from emulant.systems.scenes.language.residuals import QUANTA
from emulant.systems.scenes.scene import FORCE_KINDS, JOINT_KINDS, STATE, STATIC, STATIC_KINDS, Scene

KINDS = ("none", "circle", "rectangle")
"""What bodies are called, by their number in `BODY_KINDS`."""
_CORNERS = {"segment": 2, "circle": 1, "polygon": 4}


class Slot(NamedTuple):
    """A number of a body in a frame."""

    before: str
    """The words before it."""
    axis: int
    """Of `STATE`."""
    decimals: int
    last: str = "0123456789"
    """What its last decimal may be."""


SLOTS = (
    Slot(" at (", STATE.index("x"), 1),
    Slot(", ", STATE.index("y"), 1),
    Slot(") angle ", STATE.index("angle"), 2),
    Slot(" moving (", STATE.index("vx"), 0),
    Slot(", ", STATE.index("vy"), 0),
    Slot(") turning ", STATE.index("omega"), 2, "05"),
)

# -- frames -------------------------------------------------------------------------------------------------------


def frame_text(kinds: Sequence[int], state: Array, number: int) -> str:
    """`Frame 7: object 0 circle at (x, y) angle a moving (vx, vy) turning w; object 1 ...` of a state (N, 6)."""
    return "".join(before + told for before, told in frame_parts(kinds, state, number))


def frame_parts(kinds: Sequence[int], state: Array, number: int) -> Iterator[tuple[str, str]]:
    """The same in pieces: the words before each number, and the number."""
    rounded = np.rint(state / QUANTA) * QUANTA + 0.0  # never -0.0
    for index, (kind, row) in enumerate(zip(kinds, rounded.tolist(), strict=True)):
        for slot, before in zip(SLOTS, openings(kind, index, number), strict=True):
            yield before, f"{row[slot.axis]:.{slot.decimals}f}"


def openings(kind: int, index: int, number: int) -> list[str]:
    """The words before each of the numbers of object `index` in frame `number`."""
    start = "; " if index else f"Frame {number}: "
    words = [slot.before for slot in SLOTS]
    return [f"{start}object {index} {KINDS[kind]}{words[0]}", *words[1:]]


def read_frames(text: str) -> Array:
    """The states (T, N, 6) of the frames of one scene's text.

    Raises:
        DataError: A line is no frame, or objects are missing in it.
    """
    shape = "".join(re.escape(slot.before) + r"(-?[\d.]+)" for slot in SLOTS)
    entry = re.compile(r"(?:Frame \d+: |; )object (\d+) (?:" + "|".join(KINDS[1:]) + ")" + shape)
    frames = []
    for line in (line for line in text.splitlines() if line.startswith("Frame ")):
        found = list(entry.finditer(line))
        names = [int(match[1]) for match in found]
        if sum(len(match[0]) for match in found) != len(line) or names != list(range(len(found))):
            raise DataError(f"`{line[:60]}...` is no frame of a scene.")
        frames.append([[float(number) for number in match.groups()[1:]] for match in found])
    if len({len(frame) for frame in frames}) != 1:
        raise DataError("This text has no frames, or frames of different numbers of objects.")
    return np.array(frames)[..., np.argsort([slot.axis for slot in SLOTS])]


# -- scenes -------------------------------------------------------------------------------------------------------


def recording_text(scene: Scene, state: Array, first: int = 1) -> Iterator[str]:
    """The lines of a scene: what kind it is, its setting, then its frames from number `first` on."""
    fields = {name: array[0] for name, array in scene_arrays([scene]).items()}
    yield f"{scene.type} ({scene.category}), difficulty {scene.difficulty}: {scene.description}"
    yield setting_text(fields, np.arange(len(scene.bodies)))
    yield from frame_lines(scene, state, first)


def frame_lines(scene: Scene, state: Array, first: int) -> Iterator[str]:
    """Frames from number `first` on, a line each."""
    kinds = scene_arrays([scene])["body_kind"][0].tolist()
    for number, frame in enumerate(state, first):
        yield frame_text(kinds, frame, number)


def setting_text(scene: Fields, bodies: Array) -> str:
    """A sentence, a table of the objects, then what does not move, what is tied, and what pulls.

    Args:
        scene: The fields of one scene without a time axis.
        bodies: Which of its bodies are told of, in the order in which they are named.
    """
    gx, gy = scene["gravity"]
    count = len(bodies)
    lines = [
        f"{count} object{'' if count == 1 else 's'}, gravity ({gx:g}, {gy:g}) px/s², 60 frames per second of "
        f"{scene['engine'][0]:g} steps each.",
        "object  kind       size px       mass  friction  elasticity",
        *(_row(scene, name, body) for name, body in enumerate(bodies)),
        *(_fixed(scene, int(piece)) for piece in np.flatnonzero(scene["static_kind"])),
        *_joints(scene, bodies),
        *_force(scene["force"]),
    ]
    return "\n".join(lines)


def _row(scene: Fields, name: int, body: int) -> str:
    kind, (width, height) = KINDS[scene["body_kind"][body]], 2 * scene["size"][body]
    size = f"radius {width / 2:.1f}" if kind == "circle" else f"{width:.1f} x {height:.1f}"
    mass, friction, elasticity = (scene[key][body] for key in ("mass", "friction", "elasticity"))
    return f"{name:6d}  {kind:9}  {size:12}  {mass:.4g}  {friction:.2f}  {elasticity:.2f}"


def _fixed(scene: Fields, piece: int) -> str:
    kind = STATIC_KINDS[scene["static_kind"][piece]]
    points = " to ".join(_point(point) for point in scene["static_points"][piece][: _CORNERS[kind]])
    radius, friction, elasticity, (belt, _) = (
        scene[f"static_{key}"][piece] for key in ("radius", "friction", "elasticity", "velocity")
    )
    thick = f" radius {radius:g}" if radius else ""
    running = f" running at {belt:g} px/s" if belt else ""
    return f"static {kind} {points}{thick} friction {friction:.2f} elasticity {elasticity:.2f}{running}"


def _joints(scene: Fields, bodies: Array) -> Iterator[str]:
    """Joints between these bodies and the world; places on a body are told from its centre."""
    names = {int(body): f"object {name}" for name, body in enumerate(bodies)} | {STATIC: "the world"}
    for joint in np.flatnonzero(scene["joint_kind"]):
        ends = [names.get(int(body)) for body in scene["joint_bodies"][joint]]
        if None in ends:
            continue
        a, b = (f"{end} at {_point(place)}" for end, place in zip(ends, scene["joint_anchors"][joint], strict=True))
        is_rod = JOINT_KINDS[scene["joint_kind"][joint]] == "pin"
        yield f"{a} is tied to {b} by a " + (f"rod of {scene['joint_distance'][joint]:.1f} px" if is_rod else "hinge")


def _force(force: Array) -> Iterator[str]:
    kind, strength, x, y, softening = force
    if kind:
        central = FORCE_KINDS[int(kind)] == "central"
        pull = f"everything is pulled to {_point((x, y))}" if central else "objects attract each other"
        yield f"{pull} with strength {strength:.4g}, softened over {softening:g} px"


def _point(place: Sequence[float] | Array) -> str:
    x, y = np.round(place, 1) + 0.0  # never -0.0
    return f"({x:.1f}, {y:.1f})"

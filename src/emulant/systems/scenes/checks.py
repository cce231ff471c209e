"""What must be true of scenes: whole, as they were written, inside the canvas, and good physics.

Tolerances: an overlap at the start of 0.5 px; energy that rises above its earlier minimum by 10 % of what the scene has
(1 % in a tenth of the scenes); momentum away from whatever does not move, to 1e-3 of Σ m|v|.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np

from emulant.dataset.seams import Array, Fields, Finding
from emulant.errors import DataError
from emulant.systems.scenes.arrays import scene_arrays
from emulant.systems.scenes.energy import kinetic, potential
from emulant.systems.scenes.files import digest, integers
from emulant.systems.scenes.layout import layout
from emulant.systems.scenes.readers import ScenesDataset, title
from emulant.systems.scenes.scene import HEIGHT, STEP, WIDTH, Scene, initial_state
from emulant.systems.scenes.touching import encounters

OVERLAP = 0.5
"""px"""
GAIN, USUAL_GAIN, UNUSUAL = 0.10, 0.01, 0.1
"""Energy gained, over the scale of the scene: never more than the first; than the second in that share of scenes."""
MIXED = 10
"""Types from which on a split is held to that share: of jenga and bowling alone a third gains more than 1 %."""
START_QUANTA = np.array([0.1, 0.1, 1e-3, 1.0, 1.0, 1.0])
"""Scenes whose starts are equal to these are the same scene: px, px, rad, px/s, px/s, rad/s."""


def check(dataset: ScenesDataset) -> Iterator[Finding]:
    """Every scene by itself, then what must hold of all of them."""
    gains: list[float] = []
    for case in dataset.cases["case"].to_list():
        where = f"{dataset.split}: {title(case)}"
        try:
            (state,), scene = dataset.states([case]), dataset.scene(case)
        except DataError as error:
            yield Finding(where, "file", str(error))
            continue
        stored = dataset.digest(case)
        if stored is not None and digest(integers(state)) != stored:
            yield Finding(where, "hash", "its frames are not those that were written")
        if wrong := _shape(scene, state, case):
            yield Finding(where, "schema", wrong)
            continue
        yield from (Finding(where, name, what) for name, what in _physics(scene, state, gains))
    large = sum(gain > USUAL_GAIN for gain in gains)
    types = dataset.cases["family"].n_unique()
    if types >= MIXED and large > UNUSUAL * len(gains):
        yield Finding(dataset.split, "energy", f"{large} of {len(gains)} scenes gain more than {USUAL_GAIN:.0%}")


def _shape(scene: Scene, state: Array, case: int) -> str:
    """What is wrong with numbers and counts; empty if nothing is."""
    if state.shape[1] != len(scene.bodies):
        return f"has {state.shape[1]} bodies, its header {len(scene.bodies)}"
    if scene.frames and len(state) != scene.frames:
        return f"has {len(state)} frames, its header says {scene.frames}"
    if not np.isfinite(state).all() or not np.isfinite(initial_state(scene)).all():
        return "has numbers that are not finite"
    if f"{scene.type}/" != title(case).rpartition("/")[0] + "/":
        return f"is of the type {scene.type}"
    return ""


def _physics(scene: Scene, state: Array, gains: list[float]) -> Iterator[tuple[str, str]]:
    fields = scene_arrays([scene])
    start = initial_state(scene)
    frames = np.concatenate([start[None], state])
    plan = layout(fields)
    (touching,) = encounters(plan, start[None])
    if len(touching.gaps[0]) and (deepest := float(touching.gaps[0].min())) < -OVERLAP:
        yield "overlap", f"two bodies overlap by {-deepest:.2f} px at the start"
    outside = ((state[..., :2] < 0) | (state[..., :2] > [WIDTH, HEIGHT])).any(axis=(0, 2))
    if outside.any():
        yield "escape", f"body {int(outside.argmax())} leaves the canvas"
    if (body := _too_fast(frames, scene)) is not None:
        yield "motion", f"body {body} moves further in a frame than its velocity allows"
    if scene.force is None and not any(piece.surface_velocity != (0.0, 0.0) for piece in scene.statics):
        gains.append(energy_gain(frames, fields))
        if gains[-1] > GAIN:
            yield "energy", f"rises by {gains[-1]:.1%} of the energy of the scene"
    if (off := momentum_error(frames, scene, fields)) > 1e-3:
        yield "momentum", f"changes by {off:.2%} of its terms while nothing fixed is near"


def _too_fast(frames: Array, scene: Scene) -> int | None:
    """A body whose place and velocity do not belong together."""
    way = np.hypot(*np.moveaxis(np.diff(frames[..., :2], axis=0), -1, 0))
    speed = np.hypot(frames[..., 3], frames[..., 4])
    most = np.maximum(speed[1:], speed[:-1]) * STEP + float(np.hypot(*scene.gravity)) * STEP**2
    pushed = (way > 2 * most + 5).any(axis=0)  # contacts push apart, and a bounce hides the speed between two frames
    return int(pushed.argmax()) if pushed.any() else None


def energy_gain(frames: Array, fields: Fields) -> float:
    """The largest rise above an earlier minimum, over (max kinetic + spread of potential + 10 px Σ m|g|)."""
    moving, lying = kinetic(frames[None], fields)[0], potential(frames[None], fields)[0]
    total = moving + lying
    weight = float(fields["mass"].sum() * np.hypot(*fields["gravity"][0]))
    scale = float(moving.max() + np.ptp(lying) + 10 * weight)
    return float((total - np.minimum.accumulate(total)).max()) / scale if scale else 0.0


def momentum_error(frames: Array, scene: Scene, fields: Fields) -> float:
    """How far the momentum is off Σ m g t as long as nothing fixed is near, over Σ m|v|; 0 if that is never."""
    tied = any(min(joint.bodies) < 0 for joint in scene.joints)
    if tied or (scene.force is not None and scene.force.kind == "central"):
        return 0.0
    alone = _frames_alone(frames, fields) if _frames_alone(frames[:1], fields) else 0
    if alone < 2:
        return 0.0
    mass, velocity = fields["mass"][0][:, None], frames[:alone, :, 3:5]
    momentum = (mass * velocity).sum(axis=1)
    due = mass.sum() * np.outer(np.arange(alone) * STEP, scene.gravity)
    terms = (mass[:, 0] * np.hypot(velocity[..., 0], velocity[..., 1])).sum(axis=1)
    rounding = 0.01 * mass.sum()  # px/s, that of the store
    off = np.hypot(*(momentum - momentum[0] - due).T) - rounding
    return float((off[1:] / np.maximum(terms[1:], mass.sum())).max(initial=0.0))


def _frames_alone(frames: Array, fields: Fields) -> int:
    """How many frames there are before a body may touch something fixed: by the circles around bodies."""
    x, y = frames[..., 0, None], frames[..., 1, None]
    reach = np.hypot(*fields["size"][0].T)[:, None] + fields["static_radius"][0]
    corners = fields["static_points"][0]
    near = np.zeros(len(frames), dtype=bool)
    for first in range(corners.shape[1]):
        (ax, ay), (bx, by) = corners[:, first].T, np.roll(corners, -1, axis=1)[:, first].T
        ux, uy = bx - ax, by - ay
        length = np.maximum(ux * ux + uy * uy, 1e-12)
        along = np.clip(((x - ax) * ux + (y - ay) * uy) / length, 0, 1)
        gap = np.hypot(x - ax - along * ux, y - ay - along * uy) - reach
        near |= (gap < 2 + 0.02 * np.hypot(frames[..., 3], frames[..., 4])[..., None]).any(axis=(1, 2))
    return int(near.argmax()) if near.any() else len(frames)


def start_of(scene: Scene) -> bytes:
    """What makes two scenes the same: the rounded initial state, sizes, static pieces and anchors; not materials."""
    state = np.rint(initial_state(scene) / START_QUANTA)
    sizes = [body.size for body in scene.bodies]
    fixed = [value for piece in scene.statics for point in piece.points for value in (*point, piece.radius)]
    anchors = [value for joint in scene.joints for anchor in joint.anchors for value in anchor]
    lengths = np.rint(np.array([*np.ravel(sizes), *fixed, *anchors, *scene.gravity]) / 0.1)
    mark: bytes = scene.type.encode() + state.astype("<i8").tobytes() + lengths.astype("<i8").tobytes()
    return mark


# -- across splits ------------------------------------------------------------------------------------------------


def check_leaks(datasets: Mapping[str, ScenesDataset]) -> Iterator[Finding]:
    """Scenes that are there twice, in one split or in two, and held-out types where they do not belong."""
    heldout = set(datasets["test_heldout"].cases["family"]) if "test_heldout" in datasets else set()
    seen: dict[bytes, str] = {}
    for split, dataset in datasets.items():
        for type_ in sorted(heldout & set(dataset.cases["family"])) if split != "test_heldout" else ():
            yield Finding(split, "heldout", f"has scenes of {type_}, which test_heldout keeps out of everything else")
        for case in dataset.cases["case"].to_list():
            with suppress(DataError):  # told already, when the scene was checked
                here = f"{split}: {title(case)}"
                other = seen.setdefault(start_of(dataset.scene(case)), here)
                if other != here:
                    check = "duplicate" if other.partition(":")[0] == split else "leak"
                    yield Finding(here, check, f"starts as {other} does")

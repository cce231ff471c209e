"""What must be true of scenes: whole, as they were written, inside the canvas, and good physics.

Tolerances: an overlap at the start of 0.5 px; energy that rises above its earlier minimum by 10 % of what the scene has
(1 % in a tenth of the scenes); momentum away from whatever does not move, to 1e-3 of Σ m|v|.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

import numpy as np

from emulant.dataset.seams import Array, Fields, Finding
from emulant.errors import DataError
from emulant.systems.scenes.arrays import padded_states, scene_arrays
from emulant.systems.scenes.energy import kinetic, potential
from emulant.systems.scenes.files import digest, integers
from emulant.systems.scenes.layout import layout
from emulant.systems.scenes.readers import ScenesDataset, title
from emulant.systems.scenes.scene import (
    FORCE_KINDS,
    HEIGHT,
    STATIC_KINDS,
    STEP,
    WIDTH,
    Recording,
    Scene,
    initial_state,
)
from emulant.systems.scenes.touching import encounters, flat_states

OVERLAP = 0.5
"""px"""
GAIN, USUAL_GAIN, UNUSUAL = 0.10, 0.01, 0.1
"""Energy gained, over the scale of the scene: never more than the first; than the second in that share of scenes."""
MANY = 100
"""Scenes from which on a split is held to that share; of fewer, chance makes it more."""
START_QUANTA = np.array([0.1, 0.1, 1e-3, 1.0, 1.0, 1.0])
"""Scenes whose starts are equal to these are the same scene: px, px, rad, px/s, px/s, rad/s."""
TOGETHER = 500
"""Bodies that are looked at in one go."""
STRETCH = 20
"""Frames that are looked at in one go where the first ones may settle it."""


def check(dataset: ScenesDataset) -> Iterator[Finding]:
    """Every scene by itself, then what must hold of all of them. Every number is read once."""
    gains: list[float] = []
    for cases in _batches(dataset):
        sound: dict[str, Recording] = {}
        for case in cases:
            where = f"{dataset.split}: {title(case)}"
            try:
                recording = dataset.recording(case)
            except DataError as error:
                yield Finding(where, "file", str(error))
                continue
            stored = dataset.digest(case)
            if stored is not None and digest(integers(recording.state)) != stored:
                yield Finding(where, "hash", "its frames are not those that were written")
            if wrong := _shape(recording, case):
                yield Finding(where, "schema", wrong)
            else:
                sound[where] = recording
        for length in sorted({len(each.state) for each in sound.values()}):
            yield from _physics({where: each for where, each in sound.items() if len(each.state) == length}, gains)
    large = sum(gain > USUAL_GAIN for gain in gains)
    if len(gains) >= MANY and large > UNUSUAL * len(gains):
        yield Finding(dataset.split, "energy", f"{large} of {len(gains)} scenes gain more than {USUAL_GAIN:.0%}")


def _batches(dataset: ScenesDataset) -> Iterator[list[int]]:
    """Scenes of one type, which are of about the same size, in groups that fit into a cache."""
    for _, scenes in groupby(dataset.cases.select("family", "case", "objects").iter_rows(), key=itemgetter(0)):
        batch: list[int] = []
        bodies = 0
        for _, case, objects in scenes:
            if batch and bodies + objects > TOGETHER:
                yield batch
                batch, bodies = [], 0
            batch.append(case)
            bodies += objects
        yield batch


def _shape(recording: Recording, case: int) -> str:
    """What is wrong with numbers and counts; empty if nothing is."""
    scene, state = recording.scene, recording.state
    if state.shape[1] != len(scene.bodies):
        return f"has {state.shape[1]} bodies, its header {len(scene.bodies)}"
    if scene.frames and len(state) != scene.frames:
        return f"has {len(state)} frames, its header says {scene.frames}"
    if not np.isfinite(state).all() or not np.isfinite(initial_state(scene)).all():
        return "has numbers that are not finite"
    if f"{scene.type}/" != title(case).rpartition("/")[0] + "/":
        return f"is of the type {scene.type}"
    return ""


def _physics(recordings: Mapping[str, Recording], gains: list[float]) -> Iterator[Finding]:
    """Of recordings of one length; the energy that each gains is added to `gains`."""
    scenes = [each.scene for each in recordings.values()]
    fields = scene_arrays(scenes)
    frames, _ = padded_states(
        [np.concatenate([initial_state(each.scene)[None], each.state]) for each in recordings.values()]
    )
    whole = np.all([np.isfinite(a).reshape(len(scenes), -1).all(axis=1) for a in fields.values()], axis=0)
    moved = (fields["force"][:, 0] != 0) | (fields["static_velocity"] != 0).any(axis=(1, 2))
    deepest, momentum = _deepest_overlap(frames, fields), momentum_error(frames, fields)
    gained = np.where(moved, 0.0, energy_gain(frames, fields))
    gains += gained[~moved].tolist()
    outside = np.any((frames[..., :2] < 0) | (frames[..., :2] > [WIDTH, HEIGHT]), axis=(1, 3))
    fast = _too_fast(frames, fields)
    for row, where in enumerate(recordings):
        if not whole[row]:
            yield Finding(where, "schema", "its header has numbers that are not finite")
        if deepest[row] > OVERLAP:
            yield Finding(where, "overlap", f"two bodies overlap by {deepest[row]:.2f} px at the start")
        if outside[row].any():
            yield Finding(where, "escape", f"body {int(outside[row].argmax())} leaves the canvas")
        if fast[row].any():
            body = int(fast[row].argmax())
            yield Finding(where, "motion", f"body {body} moves further in a frame than its velocity allows")
        if gained[row] > GAIN:
            yield Finding(where, "energy", f"rises by {gained[row]:.1%} of the energy of the scene")
        if momentum[row] > 1e-3:
            yield Finding(where, "momentum", f"changes by {momentum[row]:.2%} of its terms while nothing fixed is near")


def _deepest_overlap(frames: Array, fields: Fields) -> Array:
    """(C,) px at the start."""
    plan = layout(fields)
    (touching,) = encounters(plan, flat_states(plan, frames[:, :1]))
    deepest = np.zeros(len(frames))
    np.maximum.at(deepest, plan["scene"][touching.pairs[0]], -touching.gaps[0])
    return deepest


def _too_fast(frames: Array, fields: Fields) -> Array:
    """(C, N) bodies whose places and velocities do not belong together."""
    way = np.hypot(*np.moveaxis(np.diff(frames[..., :2], axis=1), -1, 0))
    speed = np.hypot(frames[..., 3], frames[..., 4])
    gravity = np.hypot(*fields["gravity"].T)[:, None, None]
    most = np.maximum(speed[:, 1:], speed[:, :-1]) * STEP + gravity * STEP**2
    # contacts push apart, and a bounce hides the speed between two frames
    return np.asarray((way > 2 * most + 5).any(axis=1))


def energy_gain(frames: Array, fields: Fields) -> Array:
    """(C,) of frames (C, T, N, 6): the largest rise above an earlier minimum, over what the scene has.

    That is max kinetic + spread of potential + 10 px Σm|g|.
    """
    moving, lying = kinetic(frames, fields), potential(frames, fields)
    total = moving + lying
    weight = fields["mass"].sum(axis=1) * np.hypot(*fields["gravity"].T)
    scale = moving.max(axis=1) + np.ptp(lying, axis=1) + 10 * weight
    rise = (total - np.minimum.accumulate(total, axis=1)).max(axis=1)
    return np.asarray(rise / np.where(scale > 0, scale, 1.0))


def momentum_error(frames: Array, fields: Fields) -> Array:
    """(C,) how far the momentum is off Σ m g t as long as nothing fixed is near, over Σ m|v|; 0 if that is never."""
    mass, velocity = fields["mass"][:, None, :, None], frames[..., 3:5]
    momentum = (mass * velocity).sum(axis=2)
    times = STEP * np.arange(frames.shape[1])
    due = fields["mass"].sum(axis=1)[:, None, None] * times[:, None] * fields["gravity"][:, None]
    terms = (mass[..., 0] * np.hypot(velocity[..., 0], velocity[..., 1])).sum(axis=2)
    rounding = 0.01 * fields["mass"].sum(axis=1)[:, None]  # px/s, that of the store
    off = np.hypot(*np.moveaxis(momentum - momentum[:, :1] - due, -1, 0)) - rounding
    alone = np.arange(frames.shape[1]) < _frames_alone(frames, fields)[:, None]
    share = off / np.maximum(terms, fields["mass"].sum(axis=1)[:, None])
    return np.asarray(np.where(alone, share, 0.0)[:, 1:].max(axis=1, initial=0.0))


def _frames_alone(frames: Array, fields: Fields) -> Array:
    """(C,) how many frames there are before anything acts on a body but gravity and other bodies."""
    tied = (fields["joint_kind"] > 0) & (fields["joint_bodies"].min(axis=2) < 0)
    held = tied.any(axis=1) | (fields["force"][:, 0] == FORCE_KINDS.index("central"))
    alone = np.where(held, 0, frames.shape[1])
    left = np.flatnonzero(~held)
    for begin in range(0, frames.shape[1], STRETCH):
        near = _near_something_fixed(frames[left, begin : begin + STRETCH], {k: v[left] for k, v in fields.items()})
        met = near.any(axis=1)
        alone[left[met]] = begin + near[met].argmax(axis=1)
        left = left[~met]
    return alone


def _near_something_fixed(frames: Array, fields: Fields) -> Array:
    """(C, T) whether a body may touch something fixed: by the circles around bodies."""
    x, y = frames[..., 0, None], frames[..., 1, None]
    reach = np.hypot(*np.moveaxis(fields["size"], -1, 0))[:, None, :, None] + fields["static_radius"][:, None, None]
    corners = fields["static_points"]
    edges = corners.shape[2] if (fields["static_kind"] == STATIC_KINDS.index("polygon")).any() else 1
    reached = 2 + 0.02 * np.hypot(frames[..., 3], frames[..., 4])[..., None]
    near = np.zeros(frames.shape[:2], dtype=bool)
    for first in range(edges):
        ends = corners[:, :, first], np.roll(corners, -1, axis=2)[:, :, first]
        (ax, ay), (bx, by) = (np.moveaxis(end[:, None, None], -1, 0) for end in ends)
        ux, uy = bx - ax, by - ay
        along = np.clip(((x - ax) * ux + (y - ay) * uy) / np.maximum(ux * ux + uy * uy, 1e-12), 0, 1)
        gap = np.hypot(x - ax - along * ux, y - ay - along * uy) - reach
        near |= (gap < reached).any(axis=(2, 3))
    return near


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

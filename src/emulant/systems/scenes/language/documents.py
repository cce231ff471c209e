"""A scene as a document: its header, its first frame, and what every later frame changes, body by body.

One function, `document`, makes what is trained on, what evaluation shows and what `predict` shows. A later entry is
OBJECT k and then ON, FALL or STILL, or the changes of vx, vy, ω, x, y, angle; only the first three are ever a model's
to say. The type's name is no part of it: a model must continue kinds of scenes that it has never seen.
"""

from __future__ import annotations

import numpy as np

from emulant.dataset.seams import Array, Fields
from emulant.errors import SurrogateError
from emulant.systems.scenes.language.residuals import Told
from emulant.systems.scenes.language.tongues import Document
from emulant.systems.scenes.language.vocabulary import (
    FALL,
    NOTHING,
    OBJECT,
    OBJECTS,
    ON,
    STILL,
    WIDTH,
    WORDS,
    WORLD,
    joined,
    placed,
    spelled,
)
from emulant.systems.scenes.scene import BODY_KINDS, FORCE_KINDS, JOINT_KINDS, STATIC_KINDS

_CORNERS = np.array([{"segment": 2, "circle": 1, "polygon": 4}.get(name, 0) for name in STATIC_KINDS])
_STATICS, _BODIES = (np.array([WORDS.get(name, NOTHING) for name in kinds]) for kinds in (STATIC_KINDS, BODY_KINDS))
"""By number of kind: corners that are told of a static piece, and the words."""


def document(static: Fields, told: Told, row: int, bodies: Array, own: int, first_said: int) -> Document:
    """Scene `row` of what was told, as far as it is about some bodies.

    Args:
        static: The fields of the scenes without a time axis, (C, ...) each.
        told: Their frames.
        row: Which of the scenes.
        bodies: Their numbers, in the order in which the document has them.
        own: How many of them, the first ones, are a model's to continue; the others are only shown.
        first_said: The frame (from 0) from which on it is a model that speaks; before that, all is shown.
    """
    head = [header({name: array[row] for name, array in static.items()}, bodies), opening(told.first[row], bodies)]
    shown = np.concatenate([joined(part) for part in head])
    slots = entries(told.changes[row][:, bodies], told.words[row][:, :, bodies])
    said = np.zeros(slots.shape, dtype=bool)
    said[max(0, first_said - 1) :, :own, 1 : 1 + 3 * WIDTH] = True
    there = slots != NOTHING
    return Document(np.concatenate([shown, slots[there]]), np.concatenate([np.zeros(len(shown), bool), said[there]]))


def entries(changes: Array, words: Array) -> Array:
    """Changes (..., N, 6) and what words stand for (..., 2, N, 6) -> (..., N, 1 + 6 WIDTH) tokens of entries,
    `NOTHING` where one is shorter."""
    count = changes.shape[-2]
    fits = [(changes == meant).all(-1) for meant in (0, words[..., 0, :, :], words[..., 1, :, :])]
    word = np.select(fits, [ON, FALL, STILL], NOTHING)
    numbers = spelled(np.where(word[..., None] == NOTHING, changes, 0)).reshape(*changes.shape[:-1], 6 * WIDTH)
    numbers[word != NOTHING] = NOTHING
    numbers[..., 0] = np.where(word == NOTHING, numbers[..., 0], word)
    names = np.broadcast_to(OBJECT + np.arange(count), changes.shape[:-1])
    return np.concatenate([names[..., None], numbers], axis=-1)


def opening(first: Array, bodies: Array) -> Array:
    """The first frame, (N, 6) quanta, as tokens with gaps."""
    state = first[bodies]
    places = placed(state[:, :2]).reshape(len(bodies), 4)
    rest = spelled(state[:, [3, 4, 2, 5]]).reshape(len(bodies), 4 * WIDTH)
    frame = np.concatenate([_names(len(bodies)), places, rest], axis=1)
    return np.concatenate([[WORDS["first"]], frame.ravel()])


def _names(count: int) -> Array:
    if count > OBJECTS:
        raise SurrogateError(
            f"scenes: a document has words for {OBJECTS} objects, not for {count}.",
            "Lower context_tokens, so that such scenes are continued in groups.",
        )
    return (OBJECT + np.arange(count))[:, None]


# -- the header ---------------------------------------------------------------------------------------------------


def header(scene: Fields, bodies: Array) -> Array:
    """What does not change, as tokens with gaps: gravity, the engine's substeps, statics, forces, bodies, joints."""
    gravity = spelled(np.rint(np.append(scene["gravity"], scene["engine"][:1])))
    words = np.array([WORDS["scene"], WORDS["gravity"]])
    parts = [words, gravity, _statics(scene), _force(scene["force"])]
    parts += [_bodies(scene, bodies), *_joints(scene, bodies)]
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.int64)


def _statics(scene: Fields) -> Array:
    pieces = np.flatnonzero(scene["static_kind"])
    kinds, count = scene["static_kind"][pieces], len(pieces)
    corners = placed(np.rint(10 * scene["static_points"][pieces]))
    corners[np.arange(corners.shape[1]) >= _CORNERS[kinds][:, None]] = NOTHING
    numbers = np.column_stack(
        [
            10 * scene["static_radius"][pieces],
            100 * scene["static_friction"][pieces],
            100 * scene["static_elasticity"][pieces],
            scene["static_velocity"][pieces],
        ]
    )
    words = spelled(np.rint(numbers)).reshape(count, numbers.shape[1] * WIDTH)
    places = corners.reshape(count, 2 * 2 * corners.shape[1])
    return np.concatenate([_STATICS[kinds][:, None], places, words], axis=1)


def _force(force: Array) -> Array:
    kind, strength, x, y, softening = force
    if not kind:
        return np.zeros(0, dtype=np.int64)
    word = np.array([WORDS[FORCE_KINDS[int(kind)]]])
    numbers = spelled(np.rint([100 * np.log(strength), 10 * softening]))
    return np.concatenate([word, placed(np.rint([10 * x, 10 * y])).ravel(), numbers.ravel()])


def _bodies(scene: Fields, bodies: Array) -> Array:
    kinds = _BODIES[scene["body_kind"][bodies]]
    numbers = np.column_stack(
        [
            10 * scene["size"][bodies],
            100 * np.log(scene["mass"][bodies]),
            100 * scene["friction"][bodies],
            100 * scene["elasticity"][bodies],
        ]
    )
    words = spelled(np.rint(numbers)).reshape(len(bodies), numbers.shape[1] * WIDTH)
    return np.concatenate([_names(len(bodies)), kinds[:, None], words], axis=1)


def _joints(scene: Fields, bodies: Array) -> list[Array]:
    """Joints between these bodies and the world."""
    names = {int(body): OBJECT + name for name, body in enumerate(bodies)} | {-1: WORLD}
    found = []
    for joint in np.flatnonzero(scene["joint_kind"]):
        a, b = (int(number) for number in scene["joint_bodies"][joint])
        if a not in names or b not in names:
            continue
        word = WORDS[JOINT_KINDS[scene["joint_kind"][joint]]]
        numbers = np.append(10 * scene["joint_anchors"][joint].ravel(), 10 * scene["joint_distance"][joint])
        found += [np.array([word, names[a], names[b]]), spelled(np.rint(numbers))]
    return found

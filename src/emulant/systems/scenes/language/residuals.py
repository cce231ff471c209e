"""Motion as whole numbers: what each frame adds to what was to be expected from the frame before, as it was told.

What flew freely is expected to fly on, all else to keep its velocity: the law `ballistic`, frame by frame. So a model
that says nothing is that law, and a model has only to say what is new.

Nothing drifts: a frame is told against the *decoded* frame before it, so what is decoded is never more than half a
quantum off. Velocities come first; a body's place follows from them but for what happened within the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulant.dataset.seams import Array, Context, Fields
from emulant.systems.scenes.baselines import ZeroChange
from emulant.systems.scenes.language.vocabulary import NUMBERS, PLACES
from emulant.systems.scenes.scene import STEP

PLACE_QUANTA = np.array([0.1, 0.1, 0.01])
"""px, px, rad. Simulated again from states rounded like this, scenes are 0.3 px off after 20 frames."""
PACE_QUANTA = np.array([1.0, 1.0, 0.05])
"""px/s, px/s, rad/s"""
QUANTA = np.concatenate([PLACE_QUANTA, PACE_QUANTA])


class Told(NamedTuple):
    """Some scenes in whole numbers."""

    first: Array
    """(C, N, 6) quanta: the first frame."""
    changes: Array
    """(C, T - 1, N, 6): those of vx, vy, ω, then of x, y, angle."""
    words: Array
    """(C, T - 1, 2, N, 6): the changes that `fall` and `still` stand for."""
    decoded: Array
    """(C, T, N, 6): the states that all this decodes to."""
    aloft: Array
    """(C, N) bool: what flew freely in the last frame."""


def tell(states: Array, static: Fields) -> Told:
    """Say states (C, T, N, 6) of scenes with the given fields; exact to half of `QUANTA`."""
    first = np.rint(states[:, 0] / QUANTA)
    decoded, changes, words = [first * QUANTA], [], []
    aloft = np.ones(first.shape[:2], dtype=bool)
    for frame in range(1, states.shape[1]):
        likely, spoken = expected(decoded[-1], aloft, static)
        changes.append(change(states[:, frame], likely, static))
        words.append(spoken)
        decoded.append(moved(likely, changes[-1], static))
        aloft = flying(changes[-1], spoken)
    shape = (len(states), 0, *states.shape[2:])
    empty = np.zeros(shape), np.zeros((*shape[:2], 2, *shape[2:]))
    said, known = (np.stack(part, axis=1) if part else none for part, none in zip((changes, words), empty, strict=True))
    return Told(first, said, known, np.stack(decoded, axis=1), aloft)


def expected(state: Array, aloft: Array, static: Fields) -> tuple[Array, Array]:
    """States (C, N, 6) one frame on, if all goes on as it went, and (C, 2, N, 6) what the words stand for then."""
    free = flight(state, static)
    straight = state.copy()
    straight[..., :3] += STEP * state[..., 3:]
    likely = np.where(aloft[..., None], free, straight)
    return likely, np.stack([change(each, likely, static) for each in (free, resting(state))], axis=1)


def flying(changes: Array, words: Array) -> Array:
    """(C, N) whether changes (C, N, 6) of velocity are those of free flight."""
    return np.asarray((changes[..., :3] == words[:, 0, :, :3]).all(-1))


def flight(state: Array, static: Fields) -> Array:
    """States (C, N, 6) one frame on, if nothing but the forces of the header acts."""
    context = Context({"state": state[:, None]}, np.zeros(1), STEP, static=static)
    return np.asarray(ZeroChange().forecast(context, 1)["state"][:, 0])


def resting(state: Array) -> Array:
    """The same places, without motion."""
    return np.concatenate([state[..., :3], np.zeros_like(state[..., 3:])], axis=-1)


def change(state: Array, likely: Array, static: Fields) -> Array:
    """(C, N, 6) whole numbers that lead from what is expected to a state: of velocities, then of places."""
    pace = np.rint((state[..., 3:] - likely[..., 3:]) / PACE_QUANTA)
    place = np.rint((state[..., :3] - _carried(likely, pace, static)) / PLACE_QUANTA)
    return np.concatenate([pace, place], axis=-1)


def moved(likely: Array, change: Array, static: Fields) -> Array:
    """The inverse of `change`: the state (C, N, 6)."""
    pace, place = change[..., :3], change[..., 3:]
    return np.concatenate(
        [_carried(likely, pace, static) + place * PLACE_QUANTA, likely[..., 3:] + pace * PACE_QUANTA], axis=-1
    )


def bounded(state: Array) -> Array:
    """States (..., 6) within what can be told: far beyond the canvas a model that errs is wrong anyway."""
    (left, right), (least, most) = PLACES, NUMBERS
    low, high = np.array([left] * 2 + [least] * 4) * QUANTA, np.array([right] * 2 + [most] * 4) * QUANTA
    return np.clip(state, low, high)


def _carried(likely: Array, pace: Array, static: Fields) -> Array:
    """Places if the change of velocity came evenly over the frame, in the engine's order of drift and kick."""
    substeps = static["engine"][:, 0].reshape(-1, 1, 1)
    return np.asarray(likely[..., :3] + 0.5 * STEP * (1 - 1 / substeps) * pace * PACE_QUANTA)

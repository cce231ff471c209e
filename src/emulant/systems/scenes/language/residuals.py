"""Motion as whole numbers: what each frame adds to free flight from the frame before, as it was told.

Nothing drifts: a frame is told against the *decoded* frame before it, so what is decoded is never more than half a
quantum off. Velocities come first; a body's place follows from them but for what happened within the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulant.dataset.seams import Array, Context, Fields
from emulant.systems.scenes.baselines import ZeroChange
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
    still: Array
    """(C, T - 1, N, 6): the changes that would have left a body where it was."""
    decoded: Array
    """(C, T, N, 6): the states that all this decodes to."""


def tell(states: Array, static: Fields) -> Told:
    """Say states (C, T, N, 6) of scenes with the given fields; exact to half of `QUANTA`."""
    first = np.rint(states[:, 0] / QUANTA)
    decoded, changes, still = [first * QUANTA], [], []
    for frame in range(1, states.shape[1]):
        before = decoded[-1]
        free = flight(before, static)
        changes.append(change(states[:, frame], free, static))
        still.append(change(resting(before), free, static))
        decoded.append(moved(free, changes[-1], static))
    empty = np.zeros((len(states), 0, *states.shape[2:]))
    said, held = (np.stack(part, axis=1) if part else empty for part in (changes, still))
    return Told(first, said, held, np.stack(decoded, axis=1))


def flight(state: Array, static: Fields) -> Array:
    """States (C, N, 6) one frame on, if nothing but the forces of the header acts."""
    context = Context({"state": state[:, None]}, np.zeros(1), STEP, static=static)
    return np.asarray(ZeroChange().forecast(context, 1)["state"][:, 0])


def resting(state: Array) -> Array:
    """The same places, without motion."""
    return np.concatenate([state[..., :3], np.zeros_like(state[..., 3:])], axis=-1)


def change(state: Array, free: Array, static: Fields) -> Array:
    """(C, N, 6) whole numbers that lead from free flight to a state: of velocities, then of places."""
    pace = np.rint((state[..., 3:] - free[..., 3:]) / PACE_QUANTA)
    place = np.rint((state[..., :3] - _carried(free, pace, static)) / PLACE_QUANTA)
    return np.concatenate([pace, place], axis=-1)


def moved(free: Array, change: Array, static: Fields) -> Array:
    """The inverse of `change`: the state (C, N, 6)."""
    pace, place = change[..., :3], change[..., 3:]
    return np.concatenate(
        [_carried(free, pace, static) + place * PLACE_QUANTA, free[..., 3:] + pace * PACE_QUANTA], axis=-1
    )


def _carried(free: Array, pace: Array, static: Fields) -> Array:
    """Places if the change of velocity came evenly over the frame, in the engine's order of drift and kick."""
    substeps = static["engine"][:, 0].reshape(-1, 1, 1)
    return np.asarray(free[..., :3] + 0.5 * STEP * (1 - 1 / substeps) * pace * PACE_QUANTA)

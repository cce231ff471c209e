"""Which pairs of a scene touch in which frame, from geometry alone: one rule for truth and forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array
from emulant.systems.scenes.geometry import Shapes, touch

TOUCHING = 0.5
"""px: pairs that are closer are in contact."""
Layout = Mapping[str, Array]


@dataclass(frozen=True)
class Encounters:
    """The pairs that come near in some frame, and their gaps."""

    pairs: Array
    """(2, P) places in the list of possible pairs' items, see `layout`"""
    gaps: NDArray[np.float64]
    """(H, P) px; inf where a state is not finite."""

    @property
    def touching(self) -> NDArray[np.bool_]:
        return self.gaps < TOUCHING

    @property
    def begins(self) -> NDArray[np.bool_]:
        """(H, P) whether a pair touches that did not one frame before; never in the first frame."""
        touching = self.touching
        begun = np.zeros_like(touching)
        begun[1:] = touching[1:] & ~touching[:-1]
        return begun


def flat_states(plan: Layout, states: Array) -> Array:
    """(H, B, 6): the bodies of padded states (C, H, N, 6), in the order of the list of items."""
    cases, frames, bodies, parts = states.shape
    return np.asarray(states.swapaxes(0, 1).reshape(frames, cases * bodies, parts)[:, plan["rows"]])


def encounters(plan: Layout, *states: Array) -> list[Encounters]:
    """The encounters in each of several sequences (H, B, 6) of the same scenes, over the same pairs."""
    poses = [_with_fixed(plan, each) for each in states]
    gone = [
        np.any(~np.isfinite(pose), axis=-1, keepdims=True) for pose in poses
    ]  # diverged: taken to the corner, and to touch nothing
    poses = [np.where(bad, 0.0, pose) for bad, pose in zip(gone, poses, strict=True)]
    kept = np.zeros(plan["pairs"].shape[1], dtype=bool)
    for pose in poses:
        kept |= _ever_near(plan, pose)
    pairs = plan["pairs"][:, kept]
    return [
        Encounters(pairs, np.where(bad[:, pairs, 0].any(axis=1), np.inf, _gaps(plan, pose, pairs)))
        for bad, pose in zip(gone, poses, strict=True)
    ]


def _with_fixed(plan: Layout, states: Array) -> Array:
    """(H, I, 3)"""
    fixed = np.broadcast_to(plan["fixed"], (len(states), *plan["fixed"].shape))
    return np.concatenate([states[..., :3], fixed], axis=1)


def _ever_near(plan: Layout, pose: Array) -> NDArray[np.bool_]:
    """(P,) whether the boxes that two items sweep over all frames overlap."""
    cos, sin = np.abs(np.cos(pose[..., 2])), np.abs(np.sin(pose[..., 2]))
    w, h = plan["core"].T
    half = np.stack([w * cos + h * sin, w * sin + h * cos], axis=-1) + plan["radius"][:, None] + 0.5 * TOUCHING
    low, high = (pose[..., :2] - half).min(axis=0), (pose[..., :2] + half).max(axis=0)
    a, b = plan["pairs"]
    return np.asarray(((low[a] <= high[b]) & (low[b] <= high[a])).all(axis=1))


def _gaps(plan: Layout, pose: Array, pairs: Array) -> NDArray[np.float64]:
    """(H, P) px"""

    def shapes(index: Array) -> Shapes:
        x, y, angle = np.moveaxis(pose[:, index], -1, 0)
        core = plan["core"][index]
        return Shapes(x, y, np.cos(angle), np.sin(angle), core[:, 0], core[:, 1], plan["radius"][index])

    return np.asarray(touch(shapes(pairs[0]), shapes(pairs[1]), np).gap)

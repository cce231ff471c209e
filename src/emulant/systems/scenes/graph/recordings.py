"""Scenes in memory for training: each without padding, put side by side batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Dataset, Fields
from emulant.systems.scenes.graph.flat import Flat, flatten
from emulant.systems.scenes.layout import STATIC_FIELDS
from emulant.systems.scenes.scene import STEP

BATCH_CASES = 64
HIT = 30.0
"""px/s, within a frame."""


class Recorded(NamedTuple):
    """One scene."""

    fields: Fields
    """Those of `STATIC_FIELDS`, without padding."""
    state: Array
    """(T, N, 6) float32"""

    def eventful(self) -> Array:
        """The frames in which a body is hit: its velocity changes by far more than gravity does it."""
        change = np.diff(self.state[..., 3:5], axis=0) - STEP * self.fields["gravity"].astype(np.float32)
        return np.flatnonzero((np.abs(change) > HIT).any(axis=(1, 2)))


def read(dataset: Dataset, frames: int) -> list[Recorded]:
    """The first `frames` frames of every scene."""
    names = [name for name in STATIC_FIELDS if name in dataset.schema]
    found = []
    for batch in dataset.batches(BATCH_CASES, ["state", *names]):
        for row in range(len(batch["state"])):
            fields = {name: batch[name][row] for name in names}
            counts = {axis: int((fields[f"{axis}_kind"] > 0).sum()) for axis in ("body", "static", "joint")}
            trimmed = {name: _trimmed(name, array, counts) for name, array in fields.items()}
            found.append(Recorded(trimmed, batch["state"][row, :frames, : counts["body"]].astype(np.float32)))
    return found


def _trimmed(name: str, array: Array, counts: dict[str, int]) -> Array:
    axis = _axis(name)
    return array if axis is None else array[: counts[axis]].copy()


def _axis(name: str) -> str | None:
    if name in ("gravity", "force", "engine"):
        return None
    first = name.partition("_")[0]
    return first if first in ("static", "joint") else "body"


def beside(scenes: Sequence[Recorded]) -> Flat:
    """Some scenes as one list of items."""
    return flatten({name: _padded([scene.fields[name] for scene in scenes]) for name in scenes[0].fields})


def _padded(arrays: Sequence[Array]) -> Array:
    """Stacked, with zeros where an array is shorter along its first axis."""
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    longest = max(len(array) for array in arrays)
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def stretch(scenes: Sequence[Recorded], starts: Sequence[int], length: int) -> Tensor:
    """(length, B, 6) states of all bodies, each scene from its own frame on."""
    parts = [scene.state[start : start + length] for scene, start in zip(scenes, starts, strict=True)]
    return torch.from_numpy(np.concatenate(parts, axis=1))

"""When bodies begin to touch, as the engine itself has it: looked at after each of its steps, so that none is missed.

The same pair begins anew when it has been apart for longer than the engine's `collision_persistence`. That a pair
touches by geometry alone, which forecasts can be asked as well, is `touching`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pymunk
from numpy.typing import NDArray
from pymunk import batch
from pymunk._chipmunk_cffi import ffi, lib

from emulant.systems.scenes.scene import STATIC

_FIELDS = batch.ArbiterFields.BODY_A_ID | batch.ArbiterFields.BODY_B_ID | batch.ArbiterFields.IS_FIRST_CONTACT
FRAMES = 20
"""Frames after which what was seen is sifted: seldom, for it takes as long as some steps."""


class ContactLog:
    """Gathers the beginnings of contact of one simulation."""

    def __init__(self, space: pymunk.Space, bodies: Sequence[pymunk.Body]) -> None:
        self.space, self.function = space._space, ffi.addressof(lib, "pmSpaceArbiterIteratorFuncBatched")
        self.buffer, self.data = batch.Buffer(), ffi.new("pmBatchedData *")
        self.data.fields = _FIELDS.value
        self.data.floatArray, self.data.intArray = self.buffer._float_arr, self.buffer._int_arr
        known = np.array([body.id for body in bodies], dtype=np.uint64)
        self.numbers = np.argsort(known)
        self.known = known[self.numbers]
        self.ends: list[int] = []
        self.found: list[NDArray[np.int32]] = []
        self.sifted = 0

    def step_ends(self) -> None:
        lib.cpSpaceEachCachedArbiter(self.space, self.function, self.data)

    def frame_ends(self) -> None:
        self.ends.append(self.buffer._int_arr.num)
        if len(self.ends) == FRAMES:
            self._sift()

    def contacts(self) -> NDArray[np.int32]:
        """(E, 3): frame (from 1), body and body of each beginning of contact, in order; -1 is something fixed."""
        self._sift()
        return np.concatenate(self.found) if self.found else np.zeros((0, 3), np.int32)

    def _sift(self) -> None:
        if not self.ends:
            return
        seen = np.frombuffer(self.buffer.int_buf(), dtype=np.uint64).reshape(-1, 3)
        first = np.flatnonzero(seen[:, 2])
        frames = 1 + self.sifted + np.searchsorted(self.ends, 3 * first, side="right")
        pairs = np.sort(self._numbers(seen[first, :2]), axis=1)[:, ::-1]  # what is fixed comes second
        rows = np.column_stack([frames, pairs]).astype(np.int32)
        self.found.append(rows[np.lexsort(rows.T[::-1])])  # the engine lists them by where they lie in memory
        self.sifted += len(self.ends)
        self.ends.clear()
        self.buffer.clear()

    def _numbers(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        place = np.minimum(np.searchsorted(self.known, ids), len(self.known) - 1)
        return np.where(self.known[place] == ids, self.numbers[place], STATIC)

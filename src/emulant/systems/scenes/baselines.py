"""What a surrogate of scenes has to beat: laws of motion that know nothing of contacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError
from emulant.systems.scenes.scene import FORCE_KINDS, STEP, Force


class Law:
    """A forecaster without anything to learn: the next frames from the last ones."""

    Config: ClassVar[type[Table]] = Table
    lag = 1

    def __init__(self, config: Table | None = None) -> None:
        self.config = config or Table()

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Nothing."""

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`state` (C, horizon, N, 6)."""
        frames = context.fields["state"]
        if frames.shape[1] < self.lag:
            raise SurrogateError(
                f"{type(self).__name__}: a context of {frames.shape[1]} frames, and it needs {self.lag}.",
                "Raise evaluation.context_frames.",
            )
        k = np.arange(1, horizon + 1).reshape(1, -1, 1, 1)
        return {"state": self.continued(frames, k, context)}

    def continued(self, frames: Array, k: Array, context: Context) -> Array:
        """The frames (1, H, 1, 1) = 1, 2, ... after (C, K, N, 6)."""
        raise NotImplementedError

    def save(self, folder: Path) -> list[Path]:
        """Nothing: there are no weights."""
        return []

    @classmethod
    def load(cls, folder: Path, config: Table | None = None) -> Self:
        return cls(config)


class ConstantVelocity(Law):
    """Everything goes on as it went, turning included."""

    def continued(self, frames: Array, k: Array, context: Context) -> Array:
        return _straight(frames, k)


class Ballistic(Law):
    """What fell freely in the last frame goes on falling, by the engine's own rule; all else keeps its velocity."""

    lag = 2

    def continued(self, frames: Array, k: Array, context: Context) -> Array:
        gravity, substeps = context.static["gravity"], context.static["engine"][:, 0]
        free = falling_freely(frames, gravity)
        fall = STEP * gravity[:, None, None] * free[:, None, :, None]  # (C, 1, N, 2) of velocity, per frame
        found = _straight(frames, k)
        found[..., :2] += 0.5 * STEP * fall * (k**2 - k / substeps.reshape(-1, 1, 1, 1))
        found[..., 3:5] += k * fall
        return found


class ZeroChange(Law):
    """Free flight of everything under the forces that the header knows: no contact, no joint, no support.

    What a model of changes of velocity says when it says nothing.
    """

    def continued(self, frames: Array, k: Array, context: Context) -> Array:
        static = context.static
        gravity = STEP * static["gravity"][:, None] * (static["body_kind"] > 0)[..., None]
        step, substeps = STEP, static["engine"][:, 0]
        state, found = frames[:, -1].copy(), []
        forced = [(row, _force(static["force"][row])) for row in np.flatnonzero(static["force"][:, 0])]
        for _ in range(k.size):
            before = state.copy()
            state[..., :3] += step * state[..., 3:]
            state[..., :2] += 0.5 * step * gravity * (1 - 1 / substeps[:, None, None])
            state[..., 3:5] += gravity
            for row, force in forced:
                there = static["body_kind"][row] > 0
                state[row, there] = _attracted(before[row, there], force, static["mass"][row, there], substeps[row])
            found.append(state.copy())
        return np.stack(found, axis=1)


def falling_freely(frames: Array, gravity: Array) -> Array:
    """(C, N) whether the last change of velocity was gravity's alone; frames (C, K >= 2, N, 6), gravity (C, 2)."""
    change = frames[:, -1, :, 3:5] - frames[:, -2, :, 3:5]
    off = np.linalg.norm(change - STEP * gravity[:, None], axis=-1)
    return np.asarray(off < 0.05 + 0.02 * STEP * np.linalg.norm(gravity, axis=-1)[:, None])


def _straight(frames: Array, k: Array) -> Array:
    last = frames[:, -1:]
    found = np.repeat(last, k.size, axis=1)
    found[..., :3] += k * STEP * last[..., 3:]
    return found


def _force(row: Array) -> Force:
    kind: Any = FORCE_KINDS[int(row[0])]
    return Force(kind, float(row[1]), (float(row[2]), float(row[3])), float(row[4]))


def _attracted(state: Array, force: Force, masses: Array, substeps: int) -> Array:
    """(N, 6) one frame on, in the engine's order: kick, then drift."""
    from emulant.systems.scenes.simulation import acceleration

    state = state.copy()
    for _ in range(substeps):
        state[:, 3:5] += STEP / substeps * acceleration(force, state[:, :2], masses)
        state[:, :3] += STEP / substeps * state[:, 3:]
    return state

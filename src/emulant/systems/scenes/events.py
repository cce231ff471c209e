"""Did it happen? What the predicates beside the types are made of.

All of them look at a `Recording`; `who` is the numbers of the bodies that are looked at (None: all).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.systems.scenes.scene import Scene

Who = Sequence[int] | slice | None


@dataclass(frozen=True)
class Watched:
    """A recording beside its frame 0."""

    scene: Scene
    state: NDArray[np.float64]
    """(T, N, 6)"""
    start: NDArray[np.float64]
    """(N, 6)"""

    def moved(self, by: float, who: Who = None) -> NDArray[np.bool_]:
        """(N,) which bodies have ever been `by` px away from where they started."""
        offset = (self.state - self.start)[:, _which(who), :2]
        return np.asarray((np.hypot(offset[..., 0], offset[..., 1]) > by).any(axis=0))

    def shift(self, axis: int, who: Who = None) -> NDArray[np.float64]:
        """(T, N) how far bodies have come along x (0) or y (1)."""
        return np.asarray((self.state - self.start)[:, _which(who), axis])

    def tilted(self, by: float = 0.5, who: Who = None) -> NDArray[np.bool_]:
        """(N,) which bodies have ever turned by more than that, in rad."""
        return np.asarray((np.abs((self.state - self.start)[:, _which(who), 2]) > by).any(axis=0))

    def nearest(self, x: float, y: float, who: Who = None) -> float:
        """px: how near a centre has come to a point."""
        offset = self.state[:, _which(who), :2] - np.array([x, y])
        return float(np.hypot(offset[..., 0], offset[..., 1]).min())

    def met(self, some: Sequence[int], others: Sequence[int], within: float) -> bool:
        """Whether a body of `some` has come as near to one of `others` as their half widths and `within` px."""
        reach = np.array([body.size[0] for body in self.scene.bodies])
        for one in some:
            offset = self.state[:, [one], :2] - self.state[:, list(others), :2]
            if (np.hypot(offset[..., 0], offset[..., 1]) < reach[one] + reach[list(others)] + within).any():
                return True
        return False

    def distance(self, x: float, y: float) -> NDArray[np.float64]:
        """(T + 1, N) from a point, frame 0 first."""
        offset = np.concatenate([self.start[None], self.state])[..., :2] - np.array([x, y])
        return np.asarray(np.hypot(offset[..., 0], offset[..., 1]))

    def kicked(self, by: float, who: Who = None) -> NDArray[np.bool_]:
        """(N,) which bodies have had their velocity changed within a frame by more than gravity does and `by` px/s."""
        velocity = np.concatenate([self.start[None], self.state])[:, _which(who), 3:5]
        change = np.diff(velocity, axis=0) - np.array(self.scene.gravity) / 60
        return np.asarray((np.hypot(change[..., 0], change[..., 1]) > by).any(axis=0))


def _which(who: Who) -> Any:
    return slice(None) if who is None else who if isinstance(who, slice) else list(who)

"""Where items touch or are tied, as scalar constraints on their velocities."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from emulant.systems.scenes.geometry import Shapes, points, touch
from emulant.systems.scenes.graph.flat import Flat

REACH = 2.0
"""px beyond what a frame's motion can close: what else counts as near."""


class Rows(NamedTuple):
    """Scalar constraints: the rate of row r is ja · velocity[a] + jb · velocity[b]."""

    a: Tensor
    """(R,) items"""
    b: Tensor
    ja: Tensor
    """(R, 3)"""
    jb: Tensor

    def rate(self, velocity: Tensor) -> Tensor:
        return (self.ja * velocity[self.a]).sum(1) + (self.jb * velocity[self.b]).sum(1)

    def kick(self, impulse: Tensor, inverse: Tensor) -> Tensor:
        """(I, 3) change of velocity by impulses (R,)."""
        change = torch.zeros_like(inverse)
        change.index_add_(0, self.a, self.ja * impulse[:, None])
        change.index_add_(0, self.b, self.jb * impulse[:, None])
        return change * inverse


class Contacts(NamedTuple):
    """K points at which two items are near; a from, b to."""

    a: Tensor
    b: Tensor
    normal: Tensor
    """(K, 2) unit, from a to b"""
    arm_a: Tensor
    """(K, 2) from the centre of a to the point, px"""
    arm_b: Tensor
    gap: Tensor
    """(K,) px"""

    def rows(self) -> tuple[Rows, Rows]:
        """Along the normal (positive: parting) and along the tangent (the normal turned left)."""
        n = self.normal
        t = torch.stack([-n[:, 1], n[:, 0]], dim=1)
        return self._along(n), self._along(t)

    def _along(self, way: Tensor) -> Rows:
        return Rows(self.a, self.b, _row(-way, self.arm_a), _row(way, self.arm_b))


def _row(way: Tensor, arm: Tensor) -> Tensor:
    return torch.cat([way, (arm[:, 0] * way[:, 1] - arm[:, 1] * way[:, 0])[:, None]], dim=1)


class Near(NamedTuple):
    """The pairs that may touch within the frame."""

    a: Tensor
    b: Tensor
    second: Tensor
    """The numbers of those of them that can touch in two points."""
    points: Tensor
    """(K,) for each contact of theirs, its place among the 2 P that all pairs together can have."""


def items(flat: Flat, pose: Tensor) -> Tensor:
    """(I, 3): the bodies' poses and those of what does not move."""
    return torch.cat([pose, flat.fixed.to(pose.dtype)])


def near(flat: Flat, before: Tensor, after: Tensor) -> Near:
    """The pairs whose boxes overlap while items go from (I, 3) `before` to `after`, or all but."""
    half = 0.5 * (after - before)[:, :2]
    middle = before[:, :2] + half
    reach = _extent(flat, before[:, 2]).maximum(_extent(flat, after[:, 2])) + half.abs() + 0.5 * REACH
    a, b = flat.pairs
    close = ((middle[a] - middle[b]).abs() < reach[a] + reach[b]).all(1)
    a, b, place = a[close], b[close], close.nonzero()[:, 0]
    wide = (flat.core.amax(1) > 0)[a] & (flat.core.amax(1) > 0)[b]
    second = wide.nonzero()[:, 0]
    return Near(a, b, second, torch.cat([place, flat.pairs.shape[1] + place[second]]))


def _extent(flat: Flat, angle: Tensor) -> Tensor:
    """(I, 2) half extents along x and y."""
    cos, sin = angle.cos().abs(), angle.sin().abs()
    w, h = flat.core.unbind(1)
    return torch.stack([w * cos + h * sin, w * sin + h * cos], dim=1) + flat.radius[:, None]


def contacts(flat: Flat, pose: Tensor, pairs: Near) -> Contacts:
    """The contact points of pairs at poses (I, 3)."""
    cos, sin = pose[:, 2].cos(), pose[:, 2].sin()

    def shapes(index: Tensor, origin: Tensor) -> Shapes:
        (x, y), (width, height) = (pose[index, :2] - origin).T, flat.core[index].T
        return Shapes(x, y, cos[index], sin[index], width, height, flat.radius[index])

    centre = pose[pairs.a, :2]
    one, other = shapes(pairs.a, centre), shapes(pairs.b, centre)
    found = touch(one, other, torch)
    low, high = points(one, other, found, torch)
    second, way = pairs.second, torch.stack([other.x, other.y], dim=1)
    arm = torch.cat([torch.stack([low.x, low.y], dim=1), torch.stack([high.x, high.y], dim=1)[second]])
    normal = torch.stack([found.nx, found.ny], dim=1)
    return Contacts(
        torch.cat([pairs.a, pairs.a[second]]),
        torch.cat([pairs.b, pairs.b[second]]),
        torch.cat([normal, normal[second]]),
        arm,
        arm - torch.cat([way, way[second]]),
        torch.cat([low.gap, high.gap[second]]),
    )


def joint_rows(flat: Flat, pose: Tensor) -> tuple[Rows, Tensor]:
    """(2 J) rows and how far each is out, px. A pin has one row, and an empty one."""
    a, b = flat.joints
    arm_a, arm_b = (_turned(flat.anchors[side], pose[index, 2]) for side, index in enumerate((a, b)))
    way = pose[b, :2] + arm_b - pose[a, :2] - arm_a
    length = way.norm(dim=1).clamp_min(1e-6)
    pin = flat.pin[:, None]
    first = torch.where(pin, way / length[:, None], way.new_tensor([1.0, 0.0]))
    second = torch.where(pin, 0.0, way.new_tensor([0.0, 1.0]))
    out = torch.cat([torch.where(flat.pin, length - flat.distance, way[:, 0]), torch.where(flat.pin, 0.0, way[:, 1])])
    rows = [Rows(a, b, _row(-axis, arm_a), _row(axis, arm_b)) for axis in (first, second)]
    return joined(*rows), out


def joined(*rows: Rows) -> Rows:
    return Rows(*(torch.cat(parts) for parts in zip(*rows, strict=True)))


def _turned(vector: Tensor, angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * vector[:, 0] - sin * vector[:, 1], sin * vector[:, 0] + cos * vector[:, 1]], dim=1)

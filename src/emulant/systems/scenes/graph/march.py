"""A frame of a scene by known laws: free flight as the engine has it, and a coarse solver of contacts and joints.

Order inside a step h, as in the engine: attractions kick, positions move with the old velocities, what touches is
found, gravity kicks, impulses are solved for. The solver is projected Jacobi with split masses (Tonge, Benevolenski,
Voroshilov 2012) and Nesterov's momentum (Mazhar et al. 2015): unlike the engine's Gauss-Seidel it works on all
contacts of all scenes at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from emulant.systems.scenes.graph.constraints import Contacts, Rows, contacts, items, joined, joint_rows, near
from emulant.systems.scenes.graph.flat import Flat
from emulant.systems.scenes.scene import STEP, Engine

_ENGINE = Engine()
SLOP, BIAS = _ENGINE.collision_slop, _ENGINE.collision_bias
"""px of overlap that the engine bears, and the share of the rest (and of a joint's stretch) that is left after 1 s."""


COLD = 3
"""The first step of a frame has so many times the iterations of the others: other things touch than before."""


class Memory(NamedTuple):
    """The impulses of a frame's last step, where the next frame begins, as in the engine. Stacks need it: what holds a
    tower up is not found in a few iterations."""

    contacts: Tensor
    """(2, 2 P) along normal and tangent, of all contacts that all pairs together can have."""
    joints: Tensor
    """(2 J,)"""


class Marched(NamedTuple):
    """What came of a frame."""

    pose: Tensor
    """(B, 3) x, y, angle"""
    velocity: Tensor
    """(B, 3)"""
    contacts: Contacts
    """As they were when their impulse was largest."""
    impulse: Tensor
    """(K, 2) over the frame, along normal and tangent"""
    joints: Rows
    """(2 J) at the end; the first J along the pin or x, the others along y (nothing of a pin)."""
    joint_impulse: Tensor
    """(2 J,)"""
    memory: Memory


def pulls(flat: Flat, pose: Tensor) -> Tensor:
    """(B, 2) accelerations by central and mutual forces; `pose` is (I, 3)."""
    i, j = flat.attractions
    r = pose[i, :2] - pose[j, :2]
    square = (r * r).sum(1) + flat.softening
    found = torch.zeros(flat.bodies, 2, dtype=pose.dtype, device=pose.device)
    return found.index_add_(0, i, -(flat.strength / (square * square.sqrt()))[:, None] * r)


def flight(flat: Flat, pose: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
    """A frame of free flight: (B, 3) poses and velocities."""
    if flat.attractions.shape[1]:
        steps = int(flat.substeps.max())
        for _ in range(steps):
            velocity = _kicked(velocity, pulls(flat, items(flat, pose)) * (STEP / steps))
            pose = pose + velocity * (STEP / steps)
            velocity = _kicked(velocity, flat.gravity * (STEP / steps))
        return pose, velocity
    fall = 0.5 * STEP**2 * (1 - 1 / flat.substeps) * flat.gravity
    return pose + STEP * velocity + pad(fall, (0, 1)), _kicked(velocity, STEP * flat.gravity)


def _drifted(flat: Flat, pose: Tensor, velocity: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """Poses after a step with the old velocities; attractions kick as often in it as the engine has substeps."""
    parts = max(1, round(int(flat.substeps.max()) * h / STEP)) if flat.attractions.shape[1] else 1
    for _ in range(parts):
        velocity = _kicked(velocity, pulls(flat, items(flat, pose)) * (h / parts))
        pose = pose + velocity * (h / parts)
    return pose, velocity


def _kicked(velocity: Tensor, kick: Tensor) -> Tensor:
    return velocity + pad(kick, (0, 1))


@torch.no_grad()
def march(
    flat: Flat, pose: Tensor, velocity: Tensor, steps: int, iterations: int, memory: Memory | None = None
) -> Marched:
    """One frame from (B, 3) poses and velocities, in `steps` steps of so many `iterations`; not differentiated.

    Args:
        flat: The scenes.
        pose: Where the frame begins.
        velocity: The same.
        steps: In the frame.
        iterations: In each of them but the first, which has `COLD` times as many.
        memory: Of the frame before; None: no impulse is known yet.
    """
    h, bodies = STEP / steps, flat.bodies
    fall = pad(0.5 * h * h * (1 - steps / flat.substeps) * flat.gravity, (0, 1))
    pairs = near(flat, items(flat, pose), items(flat, flight(flat, pose, velocity)[0]))
    solver: _Solver | None = None
    for step in range(steps):
        pose, velocity = _drifted(flat, pose, velocity, h)
        found = contacts(flat, items(flat, pose), pairs)
        solver = solver or _Solver(flat, found, pairs.points, memory)
        solver.meet(found, *joint_rows(flat, items(flat, pose)), h)
        pose = pose + torch.where(solver.load[:bodies, None] > 0, 0.0, fall)
        before = _still(flat, velocity)
        fallen = _still(flat, _kicked(velocity, h * flat.gravity))
        velocity = solver.solve(before, fallen, iterations if step else COLD * iterations)[:bodies]
        pose = pose + solver.push(h)[:bodies]
    assert solver is not None
    strongest, total, joints, joint_total = solver.strongest, solver.total, solver.joints, solver.joint_total
    return Marched(pose, velocity, strongest, total, joints, joint_total, solver.memory())


def _still(flat: Flat, velocity: Tensor) -> Tensor:
    return pad(velocity, (0, 0, 0, len(flat.fixed)))


class _Solver:
    """The impulses of one frame; those of a step are where the next one begins, those of a frame as well."""

    def __init__(self, flat: Flat, first: Contacts, places: Tensor, memory: Memory | None) -> None:
        a, b = first.a, first.b
        self.flat, self.count, self.places = flat, len(a), places
        self.friction = flat.friction[a] * flat.friction[b]
        self.elasticity = flat.elasticity[a] * flat.elasticity[b]
        self.surface = flat.surface[b] - flat.surface[a]
        memory = memory or self._blank()
        self.impulse = torch.cat([*memory.contacts[:, places], memory.joints])
        self.strongest, self.peak = first, first.gap.new_full((self.count,), -1.0)
        self.total = first.gap.new_zeros(self.count, 2)
        self.joint_total = first.gap.new_zeros(2 * flat.joints.shape[1])

    def meet(self, found: Contacts, joints: Rows, stretch: Tensor, h: float) -> None:
        """What the next `solve` is about."""
        self.found, self.joints, self.touching = found, joints, found.gap <= 0
        normal, tangent = found.rows()
        self.normal, self.rows = normal, joined(normal, tangent, joints)
        share = torch.cat([self.touching.to(found.gap.dtype), torch.ones_like(stretch[: len(stretch) // 2])])
        ends = torch.cat([torch.stack([found.a, found.b]), self.flat.joints], dim=1)
        self.load = torch.zeros(len(self.flat.inverse), dtype=share.dtype, device=share.device)
        self.load.index_add_(0, ends[0], share).index_add_(0, ends[1], share)
        self.step = 1 / self._split(self.rows).clamp_min(1e-12)
        self.step[2 * self.count :][(joints.ja.abs().sum(1) == 0)] = 0.0
        drift = (self.surface * tangent.jb[:, :2]).sum(1)
        self.target = torch.cat([torch.zeros_like(drift), -drift, -stretch * ((1 - BIAS**h) / h)])

    def _blank(self) -> Memory:
        empty = self.flat.inverse.new_zeros
        return Memory(empty(2, 2 * self.flat.pairs.shape[1]), empty(2 * self.flat.joints.shape[1]))

    def memory(self) -> Memory:
        """The impulses of the last step."""
        contacts, joints = self._blank()
        contacts[:, self.places] = self.impulse[: 2 * self.count].reshape(2, -1)
        return Memory(contacts, joints + self.impulse[2 * self.count :])

    def solve(self, before: Tensor, velocity: Tensor, iterations: int) -> Tensor:
        """(I, 3) velocities after the impulses; bounces go by the approach `before` gravity's kick."""
        approach = self.normal.rate(before).clamp_max(0.0)
        target = torch.cat([-self.elasticity * approach, self.target[self.count :]])
        now = ahead = self._allowed(self.impulse)
        momentum = 1.0
        for _ in range(iterations):
            rate = self.rows.rate(velocity + self.rows.kick(ahead, self.flat.inverse))
            then, now = now, self._allowed(ahead - (rate - target) * self.step)
            further = 0.5 + (0.25 + momentum**2) ** 0.5
            ahead, momentum = now + (momentum - 1) / further * (now - then), further
        self._remember(now)
        return velocity + self.rows.kick(now, self.flat.inverse)

    def push(self, h: float) -> Tensor:
        """(I, 3) px, rad: a share of what overlaps is taken back."""
        depth = torch.where(self.touching, (-self.found.gap - SLOP).clamp_min(0.0), 0.0) * (1 - BIAS**h)
        return self.normal.kick(depth * self.step[: self.count], self.flat.inverse)

    def _split(self, rows: Rows) -> Tensor:
        """(R,) what an impulse changes a row's rate by, if each item gives every contact an equal part of its mass."""
        inverse, load = self.flat.inverse, self.load
        one = (rows.ja**2 * inverse[rows.a]).sum(1) * load[rows.a]
        return one + (rows.jb**2 * inverse[rows.b]).sum(1) * load[rows.b]

    def _allowed(self, impulse: Tensor) -> Tensor:
        """Normal impulses push, tangential ones stay within Coulomb's cone, what does not touch has none."""
        normal, tangent, joints = impulse.tensor_split([self.count, 2 * self.count])
        normal = torch.where(self.touching, normal.clamp_min(0.0), 0.0)
        bound = self.friction * normal
        return torch.cat([normal, torch.minimum(torch.maximum(tangent, -bound), bound), joints])

    def _remember(self, impulse: Tensor) -> None:
        self.impulse = impulse
        normal, tangent = impulse[: self.count], impulse[self.count : 2 * self.count]
        self.total = self.total + torch.stack([normal, tangent], dim=1)
        self.joint_total = self.joint_total + impulse[2 * self.count :]
        stronger = normal > self.peak
        self.peak = torch.maximum(normal, self.peak)
        kept = [
            torch.where(stronger if new.ndim == 1 else stronger[:, None], new, old)
            for new, old in zip(self.found, self.strongest, strict=True)
        ]
        self.strongest = Contacts(*kept)

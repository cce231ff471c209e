"""One frame of the contact graph: what it starts from, the graph of what is near, and what the network adds."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from emulant.systems.scenes.graph.constraints import Contacts, Rows, contacts, items, joint_rows, near
from emulant.systems.scenes.graph.flat import Flat
from emulant.systems.scenes.graph.march import Memory, flight, march
from emulant.systems.scenes.graph.network import Edges, Motion
from emulant.systems.scenes.graph.table import ContactGraphTable

LIVELY = 30.0
"""px/s between two items, from which on a network is listened to."""


class Frame(NamedTuple):
    """A frame that was computed."""

    state: Tensor
    """(B, 6)"""
    memory: Memory | None
    """What the solver takes along into the next one."""


def step(
    network: nn.Module | None, flat: Flat, state: Tensor, table: ContactGraphTable, memory: Memory | None = None
) -> Frame:
    """States (B, 6) one frame on; without a network, what it would start from."""
    with torch.no_grad():
        state = state.detach()
        flown = torch.cat(flight(flat, state[:, :3], state[:, 3:]), dim=1)
        if table.start == "flight":
            guess, edges = _flown(flat, state, flown)
        else:
            guess, edges, memory = _solved(flat, state, table, memory)
        if network is None or not len(edges.gap):
            return Frame(guess, memory)
        velocities = (_still(flat, each[:, 3:]) for each in (state, flown, guess))
    pose, velocity = network(flat, edges, Motion(*velocities))
    return Frame(guess + torch.cat([pose, velocity], dim=1)[: flat.bodies], memory)


def _flown(flat: Flat, state: Tensor, flown: Tensor) -> tuple[Tensor, Edges]:
    """Free flight, and the graph where the frame begins."""
    before = items(flat, state[:, :3])
    found = contacts(flat, before, near(flat, before, items(flat, flown[:, :3])))
    rows, stretch = joint_rows(flat, before)
    blank = found.gap.new_zeros(len(found.gap) + flat.joints.shape[1], 2)
    return flown, _edges(flat, found, rows, stretch, blank, torch.ones_like(blank[:, 0]))


def _solved(flat: Flat, state: Tensor, table: ContactGraphTable, memory: Memory | None) -> tuple[Tensor, Edges, Memory]:
    """The analytic solution, the graph where its impulses were largest, and what is remembered of them."""
    found = march(flat, state[:, :3], state[:, 3:], table.guess.steps, table.guess.iterations, memory)
    impulse = torch.cat([found.impulse, found.joint_impulse.reshape(2, -1).T])
    _, stretch = joint_rows(flat, items(flat, found.pose))
    ends = torch.cat([torch.stack([found.contacts.a, found.contacts.b]), flat.joints], dim=1)
    room = _liveliness(flat, ends, _still(flat, state[:, 3:]))
    edges = _edges(flat, found.contacts, found.joints, stretch, impulse, room)
    return torch.cat([found.pose, found.velocity], dim=1), edges, found.memory


def _liveliness(flat: Flat, ends: Tensor, velocity: Tensor) -> Tensor:
    """(E,) 0 where two items rest on each other, 1 where they move: what stands is the solver's, and it holds it."""
    a, b = ends
    apart = velocity[a] - velocity[b]
    rim = flat.radius + flat.core.amax(1)
    turning = (velocity[a, 2].abs() * rim[a]).maximum(velocity[b, 2].abs() * rim[b])
    speed = apart[:, :2].norm(dim=1) + turning
    share: Tensor = speed**2 / (speed**2 + LIVELY**2)
    return share


def _edges(flat: Flat, found: Contacts, joints: Rows, stretch: Tensor, impulse: Tensor, room: Tensor) -> Edges:
    normal, tangent = found.rows()
    count, ties = len(found.gap), flat.joints.shape[1]
    first, second = (Rows(*(part[i * ties : (i + 1) * ties] for part in joints)) for i in (0, 1))
    drift = ((flat.surface[found.b] - flat.surface[found.a]) * tangent.jb[:, :2]).sum(1)
    kind = torch.cat([stretch.new_zeros(count, dtype=torch.long), 2 - flat.pin.long()])
    return Edges(
        Rows(*(torch.cat(parts) for parts in zip(normal, first, strict=True))),
        Rows(*(torch.cat(parts) for parts in zip(tangent, second, strict=True))),
        torch.cat([found.gap, stretch[:ties]]),
        one_hot(kind, 3).to(stretch.dtype),
        pad(flat.elasticity[found.a] * flat.elasticity[found.b], (0, ties)),
        pad(flat.friction[found.a] * flat.friction[found.b], (0, ties)),
        pad(drift, (0, ties)),
        impulse,
        room,
    )


def _still(flat: Flat, velocity: Tensor) -> Tensor:
    return pad(velocity, (0, 0, 0, len(flat.fixed)))

"""The network of the contact graph: which impulses act at contacts and joints in a frame.

It sees no direction and no place, only what is the same in every frame of reference: gaps, rates along normal and
tangent, arms, masses in proportion. What it puts out are coefficients of velocities that physics offers (the rate to
be stopped, the gap to be closed, the guess), so that one rule serves a pebble and a wrecking ball. Impulses act with
opposite signs on both sides: momentum is kept whatever the weights. The last layer begins at zero, so that an
untrained network is what it starts from.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from emulant.systems.scenes.graph.constraints import Rows
from emulant.systems.scenes.graph.flat import Flat
from emulant.systems.scenes.scene import STEP

NODE_FEATURES, EDGE_FEATURES, BASIS = 10, 29, 8
SPEED, LENGTH = 10.0, 20.0
"""px/s, px: scales of the features."""


class Edges(NamedTuple):
    """E contacts and joints, each with a row along its normal and one along its tangent."""

    normal: Rows
    tangent: Rows
    gap: Tensor
    """(E,) px; of a joint, its stretch"""
    kind: Tensor
    """(E, 3) one-hot: contact, pin, pivot"""
    elasticity: Tensor
    """(E,) of the pair"""
    friction: Tensor
    drift: Tensor
    """(E,) px/s by which the second surface itself moves along the tangent, beyond the first"""
    impulse: Tensor
    """(E, 2) the guess, along normal and tangent"""
    room: Tensor
    """(E,) 0 to 1: how far the network may move what it starts from"""


class Motion(NamedTuple):
    """(I, 3) velocities before the frame, after free flight, and as guessed."""

    before: Tensor
    flight: Tensor
    guess: Tensor


class ContactNetwork(nn.Module):
    """Messages over a graph of items."""

    def __init__(self, width: int, rounds: int) -> None:
        super().__init__()
        self.enter_node = nn.Sequential(nn.Linear(NODE_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.enter_edge = nn.Sequential(nn.Linear(EDGE_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.rounds = nn.ModuleList(_Round(width) for _ in range(rounds))
        last = nn.Linear(width, 4 * BASIS)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.leave = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)

    def forward(self, flat: Flat, edges: Edges, motion: Motion) -> tuple[Tensor, Tensor]:
        """(I, 3) changes of pose and of velocity that are to be added to the guess."""
        mass = torch.stack([_effective(rows, flat.inverse) for rows in (edges.normal, edges.tangent)], dim=1)
        features, basis = _edge_features(flat, edges, motion, mass)
        node, edge = self.enter_node(_node_features(flat, motion)), self.enter_edge(features)
        a, b = edges.normal.a, edges.normal.b
        moving = flat.inverse[:, :1] > 0
        for each in self.rounds:
            node, edge = each(node, edge, a, b, moving)
        coefficients = self.leave(edge).reshape(-1, 4, BASIS)
        change = (coefficients * basis[:, None]).sum(2).reshape(-1, 2, 2) * (edges.room[:, None] * mass)[:, None]
        pose, velocity = (
            edges.normal.kick(part[:, 0], flat.inverse) + edges.tangent.kick(part[:, 1], flat.inverse)
            for part in change.unbind(1)
        )
        return pose * STEP, velocity


class _Round(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.from_edge, self.from_ends = nn.Linear(width, width), nn.Linear(width, 2 * width, bias=False)
        self.to_edge = nn.Linear(width, width)
        self.to_node = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, node: Tensor, edge: Tensor, a: Tensor, b: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        ends = self.from_ends(layer_norm(node, (self.width,)))  # once per item, not once per edge
        hidden = self.from_edge(layer_norm(edge, (self.width,)))
        message = self.to_edge(silu(hidden + ends[a, : self.width] + ends[b, self.width :]))
        heard = node.new_zeros(2, *node.shape)
        heard[0] = heard[0].index_add(0, a, message)
        heard[1] = heard[1].index_add(0, b, message)
        update = self.to_node(torch.cat([layer_norm(node, (self.width,)), heard[0], heard[1]], dim=1))
        return node + torch.where(moving, update, 0.0), edge + message


def _effective(rows: Rows, inverse: Tensor) -> Tensor:
    """(E,) the mass that an impulse along a row meets; 0 of an empty row."""
    weight = (rows.ja**2 * inverse[rows.a] + rows.jb**2 * inverse[rows.b]).sum(1)
    return torch.where(weight > 0, 1 / weight.clamp_min(1e-12), 0.0)


def _node_features(flat: Flat, motion: Motion) -> Tensor:
    """(I, NODE_FEATURES)"""
    inverse = flat.inverse
    moving = (inverse[:, 0] > 0).to(inverse.dtype)
    gyration = torch.sqrt(inverse[:, 0] / inverse[:, 2].clamp_min(1e-12)) * moving
    speed = motion.flight[:, :2].norm(dim=1)
    gained = (motion.guess - motion.flight)[:, :2].norm(dim=1)
    columns = [
        moving,
        torch.log(inverse[:, 0].clamp_min(1e-3)) * moving,
        gyration / LENGTH,
        flat.radius / LENGTH,
        *(flat.core.clamp_max(100.0) / LENGTH).unbind(1),
        _compressed(speed),
        _compressed(motion.flight[:, 2].abs() * gyration),
        _compressed((motion.flight - motion.before)[:, :2].norm(dim=1)),
        _compressed(gained),
    ]
    return torch.stack(columns, dim=1)


def _edge_features(flat: Flat, edges: Edges, motion: Motion, mass: Tensor) -> tuple[Tensor, Tensor]:
    """(E, EDGE_FEATURES) and the velocities (E, BASIS), px/s, that impulses are made of."""
    normal, tangent = edges.normal, edges.tangent
    rates = [rows.rate(velocity) for velocity in motion for rows in (normal, tangent)]
    slip = rates[3] + edges.drift
    guess = edges.impulse / mass.clamp_min(1e-9)
    closing = -rates[2] * STEP
    due = torch.where(closing > 1e-3, edges.gap / closing.clamp_min(1e-3), 2.0).clamp(-1.0, 2.0)
    opening = (edges.gap / STEP).clamp(-300.0, 300.0)
    shares = [
        (rows.ja**2 * flat.inverse[rows.a]).sum(1) * mass[:, i] for i, rows in enumerate((normal, tangent))
    ]  # how much of the motion is a's
    arms = [rows[:, 2] / LENGTH for rows in (normal.ja, normal.jb, tangent.ja, tangent.jb)]
    features = [
        torch.asinh(edges.gap),
        due,
        edges.elasticity,
        edges.friction,
        _compressed(edges.drift),
        _compressed(slip),
        *(_compressed(rate) for rate in rates),
        *(_compressed(rates[i + 2] - rates[i]) for i in (0, 1)),
        *_compressed(guess).unbind(1),
        *shares,
        *arms,
        torch.log(mass[:, 0].clamp_min(1e-3)),
        *edges.kind.unbind(1),
        (flat.inverse[normal.b, 0] == 0).to(edges.gap.dtype),
        *((flat.core[index].amax(1) == 0).to(edges.gap.dtype) for index in (normal.a, normal.b)),
    ]
    basis = [torch.full_like(edges.gap, SPEED), opening, rates[0], rates[2], rates[4], slip, *guess.unbind(1)]
    return torch.stack(features, dim=1), torch.stack(basis, dim=1)


def _compressed(speed: Tensor) -> Tensor:
    return torch.asinh(speed / SPEED)

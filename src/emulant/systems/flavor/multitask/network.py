"""The network: invariants of the four-fluxes in; a stability logit, a log growth rate and two transfer matrices out."""

from __future__ import annotations

import itertools
import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

LeptonNumber = Literal["direct", "ymatrix", "none"]


class Answer(NamedTuple):
    """What the network says of cells."""

    logit: Tensor
    """(C,): stable if above 0."""
    log_growth: Tensor
    """(C,): ln of the growth rate over K n_tot."""
    densities: Tensor
    """(C, S, S): y from species to species, S = 2 NF, neutrinos first."""
    fluxes: Tensor
    """(C, S, S)."""


def invariants(f4: Tensor) -> Tensor:
    """(C, S(S+1)/2 + S) of four-fluxes (C, 4, 2, NF), n_tot = 1: Minkowski products of all pairs, and u·F = -n.

    The metric is (+, +, +, -) and u = (0, 0, 0, 1) the observer: nothing of it changes when a cell is turned.
    """
    species = f4.flatten(2).transpose(1, 2)
    signed = species * species.new_tensor([1.0, 1.0, 1.0, -1.0])
    products = torch.matmul(signed, species.transpose(1, 2))
    count = species.shape[1]
    upper = torch.cat([products[:, i, i:] for i in range(count)], dim=1)
    return torch.cat([upper, -species[:, :, 3]], dim=1)


class MultitaskNetwork(nn.Module):
    """Trunk of two hidden layers, four heads of three."""

    def __init__(self, flavors: int, width: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.species = 2 * flavors
        inputs = self.species * (self.species + 1) // 2 + self.species
        self.trunk = nn.Sequential(*_hidden([inputs, width, width], dropout))
        matrix = self.species**2
        self.stability, self.growth, self.densities, self.fluxes = (
            nn.Sequential(*_hidden([width, *[head_width] * 3], dropout), nn.Linear(head_width, outputs))
            for outputs in (1, 1, matrix, matrix)
        )
        self.task_weights = nn.Parameter(torch.zeros(6))
        """s of every task, for `learn_task_weights`."""

    def forward(self, f4: Tensor) -> Answer:
        """Of four-fluxes (C, 4, 2, NF), n_tot = 1."""
        seen = self.trunk(invariants(f4))
        shape = (-1, self.species, self.species)
        matrices = self.densities(seen).reshape(shape), self.fluxes(seen).reshape(shape)
        return Answer(self.stability(seen)[:, 0], self.growth(seen)[:, 0], *matrices)


def _hidden(widths: list[int], dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.LeakyReLU(), nn.Dropout(dropout)]
    return layers


class Transport(nn.Module):
    """Four-fluxes after the instability, from the transfer matrices; traces kept, and lepton number as asked."""

    def __init__(self, flavors: int, lepton_number: LeptonNumber, average_heavy: bool) -> None:
        super().__init__()
        self.flavors, self.lepton_number, self.average_heavy = flavors, lepton_number, average_heavy

    def forward(self, f4: Tensor, densities: Tensor, fluxes: Tensor) -> Tensor:
        """(C, 4, 2, NF) of the like, and matrices (C, S, S)."""
        species = f4.flatten(2)
        y_density, y_flux = self.conserving(densities.to(f4.dtype)), self.conserving(fluxes.to(f4.dtype))
        flux = torch.matmul(species[:, :3], y_flux.transpose(1, 2))
        density = torch.matmul(species[:, 3:], y_density.transpose(1, 2))
        final = torch.cat([flux, density], dim=1).reshape(-1, 4, 2, self.flavors)
        if self.average_heavy and self.flavors == 3:
            heavy = final[..., 1:].mean(dim=-1, keepdim=True)
            final = torch.cat([final[..., :1], heavy, heavy], dim=-1)
        return self._lepton_number_restored(f4, final) if self.lepton_number == "direct" else final

    def conserving(self, y: Tensor) -> Tensor:
        """Matrices whose columns keep the number of neutrinos, and of antineutrinos; with `ymatrix` lepton number too.

        y_(ia),(jb) += (δ_ij - Σ_a' y_(ia'),(jb)) / NF.
        """
        flavors, shape = self.flavors, (-1, 2, self.flavors, 2, self.flavors)
        blocks = y.reshape(shape)
        kept = torch.eye(2, dtype=y.dtype, device=y.device)[:, None, :, None]
        blocks = blocks + (kept - blocks.sum(dim=2, keepdim=True)) / flavors
        if self.lepton_number == "ymatrix":
            identity = torch.eye(2 * flavors, dtype=y.dtype, device=y.device).reshape(1, *shape[1:])
            excess = (blocks - identity)[:, :1] - (blocks - identity)[:, 1:]
            blocks = torch.cat([blocks[:, :1] - excess / 2, blocks[:, 1:] + excess / 2], dim=1)
        return blocks.reshape(-1, 2 * flavors, 2 * flavors)

    def _lepton_number_restored(self, f4: Tensor, final: Tensor) -> Tensor:
        """The densities with half of what every lepton number has gained taken from ν and given to ν̄."""
        excess = (final - f4)[:, 3:, :1] - (final - f4)[:, 3:, 1:]
        density = torch.cat([final[:, 3:, :1] - excess / 2, final[:, 3:, 1:] + excess / 2], dim=2)
        return torch.cat([final[:, :3], density], dim=1)


def entropy(share: float) -> float:
    """Of a label that is 1 in this share of the cases, in nats."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)

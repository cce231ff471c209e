"""How `mixing` learns: the two networks, their losses, and what is left of them on cells that they have not seen."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from emulant.dataset.seams import Array
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.crossings import Crossings
from emulant.systems.flavor.mixing.exchange import CORRECTIONS, assembled, balanced, moments, profile_q
from emulant.systems.flavor.mixing.prescription import rate
from emulant.systems.flavor.mixing.shapes import FEATURES as NAMES
from emulant.systems.flavor.mixing.shapes import Shapes
from emulant.training.batches import Batch

CROSSED, LABELS = len(fields(Crossings)), len(fields(Crossings)) + len(fields(Shapes))
"""A batch holds the fields of `Crossings`, those of `Shapes`, the changes of the four-fluxes, and of other cells scaled
features, rates and growth rates."""
FEATURES = LABELS - 1
"""The scaled features, the last field of `Shapes`."""
SMALL = 0.05
"""Of ln γ."""


class Layer(nn.Module):
    """A matrix (inputs, outputs) and a bias, as `networks.perceptron` wants them; `zero`: begins with both zero."""

    def __init__(self, inputs: int, outputs: int, zero: bool) -> None:
        super().__init__()
        spread = 0.0 if zero else inputs**-0.5
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * spread)
        self.bias = nn.Parameter(torch.zeros(outputs))


class MixingNetwork(nn.Module):
    """The two perceptrons; at the start the profile and K n_tot √(I+ I-) come out."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.mixing = _layers(width, depth, CORRECTIONS)
        self.growth = _layers(width, depth, 1)

    def layers(self, name: str) -> networks.Layers:
        """Of the perceptron `mixing` or `growth`."""
        return [(layer.weight, layer.bias) for layer in getattr(self, name)]


def _layers(width: int, depth: int, outputs: int) -> nn.ModuleList:
    widths = [len(NAMES), *[width] * depth, outputs]
    return nn.ModuleList(Layer(widths[i], widths[i + 1], zero=i == depth) for i in range(depth + 1))


@dataclass(frozen=True)
class Losses:
    """The two losses, each divided by what it is before anything is learned."""

    mixing_scale: float
    growth_scale: float
    flavors: int
    stiffness: float = 0.0
    """What a mean square correction of 1 costs in training: few cells do not pull far from the profile."""

    def __call__(self, module: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of the change of the four-fluxes, plus the error of ln γ."""
        mixing = self.of_mixing(module, batch) / self.mixing_scale
        growth = self.of_growth(module, batch) / self.growth_scale
        total = mixing + growth
        if module.training:
            features = batch[FEATURES]
            corrections = networks.corrections(features, cast(Any, module).layers("mixing"), torch)
            total = total + self.stiffness * (corrections * corrections).mean()
        return total, {"mixing": mixing, "growth": growth}

    def of_mixing(self, module: Any, batch: Batch) -> Tensor:
        """From crossings, shapes, scaled features and the change of the four-fluxes."""
        return nn.functional.mse_loss(predicted_change(module, batch, self.flavors), batch[LABELS])

    def of_growth(self, module: Any, batch: Batch) -> Tensor:
        """From scaled features, rates and growth rates."""
        features, rates, growth = batch[LABELS + 1 :]
        factor = networks.growth_factor(features, module.layers("growth"), torch)
        # few cells with the thinnest of crossings must not outweigh all others: beyond SMALL the error counts linearly
        error = torch.log(torch.amax(rates * factor, 1)) - torch.log(growth)
        return nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=SMALL)


def predicted_change(module: Any, batch: Batch, flavors: int) -> Tensor:
    """Of the four-fluxes (C, 4, 2, NF), n_tot = 1, from the crossings and shapes of a batch."""
    crossed, shape = Crossings(*batch[:CROSSED]), Shapes(*batch[CROSSED:LABELS])
    corrections = networks.corrections(shape.features, module.layers("mixing"), torch)
    q = balanced(shape, profile_q(shape, corrections, flavors, torch), flavors, torch)
    change: Tensor = assembled(moments(crossed, q, torch), flavors, torch)
    return change


@dataclass(frozen=True)
class Residuals:
    """What a network leaves of cells that it has not seen."""

    inputs: Array
    """(C, F): what the uncertainty is linear in; of several pairs the mean by their rates."""
    changes: Array
    """(C,): predicted rms change, in n_tot."""
    squares: Array
    """(C,): mean square error, in n_tot²."""


def residuals(module: Any, batch: Batch, flavors: int) -> Residuals:
    """Of the cells of a batch that change at all."""
    with torch.no_grad():
        change = predicted_change(module, batch, flavors)
    shares = rate(Crossings(*batch[:CROSSED]), torch)
    total = shares.sum(dim=1, keepdim=True)
    inputs = (shares[..., None] * batch[FEATURES].abs()).sum(dim=1) / total
    size, square = ((values**2).mean(dim=(1, 2, 3)) for values in (change, change - batch[LABELS]))
    good = (size > 0) & (total[:, 0] > 0)
    found = (inputs[good], size[good].sqrt(), square[good])
    return Residuals(*(np.asarray(array, dtype=float) for array in found))

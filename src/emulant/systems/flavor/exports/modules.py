"""Surrogates as torch modules from four-fluxes in 1/cm³ to all targets: what is traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emulant.errors import UsageError
from emulant.systems.flavor.mixing.networks import Networks, predict


class MixingInference(nn.Module):
    """`mixing` with its weights in float64."""

    def __init__(self, weights: Networks, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.weights = Networks(
            _constant(weights.mean),
            _constant(weights.deviation),
            _constant(weights.lowest),
            _constant(weights.highest),
            [_pair(layer) for layer in weights.mixing],
            [_pair(layer) for layer in weights.growth],
            _constant(weights.uncertainty),
        )

    def forward(self, f4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(C, 4, 2, NF) -> the same after the instability, growth rates in 1/s (C,), stability (C,)."""
        found = predict(f4, self.weights, self.grid, torch).outcome
        return found.final, found.growth, found.stable


def _pair(layer: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    return _constant(layer[0]), _constant(layer[1])


def _constant(array: Any) -> Tensor:
    """Infinite bounds become the largest numbers: runtimes differ in what they make of a constant inf."""
    return torch.from_numpy(np.clip(np.asarray(array, dtype=float), -np.finfo(float).max, np.finfo(float).max))


def module_of(model: Any) -> nn.Module:
    """The module of a trained surrogate.

    Raises:
        UsageError: It is none that can be traced.
        SurrogateError: It is not fitted.
    """
    if hasattr(model, "networks"):
        return MixingInference(model.networks(), model.grid).eval()
    if hasattr(model, "inference"):
        inference: nn.Module = model.inference().eval()
        return inference
    raise UsageError(f"{type(model).__name__}: has no weights to export.", "Export `mixing` or `multitask`.")

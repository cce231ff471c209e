"""What the trained forecasters share: a rollout is a map that is iterated, and a model is one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from emulant.dataset.seams import Array
from emulant.errors import SurrogateError
from emulant.surrogates.codes import Scales, StateCodes
from emulant.training.weights import Extras, read_weights, write_weights
from emulant.training.workshop import BEST, kept_epoch

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class Flow:
    """A rollout as the iteration of a map, for forecasts and for the map's own Lyapunov exponents."""

    state: Tensor
    """(C, S) float64: all that the map remembers, where the forecast begins."""
    step: Callable[[Tensor], Tensor]
    """(C, S) -> (C, S), one frame on; differentiable."""
    observe: Callable[[Tensor], Tensor]
    """(C, S) -> (C, F): what it says of the frame."""
    decode: Callable[[Array], Array] = lambda observed: observed
    """(C, H, F) observed -> (C, H, ...) frames of the target field."""

    def run(self, horizon: int) -> Array:
        """(C, horizon, F), what is observed after each step; inf from where it has left every bound."""
        state, seen = self.state, []
        with torch.no_grad():
            for _ in range(horizon):
                state = self.step(state)
                seen.append(self.observe(state))
        rollout = torch.stack(seen, dim=1).numpy()
        rollout[~np.isfinite(rollout)] = np.inf
        return rollout


def tensor(array: Array, dtype: torch.dtype = torch.float32) -> Tensor:
    """A copy."""
    return torch.tensor(np.ascontiguousarray(array), dtype=dtype)


def encode(codes: StateCodes, scales: Scales) -> Callable[[Tensor], Tensor]:
    """`codes.encode` and `scales` on float64 tensors (..., D) -> (..., F)."""
    mean, deviation = tensor(scales.mean, torch.float64), tensor(scales.deviation, torch.float64)
    periodic, straight = list(codes.periodic), codes.straight

    def encoded(states: Tensor) -> Tensor:
        angles = states[..., periodic]
        return (torch.cat([angles.sin(), angles.cos(), states[..., straight]], dim=-1) - mean) / deviation

    return encoded


def doubled(network: nn.Module, fresh: NetworkT) -> NetworkT:
    """`fresh`, of the same shape, with the weights of `network`: in float64, on the CPU, for rollouts."""
    fresh = fresh.double()
    fresh.load_state_dict({name: value.detach().cpu() for name, value in network.state_dict().items()})
    return fresh.eval().requires_grad_(False)


def write_network(folder: Path, network: nn.Module, extras: Extras) -> list[Path]:
    """`best.safetensors`: the weights, and in its header what is needed to build the network again.

    What the training loop has left there knows the epoch; it stays known.
    """
    epoch = kept_epoch(folder)
    about = extras.about if epoch is None else {**extras.about, "epoch": epoch}
    return [write_weights(folder / BEST, network.state_dict(), replace(extras, about=about))]


def read_network(folder: Path, build: Callable[[Extras], NetworkT]) -> tuple[NetworkT, Extras]:
    """The network of a folder and what is kept with it; `build` makes one of the shape that the extras tell.

    Raises:
        SurrogateError: The file is missing, damaged, or of another kind of surrogate.
    """
    weights, extras = read_weights(folder / BEST)
    try:
        network = build(extras)
        network.load_state_dict(weights, assign=True)  # in the precision that they were trained in
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        what = f"{folder / BEST}: is not of this kind of surrogate: {error}."
        raise SurrogateError(what, "Train the surrogate again.") from error
    return network.eval(), extras

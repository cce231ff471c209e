"""The two networks: one asked once for the mean, one that turns noise into draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.dataset.seams import Array, Fields
from emulant.surrogates.generative import FREQUENCIES, OBJECTIVES, Objective, time_features
from emulant.surrogates.networks import tensor
from emulant.systems.halos.painter import Painter
from emulant.systems.halos.sight import CHANNELS, DENSITY, OCCUPANCY, Sight
from emulant.systems.halos.tables import FlowTable, PainterTable, UNetTable
from emulant.training.batches import Batch, Loss

EMPTY = 0.05
"""What a pixel without stars counts in a flow's loss of their density, which nobody will see there."""


class UNetPainter(Painter):
    """One network, asked once: the mean in log space."""

    Config: ClassVar[type[PainterTable]] = UNetTable
    kind: ClassVar[str] = "unet"
    parts: ClassVar[Mapping[str, Literal["mean", "max"]]] = {"smooth": "mean", "stars": "mean", "occupancy": "mean"}

    def _network(self, sight: Sight) -> nn.Module:
        return self._unet(sight, 0, 0)

    def _batch(self, shown: Array, vector: Array, asked: Array, rng: np.random.Generator) -> Batch:
        return tensor(shown), tensor(vector), tensor(asked)

    @staticmethod
    def loss(network: nn.Module, batch: Batch) -> Loss:
        """Mean squares of dark matter, gas and, where there are some, stars; cross entropy of whether there are."""
        shown, vector, asked = batch
        found = network(shown, vector)
        occupied = (asked[:, OCCUPANCY] > 0).to(found.dtype)
        stars = ((found[:, DENSITY] - asked[:, DENSITY]).square() * occupied).sum() / occupied.sum().clamp_min(1)
        present = nn.functional.binary_cross_entropy_with_logits(found[:, OCCUPANCY], occupied)
        smooth = nn.functional.mse_loss(found[:, :2], asked[:, :2])
        return smooth + 0.5 * stars + present, {"smooth": smooth, "stars": stars, "occupancy": present}

    def _channels(self, network: nn.Module, shown: Tensor, vector: Tensor, noise: Tensor) -> Tensor:
        channels: Tensor = network(shown, vector)
        return channels

    def _paint(self, fields: Fields, samples: int, seed: int) -> NDArray[np.float32]:
        return super()._paint(fields, 1, seed)  # every draw would be the same


class FlowPainter(Painter):
    """Noise turned into maps in a few steps, each time into others."""

    Config: ClassVar[type[PainterTable]] = FlowTable
    kind: ClassVar[str] = "flow"
    parts: ClassVar[Mapping[str, Literal["mean", "max"]]] = {
        "dm": "mean",
        "gas": "mean",
        "stars": "mean",
        "occupancy": "mean",
    }

    @property
    def objective(self) -> Objective:
        return OBJECTIVES[self.config.objective]

    def _network(self, sight: Sight) -> nn.Module:
        return self._unet(sight, CHANNELS, 2 * FREQUENCIES)

    def _batch(self, shown: Array, vector: Array, asked: Array, rng: np.random.Generator) -> Batch:
        """Times are spread over the batch: one in each of as many equal parts of [0, 1]."""
        count = len(asked)
        time = tensor((rng.permutation(count) + rng.uniform(size=count)) / count)
        noise = tensor(rng.standard_normal(asked.shape, np.float32))
        state, answer = self.objective.pose(noise, tensor(asked), time)
        counts = np.ones_like(asked)
        counts[:, DENSITY] = np.where(asked[:, OCCUPANCY] > 0, 1.0, EMPTY)
        seen = torch.cat([tensor(shown), state], dim=1)
        return seen, torch.cat([tensor(vector), time_features(time)], dim=1), answer, tensor(counts)

    def in_steps(self, steps: int) -> FlowPainter:
        """The same painter, with so many steps from noise to a map."""
        other = FlowPainter(self.config.model_copy(update={"steps": steps}))
        other.model, other.background = self.model, self.background
        return other

    @staticmethod
    def loss(network: nn.Module, batch: Batch) -> Loss:
        """Mean square of the answer's error in each channel; a density counts where there are stars."""
        seen, vector, answer, counts = batch
        errors = counts * (network(seen, vector) - answer).square()
        each = errors.sum(dim=(0, 2, 3)) / counts.sum(dim=(0, 2, 3))
        return each.mean(), dict(zip(FlowPainter.parts, each, strict=True))

    def _channels(self, network: nn.Module, shown: Tensor, vector: Tensor, noise: Tensor) -> Tensor:
        def answer(state: Tensor, time: Tensor) -> Tensor:
            found: Tensor = network(torch.cat([shown, state], dim=1), torch.cat([vector, time_features(time)], dim=1))
            return found

        return self.objective.sample(answer, noise, self.config.steps, self.config.solver)

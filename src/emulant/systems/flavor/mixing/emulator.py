"""`mixing`: physical by construction, whatever it has learned; trained by the one loop, applied in numpy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from emulant.dataset.seams import Array, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.networks import read_network, tensor, write_network
from emulant.systems.flavor.fields import F4_INITIAL
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.calibration import fitted_uncertainty
from emulant.systems.flavor.mixing.crossings import Crossings
from emulant.systems.flavor.mixing.examples import Grown, Mixed, Scaling, grown, mixed, read
from emulant.systems.flavor.mixing.exchange import CORRECTIONS, assembled, balanced, moments, profile_q
from emulant.systems.flavor.mixing.networks import Networks, Prediction
from emulant.systems.flavor.mixing.prescription import Outcome
from emulant.systems.flavor.mixing.shapes import FEATURES, Shapes
from emulant.systems.flavor.prescriptions import CHUNK, targets
from emulant.systems.flavor.tables import MixingTable
from emulant.training.batches import Batch, TrainingData, shuffled
from emulant.training.process import initialised
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

CROSSED, SHAPED = len(fields(Crossings)), len(fields(Shapes))
SMALL = 0.05
"""Of ln γ."""
SHAPE = ("polar", "azimuthal", "width", "depth")


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
    widths = [len(FEATURES), *[width] * depth, outputs]
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
            features = batch[CROSSED + SHAPED - 1]  # the last field of `Shapes`
            corrections = networks.corrections(features, cast(Any, module).layers("mixing"), torch)
            total = total + self.stiffness * (corrections * corrections).mean()
        return total, {"mixing": mixing, "growth": growth}

    def of_mixing(self, module: Any, batch: Batch) -> Tensor:
        """From crossings, shapes, scaled features and the change of the four-fluxes."""
        crossed, shape = Crossings(*batch[:CROSSED]), Shapes(*batch[CROSSED : CROSSED + SHAPED])
        corrections = networks.corrections(shape.features, module.layers("mixing"), torch)
        q = balanced(shape, profile_q(shape, corrections, self.flavors, torch), self.flavors, torch)
        change = assembled(moments(crossed, q, torch), self.flavors, torch)
        return nn.functional.mse_loss(change, batch[CROSSED + SHAPED])

    def of_growth(self, module: Any, batch: Batch) -> Tensor:
        """From scaled features, rates and growth rates."""
        features, rates, growth = batch[CROSSED + SHAPED + 1 :]
        factor = networks.growth_factor(features, module.layers("growth"), torch)
        # few cells with the thinnest of crossings must not outweigh all others: beyond SMALL the error counts linearly
        error = torch.log(torch.amax(rates * factor, 1)) - torch.log(growth)
        return nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=SMALL)


class Mixing:
    """How far each direction mixes and how fast, learned as corrections to closed forms."""

    Config: ClassVar[type[MixingTable]] = MixingTable

    def __init__(self, config: MixingTable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.network: MixingNetwork | None = None
        self.arrays: dict[str, Array] = {}
        """`mean`, `deviation`, `lowest`, `highest`, `uncertainty`."""

    # -- training

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train both perceptrons, then the uncertainty on the residuals of the validation split.

        Raises:
            SurrogateError: No training cell has a final state or a growth rate, or the loss is not finite.
        """
        from emulant.training import loop

        table, seed = self.config.schedule(), self.workshop.seed
        first, second = self._examples(train)
        if not len(first.change) or not len(second.growth):
            raise SurrogateError(
                f"mixing: split `{train.split}` has {len(first.change)} unstable cells with a final state and "
                f"{len(second.growth)} with a growth rate; both are needed.",
                "Simulate more cells, or name asymptotic files under system.source.",
            )
        scaling = Scaling.of(second)
        self.arrays = {**vars(scaling), "uncertainty": np.zeros(len(FEATURES) + 1)}
        with initialised(seed):
            self.network = MixingNetwork(self.config.width, self.config.depth)
        batch = (*self._mixed_tensors(first), *self._grown_tensors(second))
        start = Losses(1.0, 1.0, first.change.shape[-1])
        with torch.no_grad():
            scales = start.of_mixing(self.network, batch), start.of_growth(self.network, batch)
        losses = replace(
            start,
            mixing_scale=max(float(scales[0]), 1e-12),
            growth_scale=max(float(scales[1]), 1e-12),
            stiffness=self.config.stiffness / len(first.change),
        )
        data = self._data(losses, batch, validation)
        loop.train(self.network, data, table, workshop=self.workshop, extras=self._extras())
        self.arrays["uncertainty"] = fitted_uncertainty(self, validation if validation is not None else train)

    def _examples(self, dataset: Dataset) -> tuple[Mixed, Grown]:
        start, final, growth = read(dataset)
        return mixed(start, final, self.grid, self.config.max_cells, self.workshop.seed), grown(
            start, growth, self.grid
        )

    def _mixed_tensors(self, examples: Mixed) -> Batch:
        shape = replace(examples.shape, features=self._scaled(examples.shape.features))
        arrays = [getattr(part, field.name) for part in (examples.crossed, shape) for field in fields(part)]
        return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in [*arrays, examples.change])

    def _grown_tensors(self, examples: Grown) -> Batch:
        return tuple(tensor(array) for array in (self._scaled(examples.features), examples.rates, examples.growth))

    def _scaled(self, features: Array) -> Array:
        scaled = (features - self.arrays["mean"]) / self.arrays["deviation"]
        return np.clip(scaled, -networks.LARGEST_FEATURE, networks.LARGEST_FEATURE).astype(np.float32)

    def _data(self, losses: Losses, batch: Batch, validation: Dataset | None) -> TrainingData:
        """Batches that each hold cells with a final state and, drawn apart, cells with a growth rate."""
        table, seed, split = self.config.schedule(), self.workshop.seed, CROSSED + SHAPED + 1
        counts = len(batch[0]), len(batch[-1])
        sizes = min(table.batch_size, counts[0]), min(self.config.growth_batch, counts[1])
        length = table.epoch_batches or max(counts[0] // sizes[0], 1)

        def batches(epoch: int) -> Any:
            draws = (shuffled(count, size, length, seed, epoch) for count, size in zip(counts, sizes, strict=True))
            for first, second in zip(*draws, strict=True):
                yield (*(part[first] for part in batch[:split]), *(part[second] for part in batch[split:]))

        held: list[Batch] = []
        if validation is not None:
            mixing, growing = self._examples(validation)
            if len(mixing.change) and len(growing.growth):
                held.append((*self._mixed_tensors(mixing), *self._grown_tensors(growing)))
        return TrainingData(losses, batches, length, held, {"mixing": "mean", "growth": "mean"})

    # -- use

    @property
    def grid(self) -> tuple[int, int]:
        return self.config.polar, self.config.azimuthal

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """All targets, one draw."""
        found = self.prediction(np.asarray(inputs.fields[F4_INITIAL], dtype=float)).outcome
        return targets(found.final, found.growth, found.stable)

    def prediction(self, f4: Array) -> Prediction:
        """Everything about cells (C, 4, 2, NF) in 1/cm³."""
        weights = self.networks()
        parts = [
            networks.predict(f4[first : first + CHUNK], weights, self.grid, np)
            for first in range(0, max(len(f4), 1), CHUNK)
        ]
        whole = {
            field.name: np.concatenate([getattr(part.outcome, field.name) for part in parts])
            for field in fields(Outcome)
        }
        return Prediction(Outcome(**whole), np.concatenate([part.uncertainty for part in parts]))

    def networks(self) -> Networks:
        """The weights in float64.

        Raises:
            SurrogateError: There are none yet.
        """
        if self.network is None:
            raise SurrogateError("mixing: is not fitted.", "Call `fit` or `load` first.")
        state = {name: value.detach().cpu().double().numpy() for name, value in self.network.state_dict().items()}
        return Networks.of(state | self.arrays)

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        self.networks()
        assert self.network is not None
        return write_network(folder, self.network, self._extras())

    @classmethod
    def load(cls, folder: Path, config: MixingTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or of another kind.
        """
        surrogate = cls(config)
        surrogate.network, extras = read_network(folder, surrogate._restored)
        surrogate.arrays = dict(extras.arrays)
        return surrogate

    def _extras(self) -> Extras:
        return Extras({"kind": "mixing", **{name: getattr(self.config, name) for name in SHAPE}}, self.arrays)

    def _restored(self, extras: Extras) -> MixingNetwork:
        self.config = self.config.model_copy(update={name: extras.about[name] for name in SHAPE})
        return MixingNetwork(self.config.width, self.config.depth)

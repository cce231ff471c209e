"""`mixing`: physical by construction, whatever it has learned; trained by the one loop, applied in numpy."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.networks import read_network, tensor, write_network
from emulant.systems.flavor.fields import F4_INITIAL
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.calibration import fitted_uncertainty
from emulant.systems.flavor.mixing.examples import Grown, Mixed, Scaling, grown, mixed, read
from emulant.systems.flavor.mixing.learning import LABELS, Losses, MixingNetwork, Residuals, residuals
from emulant.systems.flavor.mixing.networks import Networks, Prediction
from emulant.systems.flavor.mixing.prescription import Outcome
from emulant.systems.flavor.mixing.shapes import FEATURES
from emulant.systems.flavor.prescriptions import CHUNK, targets
from emulant.systems.flavor.tables import MixingTable
from emulant.training.batches import Batch, TrainingData, shuffled
from emulant.training.process import initialised
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

SHAPE = ("polar", "azimuthal", "width", "depth")
QUARTER = 0.25
"""Of the epochs: what the networks are trained for that see one half of the cells, and are judged by the other."""


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
        held = self._held(validation)
        data = self._data(losses, batch, held)
        loop.train(self.network, data, table, workshop=self.workshop, extras=self._extras())
        unseen = [residuals(self.network, each, losses.flavors) for each in held]
        self.arrays["uncertainty"] = fitted_uncertainty(self._of_halves(losses, batch), unseen)

    def _of_halves(self, losses: Losses, batch: Batch) -> list[Residuals]:
        """What is left of every training cell by a network that has seen the other half of them, for a while."""
        from emulant.training import loop

        table = self.config.schedule()
        table = table.model_copy(update={"max_epochs": max(1, round(QUARTER * table.max_epochs))})
        order, found = torch.arange(len(batch[0])), []
        for half in (0, 1) if len(order) > 1 else ():
            with initialised(self.workshop.seed):
                network = MixingNetwork(self.config.width, self.config.depth)
            own, other = (_cells(batch, order[order % 2 == side]) for side in (half, 1 - half))
            loop.train(network, self._data(losses, own, []), table, workshop=Workshop(seed=self.workshop.seed))
            found.append(residuals(network, other, losses.flavors))
        return found

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

    def _data(self, losses: Losses, batch: Batch, held: list[Batch]) -> TrainingData:
        """Batches that each hold cells with a final state and, drawn apart, cells with a growth rate."""
        table, seed, split = self.config.schedule(), self.workshop.seed, LABELS + 1
        counts = len(batch[0]), len(batch[-1])
        sizes = min(table.batch_size, counts[0]), min(self.config.growth_batch, counts[1])
        length = table.epoch_batches or max(counts[0] // sizes[0], 1)

        def batches(epoch: int) -> Any:
            draws = (shuffled(count, size, length, seed, epoch) for count, size in zip(counts, sizes, strict=True))
            for first, second in zip(*draws, strict=True):
                yield (*(part[first] for part in batch[:split]), *(part[second] for part in batch[split:]))

        return TrainingData(losses, batches, length, held, {"mixing": "mean", "growth": "mean"})

    def _held(self, validation: Dataset | None) -> list[Batch]:
        """The validation split as one batch, if it has cells for both networks."""
        if validation is None:
            return []
        mixing, growing = self._examples(validation)
        if not len(mixing.change) or not len(growing.growth):
            return []
        return [(*self._mixed_tensors(mixing), *self._grown_tensors(growing))]

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


def _cells(batch: Batch, rows: Tensor) -> Batch:
    """A batch with some of its cells with a final state, and all with a growth rate."""
    return (*(part[rows] for part in batch[: LABELS + 1]), *batch[LABELS + 1 :])

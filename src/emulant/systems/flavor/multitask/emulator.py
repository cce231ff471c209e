"""The surrogate of the source document, its training loop made right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Dataset
from emulant.dataset.seeds import stream
from emulant.errors import SurrogateError
from emulant.surrogates.networks import read_network, tensor, write_network
from emulant.systems.flavor.fields import COUPLING, F4_INITIAL, STABLE
from emulant.systems.flavor.mixing.examples import read
from emulant.systems.flavor.mixing.exchange import step_to_the_cone
from emulant.systems.flavor.multitask.losses import TASKS, Labels, TaskLosses, divisors
from emulant.systems.flavor.multitask.network import MultitaskNetwork, Transport
from emulant.systems.flavor.prescriptions import targets
from emulant.systems.flavor.tables import MultitaskTable
from emulant.training.batches import VALIDATION_ROWS, Batch, TrainingData
from emulant.training.process import initialised, threads
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

SHAPE = ("width", "head_width", "dropout", "lepton_number", "average_heavy", "physical")


class Multitask:
    """Stability, growth and transfer matrices from one network."""

    Config: ClassVar[type[MultitaskTable]] = MultitaskTable

    def __init__(self, config: MultitaskTable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.flavors = 0
        self.network: MultitaskNetwork | None = None

    # -- training

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on all labels that there are; a missing one is NaN and feeds nothing.

        Raises:
            SurrogateError: The loss is not finite.
        """
        from emulant.training import loop

        table, batch = self.config.schedule(), labels_of(train)
        self.flavors = int(batch[0].shape[-1])
        with initialised(self.workshop.seed):
            self.network = self._built(self.flavors)
        multipliers = {task: getattr(self.config, f"loss_multiplier_{task}") for task in TASKS}
        losses = TaskLosses(self.transport, divisors(Labels(*batch)), multipliers, self.config.learn_task_weights)
        count = self.config.epoch_num_samples or len(batch[0])
        size = min(table.batch_size, count)
        length = table.epoch_batches or max(count // size, 1)
        weights = source_weights(train)

        def batches(epoch: int) -> Iterator[Batch]:
            rng = stream(self.workshop.seed, "training", epoch)
            for _ in range(length):
                rows = torch.from_numpy(rng.choice(len(weights), size, p=weights))
                drawn = tuple(part[rows] for part in batch)
                yield permuted(drawn, rng) if self.config.augment_permutations else drawn

        held = labels_of(validation) if validation is not None else None
        parts = zip(*(torch.split(part, VALIDATION_ROWS) for part in held), strict=True) if held else ()
        data = TrainingData(losses, batches, length, tuple(parts), losses.parts())
        loop.train(self.network, data, table, workshop=self.workshop, extras=self._extras())

    def _built(self, flavors: int) -> MultitaskNetwork:
        return MultitaskNetwork(flavors, self.config.width, self.config.head_width, self.config.dropout)

    @property
    def transport(self) -> Transport:
        """From matrices to four-fluxes, as the study asks for it."""
        return Transport(self.flavors, self.config.lepton_number, self.config.average_heavy)

    # -- use

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """All targets, one draw."""
        final, growth, stable = self.outcome(np.asarray(inputs.fields[F4_INITIAL], dtype=float))
        return targets(final, growth, stable)

    def outcome(self, f4: Array) -> tuple[Array, Array, Array]:
        """Final four-fluxes (C, 4, 2, NF), growth rates in 1/s and stability of cells in 1/cm³.

        A cell that the network calls stable comes back as it is, with growth 0.
        """
        with torch.no_grad(), threads(1):
            final, growth, stable = Inference(self.trained(), self.transport, self.config.physical)(
                tensor(f4, torch.float64)
            )
        return final.numpy(), growth.numpy(), stable.numpy()

    def inference(self) -> Inference:
        """The way from four-fluxes in 1/cm³ to all targets, as one module."""
        return Inference(self.trained(), self.transport, self.config.physical)

    def trained(self) -> MultitaskNetwork:
        """The network.

        Raises:
            SurrogateError: There is none yet.
        """
        if self.network is None:
            raise SurrogateError("multitask: is not fitted.", "Call `fit` or `load` first.")
        return self.network.eval()

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        return write_network(folder, self.trained(), self._extras())

    @classmethod
    def load(cls, folder: Path, config: MultitaskTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or of another kind.
        """
        surrogate = cls(config)
        surrogate.network, _ = read_network(folder, surrogate._restored)
        return surrogate

    def _extras(self) -> Extras:
        shape = {name: getattr(self.config, name) for name in SHAPE}
        return Extras({"kind": "multitask", "flavors": self.flavors, **shape})

    def _restored(self, extras: Extras) -> MultitaskNetwork:
        self.config = self.config.model_copy(update={name: extras.about[name] for name in SHAPE})
        self.flavors = int(extras.about["flavors"])
        return self._built(self.flavors)


class Inference(torch.nn.Module):
    """From four-fluxes in 1/cm³ to everything, in float64 but for the network itself; what is exported, too."""

    def __init__(self, network: MultitaskNetwork, transport: Transport, physical: bool) -> None:
        super().__init__()
        self.network, self.transport, self.physical = network, transport, physical

    def forward(self, f4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(C, 4, 2, NF) -> the same after the instability, growth rates (C,), stability (C,)."""
        total = f4[:, 3].sum(dim=(1, 2))
        scale = torch.where(total > 0, total, torch.ones_like(total))
        scaled = f4 / scale[:, None, None, None]
        answer = self.network(scaled.float())
        stable = (answer.logit > 0) | (total <= 0)
        change = self.transport(scaled, answer.densities, answer.fluxes) - scaled
        if self.physical:
            t, _ = step_to_the_cone(scaled, change, torch)
            change = t[:, None, None, None] * change
        final = torch.where(stable[:, None, None, None], f4, f4 + scale[:, None, None, None] * change)
        growth = COUPLING * total * torch.exp(answer.log_growth.double())
        return final, torch.where(stable, torch.zeros_like(growth), growth), stable


# -- labels ---------------------------------------------------------------------------------------------------------


def labels_of(dataset: Dataset) -> Batch:
    """Start and end (C, 4, 2, NF) with n_tot = 1, γ / (K n_tot) and stability (C,), float32; NaN: no label."""
    start, final, growth = read(dataset)
    total = start[:, 3].sum(axis=(1, 2))
    scale = np.where(total > 0, total, 1.0)
    stable = dataset.read([STABLE])[STABLE]
    arrays = (
        start / scale[:, None, None, None],
        final / scale[:, None, None, None],
        growth / (COUPLING * scale),
        stable,
    )
    return tuple(tensor(array) for array in arrays)


def source_weights(dataset: Dataset) -> Array:
    """Probabilities of the rows: every source (file of the user's) as likely as any other."""
    cases = dataset.cases
    if "source" not in cases.columns:
        return np.full(len(dataset), 1.0 / len(dataset))
    _, inverse, counts = np.unique(cases["source"].to_numpy(), return_inverse=True, return_counts=True)
    weights: Array = 1.0 / (len(counts) * counts[inverse])
    return weights


def permuted(batch: Batch, rng: np.random.Generator) -> Batch:
    """A batch with matter and antimatter, and flavors, exchanged at random, alike in all of its cells."""
    start, final, growth, stable = batch
    flavors = start.shape[-1]
    matter, flavor = torch.from_numpy(rng.permutation(2)), torch.from_numpy(rng.permutation(flavors))
    return start[:, :, matter][..., flavor], final[:, :, matter][..., flavor], growth, stable

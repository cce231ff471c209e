"""What networks that paint dark matter, gas and stars into a dark-matter-only cutout have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.dataset.memory import Remembered
from emulant.dataset.seams import Array, Dataset, Fields
from emulant.dataset.seeds import stream
from emulant.engines.local import available_cores
from emulant.errors import DataError, SurrogateError
from emulant.surrogates.networks import read_network, tensor, write_network
from emulant.surrogates.unet import UNet
from emulant.systems.halos.background import Background
from emulant.systems.halos.metrics import mean_crps
from emulant.systems.halos.normalisation import FILES, Normalisation
from emulant.systems.halos.sight import CHANNELS, OCCUPANCY, SHOWN, Sight, draw, pieces, turned
from emulant.systems.halos.tables import PainterTable
from emulant.systems.halos.trained import Trained
from emulant.training.batches import Batch, TrainingData, shuffled
from emulant.training.process import initialised, threads
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

MEMORY = 1 << 31
"""Bytes of training samples that are kept in memory; the rest is read again every epoch."""
SHAPE = ("width", "multiples")
JUDGED, DRAWS = 48, 4
"""Validation samples that a trained painter is scored on, and draws of each."""
UNSCORED = 1e30
"""The score of a painter that has seen no validation samples: worse than any other."""
VALIDATION = 1 << 20
"""Seeds of the random numbers of validation lie beyond those of any epoch."""


@dataclass(frozen=True)
class Painting:
    """A trained network and what its channels are turned into maps by."""

    sight: Sight
    network: nn.Module
    gate: float = 0.0
    """A pixel has stars if its occupancy channel lies above."""
    factors: NDArray[np.float64] = field(default_factory=lambda: np.ones(3))
    """By which masses of dm, gas and stars are multiplied."""
    score: float = UNSCORED
    """CRPS of log10 mass on validation samples, dex, the mean of the species."""


class Painter:
    """What both networks do alike; those of `networks` say what they are shown and how they paint."""

    Config: ClassVar[type[PainterTable]] = PainterTable
    kind: ClassVar[str]

    def __init__(self, config: Any | None = None) -> None:
        self.config: Any = config or self.Config()
        self.workshop = Workshop()
        self.model: Painting | None = None
        self.background: Background | None = None
        """What lies where nothing is painted."""

    # -- what a kind of painter gives

    def _network(self, sight: Sight) -> nn.Module:
        raise NotImplementedError

    def _batch(self, shown: Array, vector: Array, asked: Array, rng: np.random.Generator) -> Batch:
        """What the loss is given of a batch of samples."""
        raise NotImplementedError

    def _channels(self, network: nn.Module, shown: Tensor, vector: Tensor, noise: Tensor) -> Tensor:
        """(B, 4, r, r) what comes out."""
        raise NotImplementedError

    loss: ClassVar[Any]
    parts: ClassVar[Mapping[str, Literal["mean", "max"]]] = {}
    """Of the loss, for the training curves."""

    # -- the emulator

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on the samples, then set the star gate and the mass factors by some of them.

        Raises:
            DataError: The samples cannot be normalised.
            SurrogateError: The loss is not finite.
        """
        from emulant.training import loop

        table, seed = self.config.schedule(), self.workshop.seed
        train = Remembered(train, MEMORY)
        sight = Sight.of(train)
        with initialised(seed):
            network = self._network(sight)
        self.model = Painting(sight, network)
        size = min(table.batch_size, len(train))
        length = table.epoch_batches or len(train) // size
        held = () if validation is None else tuple(self._held_out(sight, validation, seed))

        def batches(epoch: int) -> Iterator[Batch]:
            rng = stream(seed, "training", epoch, 1)
            numbers = train.cases["case"].to_numpy()
            for rows in shuffled(len(train), size, length, seed, epoch):
                yield self._examples(sight, train.read([*SHOWN, "target"], numbers[rows].tolist()), rng)

        self.background = Background.of(train, Trained(sight.geometry, sight.parameters))
        data = TrainingData(type(self).loss, batches, length, held, type(self).parts)
        loop.train(network, data, table, workshop=self.workshop, extras=self._extras())
        self._calibrate(train, seed)
        if validation is not None:
            self._judge(validation, seed)

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """`target` (C, S, 3, r, r) Msun/h per pixel.

        Raises:
            SurrogateError: The geometry is not that of the training samples.
            DataError: The parameters are others.
        """
        self._fitted().sight.require(inputs.geometry)
        with threads(1):
            return {"target": self._paint(inputs.fields, samples, seed)}

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`, and the three files of the normalisation."""
        painting = self._fitted()
        network = write_network(folder, painting.network, self._extras())
        around = self.background.save(folder) if self.background else []
        return [*network, *painting.sight.normalisation.save(folder), *around]

    @classmethod
    def load(cls, folder: Path, config: Any | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: A file is missing, damaged, of another kind or of another model.
        """
        painter, normalisation = cls(config), Normalisation.load(folder)

        def restored(extras: Extras) -> nn.Module:
            if extras.about["kind"] != cls.kind:
                raise ValueError(f"it is of kind {extras.about['kind']}")
            shape = {name: extras.about[name] for name in SHAPE}
            painter.config = painter.config.model_copy(update=shape)
            return painter._network(Sight.restored(extras.about, extras.arrays, normalisation))

        try:
            network, extras = read_network(folder, restored)
        except DataError as error:
            raise SurrogateError(f"{folder / FILES[0]}: {error.what}", "Train it again.") from error
        sight = Sight.restored(extras.about, extras.arrays, normalisation)
        gate, factors, score = (extras.arrays[name] for name in ("gate", "factors", "score"))
        painter.background = Background.load(folder, Trained(sight.geometry, sight.parameters))
        painter.model = Painting(sight, channels_last(network), float(gate), factors, float(score))
        return painter

    # -- inside

    def _fitted(self) -> Painting:
        if self.model is None:
            raise SurrogateError(f"{self.kind}: is not fitted.", "Call `fit` or `load` first.")
        return self.model

    def _extras(self) -> Extras:
        painting = self._fitted()
        shape = {name: getattr(self.config, name) for name in SHAPE}
        numbers = {"gate": painting.gate, "factors": painting.factors, "score": painting.score}
        arrays = {name: np.asarray(number) for name, number in numbers.items()}
        return Extras({"kind": self.kind, **shape, **painting.sight.about()}, painting.sight.arrays() | arrays)

    def _unet(self, sight: Sight, inputs: int, vector: int) -> nn.Module:
        config = self.config
        network = UNet(sight.images + inputs, CHANNELS, sight.vector + vector, config.width, config.multiples)
        return channels_last(network)

    def _examples(self, sight: Sight, fields: Fields, rng: np.random.Generator) -> Batch:
        (shown, vector), asked = sight.shown(fields), sight.asked(fields)
        if self.config.augment:
            turn = rng.integers(8, size=len(shown))
            shown, asked = turned(shown, turn), turned(asked, turn)
        return self._batch(shown, vector, asked, rng)

    def _held_out(self, sight: Sight, validation: Dataset, seed: int) -> Iterator[Batch]:
        rng = stream(seed, "training", VALIDATION)
        for fields in validation.batches(self.config.batch_samples, [*SHOWN, "target"]):
            yield self._batch(*sight.shown(fields), sight.asked(fields), rng)

    def _paint(self, fields: Fields, samples: int, seed: int) -> NDArray[np.float32]:
        painting = self._fitted()
        raw = self._raw(fields, samples, seed)
        made = [
            painting.sight.painted(raw[:, number], fields, painting.gate, painting.factors)
            for number in range(raw.shape[1])
        ]
        return np.stack(made, axis=1)

    def _raw(self, fields: Fields, samples: int, seed: int) -> NDArray[np.float32]:
        """(C, S, 4, r, r) the channels of the network, `batch_samples` images at a time on every core."""
        painting = self._fitted()
        shown, vector = painting.sight.shown(fields)
        made = np.empty((len(shown), samples, CHANNELS, *shown.shape[2:]), np.float32)
        device = next(painting.network.parameters()).device
        order = np.array([(case, number) for case in range(len(shown)) for number in range(samples)]).reshape(-1, 2)

        def paint(part: slice) -> None:
            cases, draws = order[part].T
            noise = np.stack(
                [_noise(shown[case], int(number), seed) for case, number in zip(cases, draws, strict=True)]
            )
            with torch.no_grad():
                given = (tensor(array).to(device) for array in (shown[cases], vector[cases], noise))
                made[cases, draws] = self._channels(painting.network, *given).cpu().numpy()

        with ThreadPoolExecutor(available_cores() if device.type == "cpu" else 1) as pool:
            list(pool.map(paint, pieces(len(order), self.config.batch_samples)))
        return made

    def _calibrate(self, train: Dataset, seed: int) -> None:
        """Set the gate so that as many pixels have stars as in truth, and the factors so that masses sum up to it."""
        count = min(self.config.calibrate, len(train))
        if not count:
            return
        chosen = stream(seed, "training", VALIDATION, 1).choice(len(train), count, replace=False)
        cases = train.cases["case"].to_numpy()[np.sort(chosen)].tolist()
        fields = train.read([*SHOWN, "target"], cases)
        painting, truth = self._fitted(), np.asarray(fields["target"], float)
        with threads(1):
            raw = self._raw(fields, 1, seed)[:, 0]
        gate = float(np.quantile(raw[:, OCCUPANCY], 1 - np.mean(truth[:, 2] > 0)))
        maps = painting.sight.painted(raw, fields, gate, np.ones(3)).astype(float)
        factors = truth.sum(axis=(0, 2, 3)) / np.maximum(maps.sum(axis=(0, 2, 3)), 1e-300)
        self.model = replace(painting, gate=gate, factors=factors)

    def _judge(self, validation: Dataset, seed: int) -> None:
        """Score some of the validation samples: which painter is the best must not be asked of a test split."""
        cases = validation.cases["case"].to_numpy()
        if not len(cases):
            return
        chosen = np.unique(np.linspace(0, len(cases) - 1, JUDGED).round().astype(int))
        fields = validation.read([*SHOWN, "target"], cases[chosen].tolist())
        with threads(1):
            painted = self._paint(fields, DRAWS, seed)
        score = float(np.nanmean(mean_crps(fields, {"target": painted}, {})))
        self.model = replace(self._fitted(), score=score)


def channels_last(network: nn.Module) -> nn.Module:
    """The layout in which convolutions are twice as fast on a CPU."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _noise(shown: Array, number: int, seed: int) -> NDArray[np.float32]:
    """(4, r, r) the noise of one draw for one sample."""
    return draw(shown, seed, number).standard_normal((CHANNELS, *shown.shape[1:]), np.float32)

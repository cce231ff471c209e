"""`gpt`: our own transformer, trained from nothing on the language of scenes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import torch

from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.language_tables import SHAPES, GPTTable
from emulant.surrogates.networks import read_network, write_network
from emulant.surrogates.transformer import Transformer
from emulant.systems.scenes.language import vocabulary
from emulant.systems.scenes.language.examples import Corpus
from emulant.systems.scenes.language.objective import objective, staged
from emulant.systems.scenes.language.rollout import forecast
from emulant.training.process import initialised
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop


class GPT:
    """Says changes of velocity, token by token; a forecast is what the likeliest tokens say."""

    Config: ClassVar[type[GPTTable]] = GPTTable
    lag = 2

    def __init__(self, config: GPTTable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.network: Transformer | None = None
        self.grouped = 0
        """Scenes so far that were longer than the context and were continued in groups of bodies."""

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on stretches of frames; the monitor is the cross-entropy of what is to be said.

        Raises:
            SurrogateError: The context does not hold a body, or the loss is not finite.
        """
        from emulant.training import loop

        table, seed = staged(self.config), self.workshop.seed
        with initialised(seed):
            self.network = self._network()
        if self.config.compile:
            self.network.compile(dynamic=True)
        held = None if validation is None else Corpus(validation, self.config, seed)
        data = objective(Corpus(train, self.config, seed), held, table, self.network.flops_per_token)
        loop.train(self.network, data, table, workshop=self.workshop, extras=self._extras())

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`state` (C, horizon, N, 6)."""
        frames, cut = forecast(self._fitted(), context, horizon, self.config)
        self.grouped += cut
        return {"state": frames}

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        return write_network(folder, self._fitted(), self._extras())

    @classmethod
    def load(cls, folder: Path, config: GPTTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged, of another kind, or speaks another language.
        """
        surrogate = cls(config)
        surrogate.network, _ = read_network(folder, surrogate._restored)
        if torch.cuda.is_available():
            surrogate.network = surrogate.network.cuda()
        return surrogate

    # -- inside

    def _fitted(self) -> Transformer:
        if self.network is None:
            raise SurrogateError("gpt: is not fitted.", "Call `fit` or `load` first.")
        return self.network

    def _network(self) -> Transformer:
        return Transformer(SHAPES[self.config.size], vocabulary.SIZE)

    def _extras(self) -> Extras:
        return Extras({"kind": "gpt", "size": self.config.size, "vocabulary": vocabulary.IDENTITY})

    def _restored(self, extras: Extras) -> Transformer:
        if extras.about["kind"] != "gpt":
            raise ValueError(f"it holds a {extras.about['kind']}")
        if extras.about["vocabulary"] != vocabulary.IDENTITY:
            raise ValueError("it was trained with the tokens of another vocabulary")
        self.config = self.config.model_copy(update={"size": extras.about["size"]})
        return self._network()

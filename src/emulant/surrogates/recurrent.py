"""Recurrent networks that continue sequences of codes: LSTM, GRU and plain RNN from one factory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from emulant.dataset.seams import Array, Context, Dataset, Streamed
from emulant.errors import SurrogateError
from emulant.surrogates.networks import Flow, doubled, read_network, tensor, write_network
from emulant.surrogates.sequence_tables import VALID_TIME, RecurrentTable
from emulant.surrogates.view import Seen, View, fits, valid_time
from emulant.training.batches import Batch, Score, TrainingData, of_stream, of_tensors
from emulant.training.process import initialised, threads
from emulant.training.table import TrainingTable
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
SHAPE = ("cell", "hidden", "layers", "lag")
GAIN = 10.0
"""The network puts out the step to the next codes times this, so that its targets are of order one."""


class RecurrentNetwork(nn.Module):
    """Codes and parameters in; after each frame, the scaled step to the next codes out."""

    def __init__(self, cell: str, codes: int, parameters: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.recurrent = CELLS[cell](codes + parameters, hidden, layers, batch_first=True)
        self.head = nn.Linear(hidden, codes)
        self.memories = 2 if cell == "lstm" else 1
        self.remembered = self.memories * layers * hidden

    def forward(self, inputs: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, F + P) and the memory (B, S) to begin with (None: zeros) -> (B, T, F) and the memory (B, S)."""
        outputs, after = self.recurrent(inputs, None if memory is None else self._unpacked(memory))
        parts = after if self.memories == 2 else (after,)
        return self.head(outputs), torch.cat([part.transpose(0, 1).flatten(1) for part in parts], dim=1)

    def _unpacked(self, memory: Tensor) -> Any:
        shape = (len(memory), self.recurrent.num_layers, self.recurrent.hidden_size)
        parts = [part.reshape(shape).transpose(0, 1).contiguous() for part in memory.chunk(self.memories, dim=1)]
        return tuple(parts) if self.memories == 2 else parts[0]


def sequence_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of the step after every frame of whole sequences, (B, T-1, F + P) and (B, T-1, F)."""
    inputs, steps = batch
    return nn.functional.mse_loss(network(inputs)[0], steps)


class Recurrent:
    """A recurrent network that is run over the context and then on its own output."""

    Config: ClassVar[type[RecurrentTable]] = RecurrentTable

    def __init__(self, config: RecurrentTable | None = None) -> None:
        self.config = config or self.Config()
        self.lag = self.config.lag
        self.workshop = Workshop()
        self.model: tuple[View, RecurrentNetwork] | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on sequences; the monitor `vpt` is the valid time of the closed loop on the validation split.

        Raises:
            SurrogateError: The data hold no sequences of states, or the loss is not finite.
        """
        from emulant.training import loop

        table, seed = self.config.schedule(), self.workshop.seed
        view = View.of(train, self.config)
        with initialised(seed):
            self.model = view, self._network(view)
        held = None if validation is None else view.see(validation)
        data = self._data(train, view, _examples(held) if held else None, table, seed)
        score = None if held is None else self._score(held, view)
        loop.train(self.model[1], data, table, workshop=self.workshop, score=score, extras=self._extras())

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The target (C, horizon, ...); inf where the rollout has left every bound.

        Raises:
            SurrogateError: The context is too short, or lacks a parameter.
        """
        view, _ = self._fitted()
        with threads(1):
            flow = self.flow(context)
            return {view.target: flow.decode(flow.run(horizon))}

    def flow(self, context: Context) -> Flow:
        """The rollout as a map of codes and memory, from the end of the context; it observes scaled codes."""
        view, last = self._fitted()[0], context.fields[self._fitted()[0].target][:, -1]
        flow = self._flow(view.see_context(context, self.lag))
        return replace(flow, decode=lambda codes: view.frames(codes, last))

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        return write_network(folder, self._fitted()[1], self._extras())

    @classmethod
    def load(cls, folder: Path, config: RecurrentTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or of another kind.
        """
        surrogate = cls(config)
        network, extras = read_network(folder, surrogate._restored)
        surrogate.model = View.restored(extras.about, extras.arrays), network
        return surrogate

    # -- inside

    def _fitted(self) -> tuple[View, RecurrentNetwork]:
        if self.model is None:
            raise SurrogateError("The recurrent network is not fitted.", "Call `fit` or `load` first.")
        return self.model

    def _network(self, view: View) -> RecurrentNetwork:
        config = self.config
        return RecurrentNetwork(config.cell, len(view.scales.mean), len(view.parameters), config.hidden, config.layers)

    def _data(self, train: Dataset, view: View, held: Batch | None, table: TrainingTable, seed: int) -> TrainingData:
        """Whole sequences from memory; or windows straight from the files, if the study asks for windows, or if the
        sequences are too many and the dataset can deal them out."""
        window = self.config.window
        if isinstance(train, Streamed) and (window or not fits(train, view.target)):
            length = window or _frames(train, view.target)
            stream = train.stream(view.target, length, table.batch_size, parameters=view.parameters, seed=seed)
            return of_stream(
                sequence_loss, stream, table.batch_size, lambda *each: _examples(view.seen(*each)), held, table
            )
        if window:
            raise SurrogateError(
                f"{self.workshop.name or 'recurrent'}: this dataset deals out no windows.", "Leave `window` out."
            )
        return of_tensors(sequence_loss, _examples(view.see(train)), held, table, seed)

    def _extras(self) -> Extras:
        view, _ = self._fitted()
        shape = {name: getattr(self.config, name) for name in SHAPE}
        return Extras({"kind": "recurrent", **shape, **view.about()}, view.arrays())

    def _restored(self, extras: Extras) -> RecurrentNetwork:
        self.config = self.config.model_copy(update={name: extras.about[name] for name in SHAPE})
        self.lag = self.config.lag
        return self._network(View.restored(extras.about, extras.arrays))

    def _flow(self, seen: Seen) -> Flow:
        view, trained = self._fitted()
        network = doubled(trained, self._network(view))
        codes, given = tensor(seen.codes, torch.float64), tensor(seen.parameters, torch.float64)
        count, circle = codes.shape[-1], _circle(view)

        def step(state: Tensor) -> Tensor:
            present, memory = state[:, :count], state[:, count:]
            steps, memory = network(torch.cat([present, given], dim=1)[:, None], memory)
            return torch.cat([circle(present + steps[:, 0] / GAIN), memory], dim=1)

        memory = codes.new_zeros(len(codes), network.remembered)
        if codes.shape[1] > 1:
            with torch.no_grad():
                memory = network(_with_parameters(codes[:, :-1], given), memory)[1]
        return Flow(torch.cat([codes[:, -1], memory], dim=1), step, lambda state: state[:, :count])

    def _score(self, held: Seen, view: View) -> Score | None:
        """Valid time of the closed loop over the validation cases, after their first `lag` frames."""
        lag, truth = self.lag, held.codes[:, self.lag :]
        if not truth.shape[1]:
            return None
        start = Seen(held.frames[:, :lag], held.codes[:, :lag], held.parameters)
        return Score(lambda _: valid_time(truth, self._flow(start).run(truth.shape[1]), view.step), VALID_TIME)


def _frames(train: Dataset, field: str) -> int:
    """Of a case."""
    return int(next(iter(train.batches(1, [field])))[field].shape[1])


def _examples(seen: Seen) -> Batch:
    codes = seen.codes
    inputs = _with_parameters(tensor(codes[:, :-1]), tensor(seen.parameters))
    return inputs, tensor((codes[:, 1:] - codes[:, :-1]) * GAIN)


def _with_parameters(codes: Tensor, given: Tensor) -> Tensor:
    """(C, T, F) and (C, P) -> (C, T, F + P)"""
    return torch.cat([codes, given[:, None].expand(-1, codes.shape[1], -1)], dim=-1)


def _circle(view: View) -> Callable[[Tensor], Tensor]:
    """Puts the sines and cosines among scaled codes (C, F) back on the unit circle, where the truth is."""
    circles = view.codes.circles
    mean, deviation = tensor(view.scales.mean, torch.float64), tensor(view.scales.deviation, torch.float64)

    def circle(codes: Tensor) -> Tensor:
        raw = codes * deviation + mean
        pairs = raw[:, : 2 * circles].reshape(-1, 2, circles)
        pairs = pairs / pairs.norm(dim=1, keepdim=True).clamp_min(1e-9)
        return (torch.cat([pairs.flatten(1), raw[:, 2 * circles :]], dim=1) - mean) / deviation

    return circle if circles else lambda codes: codes

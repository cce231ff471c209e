"""A perceptron that puts out the step from one state to the next."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.codes import Scales
from emulant.surrogates.networks import Flow, doubled, encode, read_network, tensor, write_network
from emulant.surrogates.sequence_tables import VALID_TIME, ResidualMLPTable
from emulant.surrogates.view import Seen, View, states_only, valid_time
from emulant.training.batches import Batch, Score, of_tensors
from emulant.training.process import initialised, threads
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

SHAPE = ("width", "depth")


def perceptron(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    """`depth` hidden layers with SiLU."""
    sizes = [inputs, *[width] * depth]
    hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


def step_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of the scaled step of the state."""
    inputs, steps = batch
    return nn.functional.mse_loss(network(inputs), steps)


class ResidualMLP:
    """State -> step of the state, each component over its own standard deviation."""

    Config: ClassVar[type[ResidualMLPTable]] = ResidualMLPTable
    lag = 1

    def __init__(self, config: ResidualMLPTable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.model: tuple[View, Scales, nn.Module] | None = None
        """What it sees, the scales of a step, and the network."""

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on all pairs of neighbouring frames; the monitor `vpt` is the valid time on the validation split.

        Raises:
            SurrogateError: The data hold no sequences of states, or the loss is not finite.
        """
        from emulant.training import loop

        table, seed = self.config.schedule(), self.workshop.seed
        view = View.of(train)
        states_only(view)
        seen = view.see(train)
        scales = Scales.of(np.diff(seen.frames, axis=1))
        with initialised(seed):
            self.model = view, scales, self._network(view)
        held = None if validation is None else view.see(validation)
        data = of_tensors(step_loss, _pairs(seen, scales), _pairs(held, scales) if held else None, table, seed)
        score = None if held is None else self._score(held, view)
        loop.train(self.model[2], data, table, workshop=self.workshop, score=score, extras=self._extras())

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The states (C, horizon, D); inf where the rollout has left every bound.

        Raises:
            SurrogateError: The context lacks a parameter.
        """
        with threads(1):
            return {self._fitted()[0].target: self.flow(context).run(horizon)}

    def flow(self, context: Context) -> Flow:
        """The rollout as a map of states."""
        return self._flow(self._fitted()[0].see_context(context, self.lag))

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        return write_network(folder, self._fitted()[2], self._extras())

    @classmethod
    def load(cls, folder: Path, config: ResidualMLPTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or of another kind.
        """
        surrogate = cls(config)
        network, extras = read_network(folder, surrogate._restored)
        view = View.restored(extras.about, extras.arrays)
        surrogate.model = view, Scales.from_arrays(extras.arrays, "steps"), network
        return surrogate

    # -- inside

    def _fitted(self) -> tuple[View, Scales, nn.Module]:
        if self.model is None:
            raise SurrogateError("residual_mlp: is not fitted.", "Call `fit` or `load` first.")
        return self.model

    def _network(self, view: View) -> nn.Module:
        inputs = len(view.scales.mean) + len(view.parameters)
        return perceptron(inputs, self.config.width, self.config.depth, states_only(view).size)

    def _extras(self) -> Extras:
        view, scales, _ = self._fitted()
        shape = {name: getattr(self.config, name) for name in SHAPE}
        return Extras({"kind": "residual_mlp", **shape, **view.about()}, view.arrays() | scales.arrays("steps"))

    def _restored(self, extras: Extras) -> nn.Module:
        self.config = self.config.model_copy(update={name: extras.about[name] for name in SHAPE})
        return self._network(View.restored(extras.about, extras.arrays))

    def _flow(self, seen: Seen) -> Flow:
        view, scales, trained = self._fitted()
        network = doubled(trained, self._network(view))
        given, codes = tensor(seen.parameters, torch.float64), encode(states_only(view), view.scales)
        mean, deviation = tensor(scales.mean, torch.float64), tensor(scales.deviation, torch.float64)

        def step(state: Tensor) -> Tensor:
            scaled: Tensor = network(torch.cat([codes(state), given], dim=1))
            return state + scaled * deviation + mean

        return Flow(tensor(seen.frames[:, -1], torch.float64), step, lambda state: state)

    def _score(self, held: Seen, view: View) -> Score:
        return Score(lambda _: valid_time_of_states(self._flow(first(held)), held, view), VALID_TIME)


def first(seen: Seen) -> Seen:
    """The first frame of every case."""
    return Seen(seen.frames[:, :1], seen.codes[:, :1], seen.parameters)


def valid_time_of_states(flow: Flow, held: Seen, view: View) -> float:
    """Valid time of a rollout of states that starts at the first frame of the held-out cases."""
    states = flow.run(held.frames.shape[1] - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        codes = view.scales(view.codes.encode(states))
    return valid_time(held.codes[:, 1:], codes, view.step)


def _pairs(seen: Seen, scales: Scales) -> Batch:
    cases, frames, _ = seen.codes.shape
    given = np.broadcast_to(seen.parameters[:, None], (cases, frames, seen.parameters.shape[1]))
    inputs = np.concatenate([seen.codes, given], axis=-1)[:, :-1]
    steps = scales(np.diff(seen.frames, axis=1))
    return tensor(inputs).flatten(0, 1), tensor(steps).flatten(0, 1)

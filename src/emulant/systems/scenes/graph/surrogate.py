"""A graph network of what touches and what is tied, run frame by frame.

Each frame begins with what is known: free flight under gravity and attractions, or an analytic solver of contacts and
joints (`start`). The network adds impulses. After "interaction networks" (Battaglia et al. 2016), noise and all from
"Learning to simulate complex physics with graph networks" (Sanchez-Gonzalez et al., arXiv 2002.09405); contacts at
closest points of faces after FIGNet (Allen et al., arXiv 2212.03574).
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn

from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.networks import read_network, write_network
from emulant.systems.scenes.graph import recordings
from emulant.systems.scenes.graph.flat import flatten
from emulant.systems.scenes.graph.network import ContactNetwork
from emulant.systems.scenes.graph.objective import CONTEXT, HORIZON, Objective, rollout, rollout_score
from emulant.systems.scenes.graph.table import ContactGraphTable
from emulant.systems.scenes.layout import STATIC_FIELDS
from emulant.training.process import initialised, threads
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

SHAPE = ("width", "rounds", "start", "guess")


class ContactGraph:
    """Impulses from a graph network; known forces and free flight from the header."""

    Config: ClassVar[type[ContactGraphTable]] = ContactGraphTable
    lag = 1

    def __init__(self, config: ContactGraphTable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.network: ContactNetwork | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on short stretches of frames; the monitor `position_rms` is that of rollouts on the validation split.

        Weights that do not even there beat what the network starts from are thrown away: then it is `untrained`.

        Raises:
            SurrogateError: The scenes are too short, or the loss is not finite.
        """
        from emulant.training import loop

        config = self.config
        scenes = recordings.read(train, config.frames)
        shortest = min(len(scene.state) for scene in scenes)
        if shortest < config.unroll + 2:
            raise SurrogateError(
                f"contact_graph: scenes of {shortest} frames are too short to unroll {config.unroll}.",
                "Raise system.frames, or lower surrogates.contact_graph.unroll.",
            )
        held = [] if validation is None else recordings.read(validation, CONTEXT + HORIZON)
        with initialised(self.workshop.seed):
            self.network = self._network()
        data = Objective.of(config, scenes).data(scenes, held, self.workshop.seed)
        score = rollout_score(held, config)
        untouched, schedule = deepcopy(self.network), config.schedule()
        outcome = loop.train(self.network, data, schedule, workshop=self.workshop, score=score, extras=self._extras())
        if score is not None and schedule.monitor != "loss" and score.function(untouched) <= outcome.monitor:
            self.network = untouched

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`state` (C, horizon, N, 6); inf where the rollout has left every bound."""
        return {"state": continued(self._fitted(), context, horizon, self.config)}

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        return write_network(folder, self._fitted(), self._extras())

    @classmethod
    def load(cls, folder: Path, config: ContactGraphTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or of another kind.
        """
        surrogate = cls(config)
        surrogate.network, _ = read_network(folder, surrogate._restored)
        return surrogate

    # -- inside

    def _fitted(self) -> ContactNetwork:
        if self.network is None:
            raise SurrogateError("contact_graph: is not fitted.", "Call `fit` or `load` first.")
        return self.network

    def _network(self) -> ContactNetwork:
        return ContactNetwork(self.config.width, self.config.rounds)

    def _extras(self) -> Extras:
        return Extras({"kind": "contact_graph", **self.config.model_dump(include=set(SHAPE))})

    def _restored(self, extras: Extras) -> ContactNetwork:
        stored = {name: extras.about[name] for name in SHAPE}
        self.config = type(self.config).model_validate(self.config.model_dump(exclude_unset=True) | stored)
        return self._network()


class Untrained:
    """What the contact graph starts from, without a network: the analytic solver of contacts and joints alone."""

    Config: ClassVar[type[ContactGraphTable]] = ContactGraphTable
    lag = 1

    def __init__(self, config: ContactGraphTable | None = None) -> None:
        given = config or self.Config()
        self.config = given.model_copy(update={"start": "contacts"})

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Nothing."""

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`state` (C, horizon, N, 6)."""
        return {"state": continued(None, context, horizon, self.config)}

    def save(self, folder: Path) -> list[Path]:
        """Nothing: there are no weights."""
        return []

    @classmethod
    def load(cls, folder: Path, config: ContactGraphTable | None = None) -> Self:
        return cls(config)


def continued(network: nn.Module | None, context: Context, horizon: int, table: ContactGraphTable) -> Array:
    """(C, horizon, N, 6) from the end of a context; places without a body hold zeros."""
    last = context.fields["state"][:, -1]
    flat = flatten({name: context.static[name] for name in STATIC_FIELDS})
    rows = flat.rows.numpy()
    start = torch.from_numpy(last.reshape(-1, 6)[rows].astype(np.float32))
    with threads(1):
        rolled = rollout(network, flat, start, horizon, table).double().numpy()
    frames = np.zeros((horizon, last.shape[0] * last.shape[1], 6))
    frames[:, rows] = np.where(np.isfinite(rolled), rolled, np.inf)
    return np.ascontiguousarray(frames.reshape(horizon, *last.shape).swapaxes(0, 1))

"""The table of the contact graph, apart from it: reading a study must not import torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emulant.dataset.tables import Table
from emulant.training.table import TrainedTable, TrainingTable

Positive = Annotated[int, Field(ge=1)]


class GuessTable(Table):
    """`[surrogates.contact_graph.guess]`: the analytic solver whose answer the network starts from."""

    steps: Positive = 2
    """Steps of the solver per frame; the engine takes `system.substeps`."""
    iterations: Positive = 12
    """Of the solver, per step; the first step of a frame has three times as many."""


class ContactGraphTable(TrainedTable):
    """`[surrogates.contact_graph]`."""

    width: Positive = 64
    rounds: Positive = 3
    """Of messages: how many contacts far a push is felt within a frame."""
    start: Literal["contacts", "flight"] = "contacts"
    """What the network corrects: the analytic solver of contacts and joints, or free flight under the known forces, so
    that all support, bounce and tie must be learnt."""
    guess: GuessTable = GuessTable()
    """How that solver works."""
    frames: Annotated[int, Field(ge=2)] = 60
    """Frames of each scene that training draws from, the first ones."""
    unroll: Positive = 1
    """Frames in a row that an example asks for; from the second on the network meets its own errors."""
    position_noise: Annotated[float, Field(ge=0)] = 0.02
    """px, standard deviation, on the input of an example."""
    velocity_noise: Annotated[float, Field(ge=0)] = 0.3
    """px/s; turned as much at the rim of a body."""
    score: ClassVar[str | None] = "position_rms"
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=30,
        epoch_batches=50,
        batch_size=48,
        optimizer="adamw",
        learning_rate=1e-3,
        scheduler="cosine",
        minimum_learning_rate=2e-5,
        warmup=0.03,
        ema=0.98,
        validate_every=5,
    )

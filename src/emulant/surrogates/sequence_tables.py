"""The tables of the sequence models, apart from them: reading a study must import neither torch nor scipy."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emulant.dataset.tables import Table
from emulant.surrogates.tables import PODTable
from emulant.training.table import TrainedTable, TrainingTable, merge

Positive = Annotated[int, Field(ge=1)]
VALID_TIME = "vpt"
"""The monitor of sequence models: how long their closed loop is valid on the validation split."""


class LinearTable(Table):
    """`[surrogates.linear]`, a baseline."""

    lag: Positive = 20
    ridge: Annotated[float, Field(gt=0)] = 1e-4


class NGRCTable(Table):
    """`[surrogates.ngrc]`, a baseline."""

    lag: Positive = 1
    """Past frames whose codes are multiplied with each other."""
    degree: Annotated[int, Field(ge=1, le=6)] = 4
    ridge: Annotated[float, Field(gt=0)] = 1e-3
    bound: Annotated[float, Field(gt=0)] = 50.0
    """Where forecasts are clipped, in standard deviations."""


class LatentNGRCTable(NGRCTable, PODTable):
    """`[surrogates.latent_ngrc]`: the same on POD coefficients, of which few can be multiplied."""

    degree: Annotated[int, Field(ge=1, le=6)] = 2
    rank: Positive | None = 10


class RecurrentTable(TrainedTable):
    """`[surrogates.lstm]`."""

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    hidden: Positive = 64
    layers: Positive = 1
    lag: Positive = 20
    """Frames of context that it is run over before it feeds on itself."""
    window: Annotated[int, Field(ge=2)] | None = None
    """Frames of a training sequence, drawn at random straight from the files; unset: whole simulations, from memory
    as far as they fit there."""
    score: ClassVar[str | None] = VALID_TIME
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=120,
        batch_size=64,
        learning_rate=5e-3,
        scheduler="cosine",
        minimum_learning_rate=1e-5,
        validate_every=5,
    )


class GRUTable(RecurrentTable):
    """`[surrogates.gru]`."""

    cell: Literal["lstm", "gru", "rnn"] = "gru"


class RNNTable(RecurrentTable):
    """`[surrogates.rnn]`."""

    cell: Literal["lstm", "gru", "rnn"] = "rnn"


class LatentRecurrentTable(RecurrentTable, PODTable):
    """`[surrogates.latent_lstm]`: a recurrent network on POD coefficients."""

    lag: Positive = 4


class ResidualMLPTable(TrainedTable):
    """`[surrogates.residual_mlp]`."""

    width: Positive = 128
    depth: Positive = 3
    score: ClassVar[str | None] = VALID_TIME
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=60, batch_size=1024, learning_rate=2e-3, scheduler="cosine", validate_every=5
    )


class LagrangianTable(TrainedTable):
    """`[surrogates.lagrangian]`."""

    target: Literal["accelerations", "states"] = "accelerations"
    """What it is fitted to: the stored accelerations, or the next state by Runge-Kutta inside the loss."""
    width: Positive = 64
    rollout_substeps: Positive = 5
    """Runge-Kutta steps per frame in a forecast."""
    loss_substeps: Positive = 2
    """Runge-Kutta steps per frame inside the loss, for `states`."""
    score: ClassVar[str | None] = VALID_TIME
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=80, batch_size=1024, learning_rate=3e-3, scheduler="cosine", validate_every=10
    )
    recipe_for_states: ClassVar[TrainingTable] = merge(recipe, TrainingTable(max_epochs=15, validate_every=5))
    """Its steps go through Runge-Kutta and take about nine times as long."""

    def schedule(self) -> TrainingTable:
        return merge(self.recipe if self.target == "accelerations" else self.recipe_for_states, self.training)

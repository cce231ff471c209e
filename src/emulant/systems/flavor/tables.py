"""The study tables of the learners of flavor, apart from them: reading a study must not import torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emulant.dataset.tables import Table
from emulant.training.table import TrainedTable, TrainingTable

Positive = Annotated[int, Field(ge=1)]
Even = Annotated[int, Field(ge=4, multiple_of=2)]


class PrescriptionTable(Table):
    """`[surrogates.box3d]`."""

    law: Literal["box3d", "profile"] = "box3d"
    """How far the larger side of a crossing mixes: by one constant, or falling off as 1 / (1 + G²/a²)."""
    polar: Even = 24
    azimuthal: Even = 32
    """Directions of each cell's own grid. A constant jumps at the crossing and so needs many."""


class ProfileTable(PrescriptionTable):
    """`[surrogates.profile]`."""

    law: Literal["box3d", "profile"] = "profile"
    polar: Even = 16
    azimuthal: Even = 24


class UntrainedTable(PrescriptionTable):
    """`[surrogates.untrained]`: `mixing` before it has learned anything."""

    law: Literal["box3d", "profile"] = "profile"
    polar: Even = 8
    azimuthal: Even = 12


class MixingTable(TrainedTable):
    """`[surrogates.mixing]`."""

    polar: Even = 8
    azimuthal: Even = 12
    """What a prediction costs goes with the product."""
    width: Positive = 32
    depth: Positive = 2
    """Hidden layers of each of the two networks."""
    max_cells: Positive = 20_000
    """Cells with a final state that it is fitted to; of more, so many are drawn. Growth is fitted to all."""
    stiffness: Annotated[float, Field(ge=0)] = 10.0
    """What corrections of the profile cost: in training, their mean square times this over the number of cells."""
    growth_batch: Positive = 512
    """Cells of a batch that the growth network sees; `training.batch_size` are those of the mixing network."""
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=150,
        epoch_batches=20,
        batch_size=64,
        learning_rate=3e-3,
        optimizer="adamw",
        weight_decay=1e-3,
        scheduler="cosine",
        monitor="loss",
        validate_every=2,
    )


class MultitaskTable(TrainedTable):
    """`[surrogates.multitask]`: the network of the source document."""

    lepton_number: Literal["direct", "ymatrix", "none"] = "direct"
    """How lepton number is kept: on the densities that come out, on the transfer matrix, or not at all."""
    average_heavy: bool = True
    """Give μ and τ out as their mean."""
    physical: bool = False
    """End with the step to the cone of n >= 0 and |F| <= n, as `mixing` does."""
    augment_permutations: bool = False
    """Also train on cells with neutrinos and antineutrinos, and flavors, exchanged."""
    learn_task_weights: bool = False
    """L = Σ exp(-s) L_task + s with learned s (Kendall et al. 2018), in place of fixed multipliers alone."""
    loss_multiplier_stable: Annotated[float, Field(ge=0)] = 1.0
    loss_multiplier_ndens: Annotated[float, Field(ge=0)] = 1.0
    loss_multiplier_fluxmag: Annotated[float, Field(ge=0)] = 1.0
    loss_multiplier_direction: Annotated[float, Field(ge=0)] = 1.0
    loss_multiplier_growthrate: Annotated[float, Field(ge=0)] = 1.0
    loss_multiplier_unphysical: Annotated[float, Field(ge=0)] = 1.0
    """Of each task's loss, once that is divided by what `no_mixing` has on the training split."""
    width: Positive = 128
    head_width: Positive = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    epoch_num_samples: Positive | None = None
    """Cells drawn in an epoch, from every source alike; unset: as many as there are."""
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=60,
        batch_size=256,
        learning_rate=2e-3,
        optimizer="adamw",
        warmup=0.05,
        scheduler="plateau",
        patience=5,
        monitor="loss",
    )

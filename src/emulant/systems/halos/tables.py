"""The study tables of the learners of this system; importing them imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emulant.dataset.tables import Table
from emulant.training.table import TrainedTable, TrainingTable

Positive = Annotated[int, Field(ge=1)]


class TransferTable(Table):
    """`[surrogates.transfer]`, a baseline."""

    bands: Annotated[int, Field(ge=2)] = 16
    """Logarithmic bands of wave number."""
    ridge: Annotated[float, Field(ge=0)] = 1e-3


class OneHaloTable(Table):
    """`[surrogates.one_halo]`, a baseline."""

    masses: Positive = 6
    """Bins of log halo mass, with equally many training samples each."""
    radii: Positive = 24
    """Rings, evenly spaced up to the edge of the cutout."""


class PainterTable(TrainedTable):
    """What the networks have in common."""

    width: Annotated[int, Field(ge=4, multiple_of=4)] = 16
    """Channels at full resolution."""
    multiples: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2, 2, 4)
    """Channels at each resolution, in widths; every level halves the resolution."""
    augment: bool = True
    """Show each sample under one of the 8 symmetries of the square, drawn anew every epoch."""
    calibrate: Annotated[int, Field(ge=0)] = 256
    """Training samples that the star gate and the mass factors are set by, once the network is trained; 0: neither."""
    batch_samples: Positive = 16
    """Images that are painted at once."""
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=12,
        batch_size=16,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=1e-4,
        warmup=0.05,
        scheduler="cosine",
        minimum_learning_rate=1e-5,
        ema=0.995,
        monitor="loss",
    )


class UNetTable(PainterTable):
    """`[surrogates.unet]`: the mean in log space."""


class FlowTable(PainterTable):
    """`[surrogates.flow]`: draws from the distribution of what may lie there."""

    objective: Literal["flow_matching", "diffusion"] = "flow_matching"
    solver: Literal["heun", "euler"] = "heun"
    steps: Positive = 4
    """Steps from noise to a map; of `heun` each asks the network twice."""

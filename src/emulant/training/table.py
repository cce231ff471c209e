"""`[training]`: how networks are trained. Importing this imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field

from emulant.dataset.tables import Table

TableT = TypeVar("TableT", bound=Table)
Logger = Literal["csv", "tensorboard", "wandb", "wandb-offline"]


class EarlyStoppingTable(Table):
    """When to stop before the last epoch."""

    patience: Annotated[int, Field(ge=0)] = 0
    """Validations without a better monitor after which training stops; 0: it never stops early."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """By how much the monitor must be better to count."""


class TrainingTable(Table):
    """`[training]`, and `[surrogates.NAME.training]`, which stands over it.

    Lengths are in epochs and batches, never in seconds: weights must not depend on the load of a machine.
    """

    max_epochs: Annotated[int, Field(ge=1)] = 100
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps of the optimizer after which training ends, at the end of the epoch they fall into; unset: no bound."""
    epoch_batches: Annotated[int, Field(ge=1)] | None = None
    """Batches in an epoch; unset: as many whole ones as the training data make."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients make one step of the optimizer; the last step of an epoch takes what is left."""
    optimizer: Literal["adam", "adamw", "adamw_8bit", "sgd"] = "adam"
    """`adamw_8bit`: with moments of 8 bits, by bitsandbytes; it saves memory on a graphics card."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    gradient_clip: Annotated[float, Field(ge=0)] = 1.0
    """Bound on the norm of the gradient; 0: none."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of all steps in which the learning rate rises from 0 on a line."""
    scheduler: Literal["plateau", "cosine", "none"] = "plateau"
    stages: Annotated[int, Field(ge=1)] = 1
    """How often warm-up and scheduler are run through, one after the other."""
    stage_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What the learning rate of every further stage is multiplied by."""
    minimum_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """Where `cosine` ends and `plateau` stops falling."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """`plateau`: what the learning rate is multiplied by."""
    patience: Annotated[int, Field(ge=0)] = 10
    """`plateau`: validations without a better monitor that it bears."""
    cooldown: Annotated[int, Field(ge=0)] = 0
    """`plateau`: validations after a reduction before it counts again."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights, which is then what is validated and kept; 0: none."""
    early_stopping: EarlyStoppingTable = EarlyStoppingTable()
    monitor: str = "score"
    """What decides on the best weights, the plateau and the end: `score`, the forecaster's closed-loop score on the
    validation split (or the name that it goes by, such as `vpt`), or `loss`."""
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Epochs from one validation to the next; the last epoch is always validated."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 1
    """Epochs from one `last.ckpt` to the next: what a kill costs at most."""
    keep_every: Annotated[int, Field(ge=0)] = 0
    """Epochs from one `epoch_N.safetensors`, kept for good, to the next; 0: only the best weights are kept."""
    precision: Literal["32-true", "64-true", "bf16-mixed", "bf16-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    strategy: str = "auto"
    """A name that Lightning knows: `auto`, `ddp`, ..."""
    threads: Annotated[int, Field(ge=1)] = 1
    """Threads of torch on the CPU. Bits are promised for a fixed number only."""
    loader_workers: Annotated[int, Field(ge=1)] = 4
    """Threads that make batches ahead, where batches must be made; they are the same for any number."""
    loggers: tuple[Logger, ...] = ("csv",)
    """Where the training curves go; the CSV is always written."""

    def epochs(self, batches: int) -> int:
        """The last epoch, if an epoch has that many batches."""
        if self.max_steps is None:
            return self.max_epochs
        return min(self.max_epochs, -(-self.max_steps // self.steps(batches)))

    def steps(self, batches: int) -> int:
        """Steps of the optimizer in an epoch of that many batches."""
        return -(-batches // self.gradient_accumulation)


class TrainedTable(Table):
    """The table of a surrogate that is trained by the loop: `[surrogates.NAME]` with `[surrogates.NAME.training]`."""

    recipe: ClassVar[TrainingTable] = TrainingTable()
    """What suits this surrogate; what the study sets stands over it."""
    training: TrainingTable = TrainingTable()
    score: ClassVar[str | None] = None
    """What the monitor `score` of this surrogate is called; None: it has none but the loss."""

    def schedule(self) -> TrainingTable:
        """The surrogate's own recipe under what the study has set."""
        return merge(self.recipe, self.training)


def merge(base: TableT, overrides: Table) -> TableT:
    """`base` with every key that `overrides` has set, tables within tables key by key.

    What was merely left at its default does not count as set, so three layers compose:
    `merge(recipe, merge(common, own))`.
    """
    changes = {}
    for name in overrides.model_fields_set:
        value = getattr(overrides, name)
        changes[name] = merge(getattr(base, name), value) if isinstance(value, Table) else value
    return base.model_copy(update=changes)

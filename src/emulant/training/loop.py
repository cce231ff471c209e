"""The one training loop: `train` brings a module to the best weights that its monitor has seen.

Resuming is exact on a CPU with a fixed number of threads: whatever is killed, the same call ends in the same weights
and the same curves. How: the batches and the random numbers of an epoch are pure functions of (seed, epoch);
checkpoints are written at the end of an epoch only, whole or not at all; what decides (best, plateau, early stopping)
is in them; rows of the curves past the checkpoint are cut.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from emulant.errors import SurrogateError, UsageError
from emulant.training.batches import Batch, Score, TrainingData
from emulant.training.callbacks import EpochEnd
from emulant.training.checkpoints import LAST, WholeCheckpoints
from emulant.training.logs import further_loggers
from emulant.training.process import threads, torch_seed
from emulant.training.rates import optimizer_of, rate, set_rate
from emulant.training.table import TrainingTable
from emulant.training.weights import Extras, read_weights
from emulant.training.workshop import BEST, Workshop

CHUNK = 16
"""Batches that Lightning hands over at once. Its own work takes about a millisecond a call, as long as a whole step of
a small network."""


@dataclass(frozen=True)
class Outcome:
    """What came of a training."""

    epochs: int
    """Epochs that were run, those before a resume included."""
    best_epoch: int
    """The one that the weights are of, from 1."""
    monitor: float
    """The monitor's value then."""


def train(
    module: nn.Module,
    data: TrainingData,
    table: TrainingTable,
    *,
    workshop: Workshop | None = None,
    score: Score | None = None,
    extras: Extras | None = None,
) -> Outcome:
    """Train `module` in place; it ends on the CPU, with the weights of the best epoch.

    Args:
        module: What is trained. Its initial weights are the caller's: see `process.initialised`.
        data: Loss and batches.
        table: How.
        workshop: Files, seed, progress; None: in memory.
        score: What the monitor `score` is; None: the monitor is the loss.
        extras: What `best.safetensors` holds beside the weights.

    Raises:
        SurrogateError: The loss is not finite; the checkpoint is damaged or of another training.
        UsageError: The monitor has no such name, or a logger is not installed.
    """
    workshop = workshop or Workshop()
    end = EpochEnd(data, table, workshop, score, monitor_of(table, score), extras or Extras())
    steps = _Steps(module, data, table, workshop.seed)
    last = workshop.folder / LAST if workshop.folder else None
    with threads(table.threads), torch.random.fork_rng(devices=[]), _quiet():
        trainer = _trainer(table, workshop, end, table.epochs(data.length))
        resume = str(last) if last and last.is_file() else None
        _fit(trainer, steps, resume)
        module.cpu()
        module.load_state_dict(_best(end, workshop.folder))
        module.eval()
    return Outcome(end.progress.epochs, end.progress.best_epoch, end.progress.monitor)


def monitor_of(table: TrainingTable, score: Score | None) -> Literal["score", "loss"]:
    """What decides: the score if the table asks for it and there is one, else the loss.

    Raises:
        UsageError: The table names something else.
    """
    if table.monitor == "loss" or (table.monitor == "score" and score is None):
        return "loss"
    if score is not None and table.monitor in ("score", score.name):
        return "score"
    known = ["loss"] if score is None else ["score", score.name, "loss"]
    raise UsageError(f"training.monitor: there is no {table.monitor!r} here.", f"Allowed: {', '.join(known)}.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, Lightning keeps its advice to itself."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            warnings.filterwarnings("ignore", message=r".*does not have many workers.*")
            yield
    finally:
        logger.setLevel(level)


def _trainer(table: TrainingTable, workshop: Workshop, end: EpochEnd, epochs: int) -> Trainer:
    return Trainer(
        accelerator=table.accelerator,
        devices=table.devices,
        strategy=table.strategy,
        precision=table.precision,
        max_epochs=epochs,
        callbacks=[end],
        plugins=[WholeCheckpoints(workshop.key)],
        logger=further_loggers(table.loggers, workshop.logs, workshop.name) or False,
        default_root_dir=workshop.folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _fit(trainer: Trainer, steps: LightningModule, resume: str | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(steps, ckpt_path=resume, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl+C, after it has switched Ctrl+C off
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _best(end: EpochEnd, folder: Path | None) -> dict[str, Tensor]:
    if folder is None:
        return end.best_weights
    weights, extras = read_weights(folder / BEST)
    epoch = extras.about.get("epoch")
    if epoch != end.progress.best_epoch:
        what = f"{folder / BEST}: is of epoch {epoch}, not of {end.progress.best_epoch}, the best one."
        raise SurrogateError(what, f"Remove {LAST} beside it, and training begins anew.")
    return weights


class _Steps(LightningModule):
    """The optimizer's steps, several to a call; what happens between epochs is `EpochEnd`'s."""

    def __init__(self, module: nn.Module, data: TrainingData, table: TrainingTable, seed: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.module, self.data, self.table, self.seed = module, data, table, seed
        self.average = deepcopy(module).requires_grad_(False) if table.ema else None
        """The moving average of the weights; as a part of this module it is in the checkpoint."""
        self.losses: list[Tensor] = []
        self.parts: dict[str, list[Tensor]] = defaultdict(list)
        self.norms: list[Tensor] = []

    @property
    def judged(self) -> nn.Module:
        """What is validated and kept."""
        return self.module if self.average is None else self.average

    def configure_optimizers(self) -> Optimizer:
        return optimizer_of(self._trained(), self.table)

    def _trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def train_dataloader(self) -> Iterable[tuple[int, int, list[Batch]]]:
        return _Chunks(self)

    def training_step(self, chunk: tuple[int, int, list[Batch]], index: int) -> None:
        epoch, first, batches = chunk
        if first == 0:
            torch.manual_seed(torch_seed(self.seed, 1, epoch))
            self.losses, self.parts, self.norms = [], defaultdict(list), []
        optimizer: Optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[assignment]
        size, own = self.table.gradient_accumulation, self.own
        for number, batch in enumerate(batches, first):
            if number % size == 0:
                self._set_rate(optimizer, epoch, number // size)
                optimizer.zero_grad()
            loss, parts = self.data.measure(self.module, batch)
            self.manual_backward(loss / size if size > 1 else loss)
            self.losses.append(loss.detach())
            for name, part in parts.items():
                self.parts[name].append(part)
            if (number + 1) % size == 0 or number + 1 == own:
                self._step(optimizer)

    @property
    def own(self) -> int:
        """Batches of this process in an epoch."""
        return self.data.length // self.trainer.world_size

    def _set_rate(self, optimizer: Optimizer, epoch: int, step: int) -> None:
        an_epoch = self.table.steps(self.own)
        value = rate(epoch * an_epoch + step, self.table.epochs(self.data.length) * an_epoch, self.table)
        if value is not None:
            set_rate(optimizer, value)

    def _step(self, optimizer: Optimizer) -> None:
        bound = self.table.gradient_clip or float("inf")
        self.norms.append(nn.utils.clip_grad_norm_(self._trained(), bound))
        optimizer.step()
        if self.average is not None:
            _follow(self.average, self.module, 1 - self.table.ema)


def _follow(average: nn.Module, module: nn.Module, share: float) -> None:
    """Move the average towards the module by that share; what is no floating-point number is copied."""
    with torch.no_grad():
        for mean, now in zip(average.state_dict().values(), module.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now.to(mean.dtype), share)
            else:
                mean.copy_(now)


class _Chunks:
    """The batches of the present epoch, `CHUNK` at a time; of several processes, each takes every so manieth."""

    def __init__(self, steps: _Steps) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return ceil(self.steps.own / CHUNK)

    def __iter__(self) -> Iterator[tuple[int, int, list[Batch]]]:
        trainer, epoch = self.steps.trainer, self.steps.trainer.current_epoch
        batches = islice(self.steps.data.batches(epoch), trainer.global_rank, None, trainer.world_size)
        for first in range(0, self.steps.own, CHUNK):
            yield epoch, first, list(islice(batches, min(CHUNK, self.steps.own - first)))

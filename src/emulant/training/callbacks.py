"""What happens when an epoch has ended: validate, judge, lower the rate, keep the best, write, perhaps stop."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from emulant.errors import SurrogateError
from emulant.training.batches import Score, TrainingData
from emulant.training.checkpoints import LAST
from emulant.training.logs import Curves
from emulant.training.rates import plateau
from emulant.training.table import TrainingTable
from emulant.training.weights import Extras, write_weights
from emulant.training.workshop import BEST, Workshop


@dataclass(frozen=True)
class Progress:
    """How far a training is, and what decides how it goes on."""

    epochs: int = 0
    best_epoch: int = 0
    """0: nothing has been validated yet."""
    monitor: float = 0.0
    """The monitor's value at the best epoch."""
    to_beat: float = float("inf")
    """What early stopping compares with; lower is better."""
    waited: int = 0
    """Validations since that was beaten."""
    stopped: bool = False


class EpochEnd(Callback):
    """Judges every epoch; its state is a part of `last.ckpt`."""

    def __init__(
        self,
        data: TrainingData,
        table: TrainingTable,
        workshop: Workshop,
        score: Score | None,
        monitor: Literal["score", "loss"],
        extras: Extras,
    ) -> None:
        self.data, self.table, self.workshop, self.score = data, table, workshop, score
        self.monitor, self.extras = monitor, extras
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] = {}
        """Only where there is no folder to keep them in."""
        self.plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] = {}
        self._scored = f"validation_{score.name}" if score else ""
        self._judged = self._scored if monitor == "score" else "validation_loss" if data.validation else "train_loss"
        """The column that decides."""
        before, after = ["epoch", "step", "train_loss"], ["learning_rate", "gradient_norm", "seconds"]
        parts = [f"{split}_{name}" for split in ("train", "validation") for name in data.parts]
        scored = [self._scored] if score else []
        self.curves = Curves(workshop.logs, [*before, "validation_loss", *scored, *parts, *after])
        self._last = table.epochs(data.length)
        self._clock = 0.0

    # -- what a checkpoint holds of it

    def state_dict(self) -> dict[str, Any]:
        return {"progress": asdict(self.progress), "plateau": self.plateau.state_dict() if self.plateau else {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.progress = Progress(**state_dict["progress"])
        self._plateau_state = state_dict["plateau"]

    # -- when Lightning calls

    def on_train_start(self, trainer: Trainer, steps: LightningModule) -> None:
        if self.table.scheduler == "plateau":
            self.plateau = plateau(trainer.optimizers[0], self.table)
            self.plateau.load_state_dict(self._plateau_state)
        if trainer.is_global_zero:
            self.curves.begin(self.progress.epochs)
        trainer.should_stop = self.progress.stopped
        self._clock = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, steps: LightningModule) -> None:
        row = self._measured(trainer, steps)
        judged = row.get(self._judged)
        if judged is not None:
            self._judge(trainer, steps, judged)
        self._write(trainer, steps, row)

    # -- the parts

    def _measured(self, trainer: Trainer, steps: Any) -> dict[str, Any]:
        """The row of the curves for the epoch that has just ended."""
        epoch = self.progress.epochs + 1
        self.progress = replace(self.progress, epochs=epoch)
        last = epoch == self._last
        row: dict[str, Any] = {
            "epoch": epoch,
            "step": epoch * self.table.steps(self.data.length),
            "train_loss": self._finite_mean(trainer, steps.losses, "loss"),
            "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "gradient_norm": self._finite_mean(trainer, steps.norms, "gradient"),
        }
        for name, values in steps.parts.items():
            row[f"train_{name}"] = self._part(trainer, name, torch.stack(values).float())
        if last or epoch % self.table.validate_every == 0:
            row |= self._validated(trainer, steps)
        now = time.perf_counter()
        self._clock, row["seconds"] = now, round(now - self._clock, 3)
        return row

    def _finite_mean(self, trainer: Trainer, values: Any, what: str) -> float:
        stacked = torch.stack(list(values)).float()
        mean = float(trainer.strategy.reduce(stacked.mean(), reduce_op="mean"))
        if not math.isfinite(mean):
            batch = int(stacked.isfinite().int().argmin()) + 1
            raise SurrogateError(
                f"{self.workshop.name or 'training'}: the {what} is not finite in epoch {self.progress.epochs}, "
                f"batch {batch} of {self.data.length}.",
                "Lower training.learning_rate or training.gradient_clip, or look for NaN in the data.",
            )
        return mean

    def _part(self, trainer: Trainer, name: str, values: Tensor) -> float:
        """The parts of the loss of an epoch's batches as one number."""
        whole = values.max() if self.data.parts[name] == "max" else values.mean()
        return float(trainer.strategy.reduce(whole, reduce_op="max" if self.data.parts[name] == "max" else "mean"))

    def _validated(self, trainer: Trainer, steps: Any) -> dict[str, Any]:
        """Loss and score of the present weights on the validation split."""
        found: dict[str, Any] = {}
        steps.judged.eval()
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            if self.data.validation:
                found |= self._losses(trainer, steps)
        if self.score:
            with torch.no_grad():
                value = self.score.function(steps.judged) if trainer.is_global_zero else 0.0
            found[self._scored] = float(trainer.strategy.broadcast(value))
        steps.judged.train()
        return found

    def _losses(self, trainer: Trainer, steps: Any) -> dict[str, float]:
        """The loss on the validation split, and its parts."""
        sizes = torch.tensor([len(batch[0]) for batch in self.data.validation], dtype=torch.float64)
        given = (trainer.precision_plugin.convert_input(batch) for batch in self.data.validation)
        moved = (steps.transfer_batch_to_device(batch, steps.device, 0) for batch in given)
        measured = [self.data.measure(steps.judged, batch) for batch in moved]

        def mean(values: list[Tensor]) -> float:
            return float((torch.stack([value.double().cpu() for value in values]) * sizes).sum() / sizes.sum())

        found = {"validation_loss": mean([loss for loss, _ in measured])}
        for name, how in self.data.parts.items():
            values = [parts[name] for _, parts in measured]
            found[f"validation_{name}"] = mean(values) if how == "mean" else float(torch.stack(values).max())
        return found

    def _judge(self, trainer: Trainer, steps: Any, value: float) -> None:
        """Keep the weights if they are the best so far; step plateau and early stopping."""
        progress, lower = self.progress, self._lower(value)
        if progress.best_epoch == 0 or lower < self._lower(progress.monitor):
            progress = replace(progress, best_epoch=progress.epochs, monitor=value)
            if trainer.is_global_zero:
                self._keep(steps.judged.state_dict(), progress)
        if lower < progress.to_beat - self.table.early_stopping.min_delta:
            progress = replace(progress, to_beat=lower, waited=0)
        else:
            progress = replace(progress, waited=progress.waited + 1)
        patience = self.table.early_stopping.patience
        self.progress = replace(progress, stopped=0 < patience <= progress.waited)
        an_epoch = self.table.steps(self.data.length)
        warm = round(self.table.warmup * self._last * an_epoch)
        if self.plateau is not None and progress.epochs * an_epoch >= warm:
            self.plateau.step(lower)
        trainer.should_stop = self.progress.stopped

    def _lower(self, value: float) -> float:
        """The monitor, turned so that lower is better; NaN is the worst."""
        higher = self.monitor == "score" and self.score is not None and self.score.better == "higher"
        return math.inf if math.isnan(value) else -value if higher else value

    def _keep(self, weights: dict[str, Tensor], progress: Progress) -> None:
        if self.workshop.folder is None:
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        else:
            about = {**self.extras.about, "epoch": progress.best_epoch}
            write_weights(self.workshop.folder / BEST, weights, replace(self.extras, about=about))

    def _write(self, trainer: Trainer, steps: Any, row: dict[str, Any]) -> None:
        """The curves, the weights to be kept for good, the checkpoint that knows of both, then the news."""
        epoch, end, folder = self.progress.epochs, self._last, self.workshop.folder
        if trainer.is_global_zero:
            self.curves.append(row)
            for logger in trainer.loggers:
                logger.log_metrics(row, step=row["step"])
            if folder is not None and self.table.keep_every and epoch % self.table.keep_every == 0:
                about = {**self.extras.about, "epoch": epoch}
                write_weights(
                    folder / f"epoch_{epoch}.safetensors", steps.judged.state_dict(), replace(self.extras, about=about)
                )
        due = epoch % self.table.checkpoint_every == 0 or epoch == end or self.progress.stopped
        if folder is not None and due:
            trainer.save_checkpoint(folder / LAST)
        if trainer.is_global_zero:
            self.workshop.listen(f"train {self.workshop.name}".strip(), epoch, end)

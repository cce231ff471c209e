"""The learning rate, step by step: warm-up, cosine, plateau."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from emulant.errors import UsageError
from emulant.training.table import TrainingTable


def optimizer_of(parameters: Iterable[Any], table: TrainingTable) -> Optimizer:
    """The optimizer that the table names. The fused kernels take half the time of the others on small networks."""
    if table.optimizer == "adamw_8bit":
        return _of_8_bits(parameters, table)
    kinds = {"adam": Adam, "adamw": AdamW, "sgd": SGD}
    built: Optimizer = kinds[table.optimizer](
        parameters,
        lr=table.learning_rate,
        weight_decay=table.weight_decay,
        fused=True,
    )
    return built


def _of_8_bits(parameters: Iterable[Any], table: TrainingTable) -> Optimizer:
    if find_spec("bitsandbytes") is None:
        raise UsageError(
            "training.optimizer: `adamw_8bit` needs the package bitsandbytes.",
            "Install it with `pip install bitsandbytes`, or take `adamw`.",
        )
    built: Optimizer = import_module("bitsandbytes").optim.AdamW8bit(
        parameters, lr=table.learning_rate, weight_decay=table.weight_decay
    )
    return built


def rate(step: int, steps: int, table: TrainingTable) -> float | None:
    """The learning rate of a step (from 0) of `steps`; None: leave it to the plateau."""
    length = -(-steps // table.stages)
    stage, within = divmod(step, length)
    found = _rate_within(within, length, table)
    return None if found is None else found * table.stage_factor**stage


def _rate_within(step: int, steps: int, table: TrainingTable) -> float | None:
    """The same, of one stage."""
    warm = round(table.warmup * steps)
    if step < warm:
        return table.learning_rate * (step + 1) / warm
    if table.scheduler == "plateau":
        return None
    if table.scheduler == "none":
        return table.learning_rate
    share = (step - warm) / max(1, steps - warm)
    low = min(table.minimum_learning_rate, table.learning_rate)
    return low + (table.learning_rate - low) * (1 + math.cos(math.pi * share)) / 2


def set_rate(optimizer: Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value


def plateau(optimizer: Optimizer, table: TrainingTable) -> ReduceLROnPlateau:
    """torch's own, for a monitor that is better when it is lower."""
    return ReduceLROnPlateau(
        optimizer,
        factor=table.factor,
        patience=table.patience,
        cooldown=table.cooldown,
        min_lr=table.minimum_learning_rate,
        threshold=0.0,
        threshold_mode="abs",
    )

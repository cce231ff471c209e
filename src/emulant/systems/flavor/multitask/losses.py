"""The losses of `multitask`, task by task, and their divisors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from emulant.systems.flavor.multitask.network import Transport, entropy
from emulant.training.batches import Batch

TASKS = ("stable", "ndens", "fluxmag", "direction", "growthrate", "unphysical")
LARGEST_TASK_WEIGHT = 6.0
FAINT = 1e-6
"""A flux smaller than this, over n_tot, has no direction to learn."""


class Task(NamedTuple):
    """A loss, and the largest error behind it."""

    loss: Tensor
    largest: Tensor


class Labels(NamedTuple):
    """A batch; NaN: no label."""

    start: Tensor
    """(C, 4, 2, NF), n_tot = 1."""
    final: Tensor
    growth: Tensor
    """(C,): γ / (K n_tot)."""
    stable: Tensor
    """(C,): 0 or 1."""


def tasks_of(predicted: Tensor, logit: Tensor, log_growth: Tensor, labels: Labels) -> dict[str, Task]:
    """Every task's loss; one without a label in the batch is 0."""
    known = labels.final.isfinite().flatten(1).all(dim=1)
    truth, guess = labels.final[known], predicted[known]
    growing = labels.growth.isfinite() & (labels.growth > 0)
    n_off = guess[:, 3] - truth[:, 3]
    size, true_size = _size(guess), _size(truth)
    directed = true_size > FAINT
    cosine = (guess[:, :3] * truth[:, :3]).sum(dim=1)[directed] / (size * true_size)[directed]
    log_off = log_growth[growing] - torch.log(labels.growth[growing])
    wrong = binary_cross_entropy_with_logits(logit, labels.stable, reduction="none")
    outside = guess[:, 3].clamp(max=0) ** 2 + (size**2 - guess[:, 3] ** 2).clamp(min=0)
    squares = {"stable": wrong, "ndens": n_off**2, "fluxmag": (size - true_size) ** 2, "direction": 1 - cosine}
    squares |= {"growthrate": log_off**2, "unphysical": outside}
    errors = {"stable": (torch.sigmoid(logit) - labels.stable).abs(), "ndens": n_off.abs()}
    errors |= {"fluxmag": (size - true_size).abs(), "growthrate": log_off.abs()}
    return {task: Task(_mean(squares[task]), _largest(errors.get(task, squares[task]))) for task in TASKS}


def _size(f4: Tensor) -> Tensor:
    """|F|, (C, 2, NF); differentiable at 0."""
    return (f4[:, :3] ** 2).sum(dim=1).add(1e-24).sqrt()


def _mean(values: Tensor) -> Tensor:
    return values.mean() if values.numel() else values.sum()


def _largest(values: Tensor) -> Tensor:
    return values.detach().max() if values.numel() else values.detach().sum()


def divisors(labels: Labels) -> dict[str, float]:
    """What `no_mixing` has on the labels: the entropy for `stable`, the variance for `growthrate`; 1 in place of 0."""
    logit, none = torch.zeros_like(labels.stable), torch.zeros_like(labels.growth)
    found = {task: float(loss.loss) for task, loss in tasks_of(labels.start, logit, none, labels).items()}
    growth = labels.growth[labels.growth.isfinite() & (labels.growth > 0)]
    found["growthrate"] = float(torch.log(growth).var()) if len(growth) > 1 else 1.0
    found["stable"] = entropy(float(labels.stable.mean()))
    found["unphysical"] = 1.0
    return {task: value if value > 1e-12 else 1.0 for task, value in found.items()}


@dataclass(frozen=True)
class TaskLosses:
    """The sum of all tasks, each divided by its divisor and multiplied as the study says."""

    transport: Transport
    divisors: Mapping[str, float]
    multipliers: Mapping[str, float]
    learned: bool
    """Weigh by the network's own `task_weights` s: exp(-s) L + s."""

    def parts(self) -> dict[str, Literal["mean", "max"]]:
        """What the curves show: loss and largest error of each task, weights, the violation of lepton number."""
        names: dict[str, Literal["mean", "max"]] = {}
        for task in TASKS:
            names |= {task: "mean", f"max_{task}": "max"}
        names |= {f"weight_{task}": "mean" for task in TASKS} if self.learned else {}
        return {**names, "eln_violation": "max"}

    def __call__(self, module: Any, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch (start, final, growth, stable) and its parts."""
        labels = Labels(*batch)
        answer = module(labels.start)
        final = self.transport(labels.start, answer.densities, answer.fluxes)
        found = tasks_of(final, answer.logit, answer.log_growth, labels)
        weights = module.task_weights.clamp(-LARGEST_TASK_WEIGHT, LARGEST_TASK_WEIGHT)
        total, shown = final.new_zeros(()), dict[str, Tensor]()
        for index, task in enumerate(TASKS):
            scaled = self.multipliers[task] * found[task].loss / self.divisors[task]
            total = total + (torch.exp(-weights[index]) * scaled + weights[index] if self.learned else scaled)
            shown |= {task: found[task].loss, f"max_{task}": found[task].largest, f"weight_{task}": weights[index]}
        change = (final - labels.start)[:, 3].detach()
        shown["eln_violation"] = (change[:, 0] - change[:, 1]).abs().max()
        return total, shown

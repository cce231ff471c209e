"""Batches: those of epoch e are a pure function of the seed and e, so nothing about them needs to be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from emulant.dataset.seams import Array, WindowStream
from emulant.dataset.seeds import stream
from emulant.training.table import TrainingTable

Batch: TypeAlias = tuple[Tensor, ...]
Loss: TypeAlias = Tensor | tuple[Tensor, Mapping[str, Tensor]]
"""The mean loss of a batch, a scalar; or that and its parts by name, which are shown in the curves."""
VALIDATION_ROWS = 4096


@dataclass(frozen=True)
class TrainingData:
    """What the loop is fed."""

    loss: Callable[[nn.Module, Batch], Loss]
    batches: Callable[[int], Iterable[Batch]]
    """The batches of an epoch (from 0), `length` of them: a pure function of the epoch."""
    length: int
    """Batches in an epoch."""
    validation: Sequence[Batch] = ()
    """What the validation loss is the mean of; empty: there is none."""
    parts: Mapping[str, Literal["mean", "max"]] = field(default_factory=dict)
    """The parts that the loss names, and how those of many batches become one number."""
    share: Callable[[Batch, int, int], tuple[Batch, float]] | None = None
    """What the rank of so many processes computes of a batch, and what part of the whole it is; None: every so manieth
    row of each tensor."""

    def measure(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss of a batch and its parts, detached."""
        found = self.loss(module, batch)
        loss, parts = found if isinstance(found, tuple) else (found, {})
        return loss, {name: parts[name].detach() for name in self.parts}


@dataclass(frozen=True)
class Score:
    """How good a module is at what it is for, such as a rollout on the validation split; the loss seldom says."""

    function: Callable[[nn.Module], float]
    name: str = "score"
    """What the curves call it: `validation_NAME`."""
    better: Literal["higher", "lower"] = "higher"


def share_of_rows(batch: Batch, rank: int, processes: int) -> tuple[Batch, float]:
    """The rows rank, rank + processes, ... of each tensor, and what part of the rows they are.

    Where there are fewer rows than processes, some compute a row that counts for nothing: all must take part.
    """
    own = tuple(tensor[rank::processes] if rank < len(tensor) else tensor[:1] for tensor in batch)
    part = len(own[0]) / len(batch[0]) if rank < len(batch[0]) else 0.0
    return own, part


def of_tensors(
    loss: Callable[[nn.Module, Batch], Loss],
    training: Batch,
    validation: Batch | None,
    table: TrainingTable,
    seed: int,
) -> TrainingData:
    """Training data of tensors in memory whose first axis counts the examples, drawn without replacement."""
    count = len(training[0])
    size = min(table.batch_size, count)
    length = table.epoch_batches or count // size

    def batches(epoch: int) -> Iterator[Batch]:
        for rows in shuffled(count, size, length, seed, epoch):
            chosen = torch.from_numpy(rows)
            yield tuple(tensor[chosen] for tensor in training)

    return TrainingData(loss, batches, length, _in_pieces(validation))


def of_stream(
    loss: Callable[[nn.Module, Batch], Tensor],
    stream: WindowStream,
    size: int,
    examples: Callable[[Array, Array], Batch],
    validation: Batch | None,
    table: TrainingTable,
) -> TrainingData:
    """Training data that are read as they are needed.

    Args:
        loss: The mean loss of a batch.
        stream: Deals out windows in batches of `size`; incomplete batches are left out.
        examples: Makes a batch of windows (B, W, ...) and parameters (B, P).
        validation: In memory.
        table: Its `epoch_batches`; unset: all of the stream in an epoch.
    """
    whole = max(1, stream.count // size)
    length = table.epoch_batches or whole

    def batches(epoch: int) -> Iterator[Batch]:
        position = epoch * length  # in the stream without end that all epochs of it make
        while position < (epoch + 1) * length:
            its_epoch, start = divmod(position, whole)
            left = min(whole - start, (epoch + 1) * length - position)
            for windows, parameters in islice(stream.epoch(its_epoch, start), left):
                yield examples(windows, parameters)
            position += left

    return TrainingData(loss, batches, length, _in_pieces(validation))


def _in_pieces(validation: Batch | None) -> tuple[Batch, ...]:
    parts = zip(*(torch.split(tensor, VALIDATION_ROWS) for tensor in validation), strict=True) if validation else ()
    return tuple(parts)


def shuffled(count: int, size: int, length: int, seed: int, epoch: int) -> Array:
    """(length, size) numbers below `count`: each comes once before any comes again; pure in (seed, epoch)."""
    rng = stream(seed, "training", epoch)
    passes = -(-length * size // count)
    order = np.concatenate([rng.permutation(count) for _ in range(passes)])
    return order[: length * size].reshape(length, size)

"""Where a network is trained: its files, its seed, and who hears of it. Importing this imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

BEST = "best.safetensors"
"""The weights that everything but resume reads."""
ABOUT = "emulant"
"""The entry of its header that says what they are of."""

Listener: TypeAlias = Callable[[str, int, int], None]


def silent(_what: str, _done: int, _total: int) -> None:
    """The listener of those who do not want to hear."""


@dataclass(frozen=True)
class Workshop:
    """What a stage gives a learner to train in. The default keeps everything in memory."""

    name: str = ""
    """What messages and progress call the learner."""
    folder: Path | None = None
    """For `last.ckpt` and `best.safetensors`; None: nothing is written, and nothing can be resumed."""
    logs: Path | None = None
    """For `metrics.csv`; None: no curves are kept."""
    seed: int = 0
    """The study's; all chance of a training follows from it."""
    key: str = ""
    """Hash of all that decides the weights. A checkpoint with another key is refused."""
    listen: Listener = silent
    """Hears of every epoch: what, how many are done, how many there are."""


@runtime_checkable
class Trainable(Protocol):
    """A learner that is trained by the loop. The stage sets its workshop before it calls `fit`."""

    workshop: Workshop


def kept_epoch(folder: Path) -> int | None:
    """The epoch that the weights in a model's folder are of, from 1; None where the file does not say so.

    A safetensors file begins with the length of its header (8 bytes, little-endian) and the header as JSON: no torch
    is needed to read it.
    """
    try:
        with (folder / BEST).open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        epoch = json.loads(header["__metadata__"][ABOUT]).get("epoch")
    except (OSError, ValueError, KeyError, OverflowError, MemoryError):
        return None
    return int(epoch) if epoch is not None else None

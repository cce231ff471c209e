"""An endless stream of batches out of a file, for training loops that just ask for the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emulant.dataset.seams import Array
from emulant.systems.pendulum.readers import open_dataset


class Pipeline:
    """Batches (B, W, D) of random windows out of a Parquet file or folder, epoch after epoch, without preloading.

    Args:
        path: What `open_dataset` opens.
        length: Samples of a window, W.
        state: Where to begin: (epoch, batches of it that are done). A pipeline with the `state` of another goes on
            just as that one would have.
        options: batch, stride, seed, columns, dtype of `PendulumDataset.windows`.

    Raises:
        DataError: The files are not sound, or a simulation is shorter than a window.
    """

    def __init__(self, path: str | Path, length: int, *, state: tuple[int, int] = (0, 0), **options: Any) -> None:
        self.windows = open_dataset(path).windows(length, **options)
        self.state = state
        self._batches = self.windows.epoch(*state)

    def get_batch(self) -> Array:
        """The next batch; after the last one of an epoch the first of the next."""
        epoch, position = self.state
        if position >= len(self.windows):
            epoch, position = epoch + 1, 0
            self._batches = self.windows.epoch(epoch)
        batch = next(self._batches)
        self.state = (epoch, position + 1)
        return batch

    def __iter__(self) -> Iterator[Array]:
        while True:
            yield self.get_batch()

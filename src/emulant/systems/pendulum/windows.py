"""Random windows straight from Parquet, without loading the files.

The order of an epoch is a pure function of the seed, the epoch and the index: the row groups are permuted and taken
`GROUPS` at a time; all windows of those are shuffled together and dealt out in batches, which run on from one handful
to the next. So every window comes once per epoch, memory holds one handful, and a stopped stream goes on at any batch
without state beside (epoch, position). No worker processes: decoding is a small part of the cost, copying windows the
rest, and both are faster than any network that trains on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream
from emulant.errors import DataError, UsageError
from emulant.systems.pendulum.blocks import Block

GROUPS = 8
"""Row groups whose windows are shuffled together."""
ROWS = 2_000_000
"""Rows that are held at most, unless one row group alone has more."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Batches (B, W, D) of windows of W consecutive samples that lie in one simulation each.

    `for batch in windows` is epoch 0; `epoch(e, start)` begins at batch number `start` of epoch e. The last batch of
    an epoch may be smaller. W + 1 samples give a sequence and its targets: `batch[:, :-1], batch[:, 1:]`.
    """

    blocks: tuple[Block, ...]
    columns: tuple[str, ...]
    length: int
    batch: int = 256
    stride: int = 1
    """Samples between the starts of neighbouring windows of a simulation."""
    seed: int = 0
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        for name in ("length", "batch", "stride"):
            if getattr(self, name) < 1:
                raise UsageError(f"windows: {name} is {getattr(self, name)}.", "It must be 1 or more.")
        for block in self.blocks:
            short = block.rows.filter(block.rows["length"] < self.length)
            if len(short):
                raise DataError(
                    f"{block.path}: row group {block.group}: {short['sim_id'][0]} has {short['length'][0]} samples, "
                    f"a window {self.length}.",
                    "Ask for shorter windows.",
                )

    @cached_property
    def counts(self) -> Array:
        """(blocks,) windows in each block."""
        return np.array([self._per_simulation(block.lengths).sum() for block in self.blocks], dtype=np.int64)

    @property
    def count(self) -> int:
        """Windows in an epoch."""
        return int(self.counts.sum())

    def __len__(self) -> int:
        """Batches in an epoch."""
        return (self.count + self.batch - 1) // self.batch

    def __iter__(self) -> Iterator[Array]:
        return self.epoch(0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Array]:
        """The batches of an epoch from batch number `start` on, (B, W, D) each.

        Raises:
            DataError: What is stored is not sound; names file, row group and simulation.
        """
        rest = self._empty()
        for view, order in self._handfuls(epoch, start * self.batch):
            begin = 0
            while begin < len(order):
                end = begin + self.batch - len(rest)
                batch = view[order[begin:end]].reshape(-1, *rest.shape[1:])
                batch = np.concatenate([rest, batch]) if len(rest) else batch
                begin, rest = end, self._empty() if len(batch) == self.batch else batch
                if not len(rest):
                    yield batch
        if len(rest):
            yield rest

    def window(self, number: int) -> Array:
        """Window `number` of `count` in the order in which they are stored, (W, D)."""
        last = np.cumsum(self.counts)
        block = int(np.searchsorted(last, number, side="right"))
        view, starts = self._load([block])
        found: Array = view[starts[number - last[block] + self.counts[block]]].reshape(self.length, -1)
        return found

    def _handfuls(self, epoch: int, ahead: int) -> Iterator[tuple[Array, Array]]:
        """Per handful all windows (rows - W + 1, W·D) and which of them come, in order; the first `ahead` do not."""
        for number, handful in enumerate(self._order(epoch)):
            count = int(self.counts[handful].sum())
            if count > ahead:
                view, starts = self._load(handful)
                yield view, starts[stream(self.seed, "training", epoch, number).permutation(count)[ahead:]]
            ahead = max(0, ahead - count)

    def _order(self, epoch: int) -> Iterator[list[int]]:
        """The blocks in the order of an epoch, a handful at a time."""
        handful: list[int] = []
        rows = 0
        for block in stream(self.seed, "training", epoch).permutation(len(self.blocks)).tolist():
            more = int(self.blocks[block].lengths.sum())
            if handful and (len(handful) == GROUPS or rows + more > ROWS):
                yield handful
                handful, rows = [], 0
            handful, rows = [*handful, block], rows + more
        if handful:
            yield handful

    def _load(self, handful: Sequence[int]) -> tuple[Array, Array]:
        """Blocks in memory: every W consecutive rows (rows - W + 1, W·D), and the rows where windows begin (count,)."""
        chosen = [self.blocks[number] for number in handful]
        values = np.concatenate([block.stacked(self.columns, self.dtype) for block in chosen])
        lengths = np.concatenate([block.lengths for block in chosen])
        counts = self._per_simulation(lengths)
        first = np.repeat(np.cumsum(lengths) - lengths, counts)
        step = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        width = len(self.columns)
        # rows of one window lie side by side in memory, so that taking it is one copy
        view = sliding_window_view(values.reshape(-1), self.length * width)[::width]
        return view, first + step * self.stride

    def _per_simulation(self, lengths: Array) -> Array:
        counts: Array = (lengths - self.length) // self.stride + 1
        return counts

    def _empty(self) -> Array:
        return np.empty((0, self.length, len(self.columns)), self.dtype)


@dataclass(frozen=True, eq=False)
class FieldStream:
    """Windows as learners want them: those of a field, and the parameters of their cases beside them."""

    windows: Windows
    """Their columns are those of the field, then the parameters."""
    width: int
    """Columns of the field."""

    @property
    def count(self) -> int:
        return self.windows.count

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """(B, W, width) and (B, P)."""
        for batch in self.windows.epoch(epoch, start):
            yield batch[..., : self.width], batch[:, 0, self.width :]

"""How a dataset is dealt out in pieces: in order, or shuffled as a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream


def in_batches(
    read: Callable[[Sequence[str], Sequence[int]], dict[str, Array]],
    cases: Array,
    size: int,
    fields: Sequence[str],
    seed: int | None,
    epoch: int,
) -> Iterator[dict[str, Array]]:
    """`read` of the cases (C,) in pieces of at most `size`; shuffled if seed is given."""
    order = cases if seed is None else stream(seed, "training", epoch).permutation(cases)
    for start in range(0, len(order), size):
        yield read(fields, order[start : start + size].tolist())

"""What of torch belongs to the whole process: threads and the random stream. Both are lent, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from emulant.dataset.seeds import sequence


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, torch computes on this many threads of the CPU: small networks are fastest, and bits the same, on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def initialised(seed: int) -> Iterator[None]:
    """Inside, modules get the initial weights that belong to the study's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, 0))
        yield


def torch_seed(seed: int, *numbers: int) -> int:
    """A seed for torch's stream: that of the initial weights is (0,), that of epoch e (1, e)."""
    return int(sequence(seed, "training", len(numbers), *numbers).generate_state(1, np.uint64)[0] >> 1)

"""Batches that are made while the last one is trained on, by threads: what makes them may read files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")


def ahead(makers: Iterable[Callable[[], ItemT]], workers: int = 1, room: int = 16) -> Iterator[ItemT]:
    """What the makers make, in their order, up to `room` of it in advance; an error comes where it belongs."""
    waiting: deque[Future[ItemT]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for make in makers:
                waiting.append(pool.submit(make))
                if len(waiting) > room:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for item in waiting:
                item.cancel()

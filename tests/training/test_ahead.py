"""Batches that are made in advance: the same ones, their errors in place, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from emulant.training.ahead import ahead


def slow_at_first(item: int) -> int:
    time.sleep(0.02 if item < 2 else 0)
    return item


@pytest.mark.parametrize("workers", [1, 4])
def test_the_same_items_in_the_same_order(workers: int) -> None:
    assert list(ahead((partial(slow_at_first, item) for item in range(100)), workers, room=3)) == list(range(100))
    assert list(ahead([], workers)) == []


def test_items_are_made_before_they_are_asked_for() -> None:
    made: list[int] = []

    def makers() -> Iterator[Callable[[], None]]:
        for item in range(10):
            yield partial(made.append, item)

    found = ahead(makers(), room=4)
    assert next(found) is None
    end = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert made == [0, 1, 2, 3, 4]
    found.close()  # type: ignore[attr-defined]


def test_an_error_comes_where_it_belongs() -> None:
    def torn() -> int:
        raise ValueError("torn")

    found = ahead([lambda: 1, torn, lambda: 3])
    assert next(found) == 1
    with pytest.raises(ValueError, match="torn"):
        next(found)


def test_no_thread_is_left_by_who_stops_early() -> None:
    before = threading.active_count()
    found = ahead((partial(slow_at_first, item) for item in range(1000)), workers=3, room=2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before

"""Batches that are made in advance: the same ones, their errors in place, and no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from emulant.training.ahead import ahead


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(range(100), room=3)) == list(range(100))
    assert list(ahead([])) == []


def test_items_are_made_before_they_are_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            made.append(item)
            yield item

    found = ahead(items(), room=4)
    assert next(found) == 0
    end = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert 5 <= len(made) <= 6
    found.close()  # type: ignore[attr-defined]


def test_an_error_comes_where_it_belongs() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="torn"):
        next(found)


def test_no_thread_is_left_by_who_stops_early() -> None:
    before = threading.active_count()
    found = ahead(range(1000), room=2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before

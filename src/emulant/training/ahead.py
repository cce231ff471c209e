"""Batches that are made while the last one is trained on, by a thread: what makes them may read files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

ItemT = TypeVar("ItemT")


def ahead(items: Iterable[ItemT], room: int = 16) -> Iterator[ItemT]:
    """The same items in the same order, up to `room` of them made in advance; an error comes where it belongs."""
    queue: Queue[tuple[ItemT | None, Exception | None] | None] = Queue(room)
    stopped = Event()

    def make() -> None:
        try:
            for item in items:
                queue.put((item, None))
                if stopped.is_set():
                    return
            queue.put(None)
        except Exception as error:  # told to whoever asks for the item
            queue.put((None, error))

    thread = Thread(target=make, daemon=True)
    thread.start()
    try:
        while (found := queue.get()) is not None:
            item, error = found
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # without an error there is an item
    finally:
        stopped.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get_nowait()
            thread.join(0.01)

"""What happened in a run folder and how long it took: `logs/events.jsonl`, one event a line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from emulant.dataset.atomic import storage_error
from emulant.folder import RunFolder


@contextmanager
def logged(folder: RunFolder, what: str) -> Iterator[None]:
    """Log the enclosed work with its seconds and, if it ends in an error, that."""
    start, error = time.perf_counter(), ""
    try:
        yield
    except BaseException as raised:
        error = f"{type(raised).__name__}: {raised}"
        raise
    finally:
        _append(folder, {"what": what, "seconds": round(time.perf_counter() - start, 3), "error": error})


def _append(folder: RunFolder, event: dict[str, object]) -> None:
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **event})
    try:
        folder.events.parent.mkdir(parents=True, exist_ok=True)
        with folder.events.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise storage_error(folder.events, error) from error


def timings(folder: RunFolder) -> dict[str, float]:
    """What was done -> seconds that it took the last time it was done in full."""
    if not folder.events.is_file():
        return {}
    found: dict[str, float] = {}
    for line in folder.events.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
            what, seconds, error = str(event["what"]), float(event["seconds"]), event["error"]
        except (ValueError, KeyError, TypeError):
            continue  # a line that a kill has cut short says nothing
        if not error:
            found[what] = seconds
    return found

"""One folder per system, everything that knows its physics. Systems are found through entry points, the user's too."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points

from emulant.dataset.seams import System
from emulant.errors import UsageError

GROUP = "emulant.systems"


def names() -> tuple[str, ...]:
    """The names of all installed systems, without importing any."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def load(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: No such system is installed; the message names the nearest.
    """
    for entry in entry_points(group=GROUP, name=name):
        system: System = entry.load()
        return system
    near = get_close_matches(name, names(), n=1)
    mend = f"Did you mean `{near[0]}`?" if near else f"Installed are: {', '.join(names())}."
    raise UsageError(f"there is no system `{name}`.", mend)

"""One folder per system, everything that knows its physics. Systems are found through entry points, the user's too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from importlib.metadata import entry_points

from emulant.dataset.seams import System
from emulant.errors import UsageError

GROUP = "emulant.systems"


def names() -> tuple[str, ...]:
    """The names of all installed systems, without importing any."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def working() -> Iterator[System]:
    """All systems that can be loaded; a broken one must not keep the others from being used."""
    for name in names():
        with suppress(UsageError):
            yield load(name)


def broken() -> dict[str, str]:
    """The systems that cannot be loaded, and why."""
    found = {}
    for name in names():
        try:
            load(name)
        except UsageError as error:
            found[name] = str(error)
    return found


def load(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: No such system is installed; the message names the nearest.
    """
    for entry in entry_points(group=GROUP, name=name):
        try:
            system: System = entry.load()
        except Exception as error:  # the code of others may fail in any way when it is imported
            package = entry.dist.name if entry.dist else entry.value
            raise UsageError(
                f"the system `{name}` of {package} cannot be loaded: {type(error).__name__}: {error}.",
                "Mend or remove that package.",
            ) from error
        return system
    near = get_close_matches(name, names(), n=1)
    mend = f"Did you mean `{near[0]}`?" if near else f"Installed are: {', '.join(names())}."
    raise UsageError(f"there is no system `{name}`.", mend)

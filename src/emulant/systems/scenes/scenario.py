"""What a type of scene is: a function that builds it, and one that says whether the thing in its name happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulant.systems.scenes.events import Watched
from emulant.systems.scenes.stage import Stage

Build = Callable[[Stage, int], None]
Happened = Callable[[Watched], bool]
SPACE = (0.0, 0.0)
"""No gravity."""


@dataclass(frozen=True)
class Scenario:
    """One of the 35 types."""

    name: str
    category: str
    build: Build
    """Fills a stage for a difficulty."""
    happened: Happened
    objects: tuple[int, ...]
    """Dynamic bodies at difficulties 1 to 5."""
    gravity: tuple[float, float] = (0.0, -981.0)
    hardest: int = 8
    """The largest difficulty whose geometry fits into the canvas."""
    iterations: int = 0
    """Of the contact solver, at least: what falls or swings as one column gains energy where it does not converge."""

    @property
    def description(self) -> str:
        """One sentence, the first line of the function that builds it."""
        return (self.build.__doc__ or "").strip().partition("\n")[0]

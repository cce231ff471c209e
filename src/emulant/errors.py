"""Every error that emulant raises on purpose, in one tree.

::

    EmulantError                 exit code 1: something failed
    ├── UsageError               exit code 2: asked for in a way that cannot be done; nothing was written
    │   └── StudyError           the study file, all its faults at once
    ├── DataError                a file is missing, damaged, foreign or not what it promises
    ├── SimulationError          a case cannot be simulated, or more cases failed than the study allows
    ├── SurrogateError           a surrogate cannot be fitted, loaded or put to this use
    └── EngineError              the engine, not the simulation, gave up

A message says what is wrong, where, and how to mend it, in one or two lines. A traceback is for bugs and `--debug`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class EmulantError(Exception):
    """Base of the tree.

    Args:
        what: What is wrong and where, one sentence.
        mend: How to mend it, one sentence; empty when there is nothing to add.
    """

    exit_code = 1

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} {mend}".strip())
        self.what = what
        self.mend = mend

    def __reduce__(self) -> tuple[type[EmulantError], tuple[str, ...]]:
        return type(self), (self.what, self.mend)


class UsageError(EmulantError):
    """The call cannot be carried out as it was asked for. Nothing has been written."""

    exit_code = 2


@dataclass(frozen=True)
class Fault:
    """One fault of a study file: where it is, what is wrong, what is allowed."""

    key: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.key}: {self.what}" + (f" ({self.hint})" if self.hint else "")


class StudyError(UsageError):
    """A study file with faults, one line each.

    Args:
        source: The file, or the name of the built-in study.
        faults: All of them, in the order of the file where that is known.
    """

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(f"{source}: {fault}" for fault in faults))
        self.source = source
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[type[EmulantError], tuple[object, ...]]:  # type: ignore[override]
        return type(self), (self.source, self.faults)


class DataError(EmulantError):
    """A file is missing, damaged, foreign or not what it promises."""


class SimulationError(EmulantError):
    """A case cannot be simulated, or more cases failed than the study allows."""


class SurrogateError(EmulantError):
    """A surrogate cannot be fitted, loaded or put to this use."""


class EngineError(EmulantError):
    """The engine, not the simulation, gave up."""

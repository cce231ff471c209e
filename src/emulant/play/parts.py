"""What a system brings to be played with: controls, actions that answer a message by arrays, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from emulant.dataset.seams import Array
from emulant.dataset.tables import Table


@dataclass(frozen=True)
class Control:
    """One thing that can be set on the page, and that every message tells under its name.

    A switch if the value is a bool, a choice if there are `choices`, a slider if there are `low` and `high`.
    """

    name: str
    label: str
    value: float | str | bool
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    """The slider moves in the logarithm."""
    choices: tuple[str, ...] = ()
    unit: str = ""
    group: str = ""
    """Controls of one group stand under its name."""


@dataclass(frozen=True)
class Answer:
    """What an action says: arrays to be drawn, and plain facts to be read."""

    arrays: Mapping[str, Array]
    """Sent as float32, or as uint8 and int32 where they are that already."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON types."""


@dataclass(frozen=True)
class Action:
    """What the page may ask for: the table that a message must fit, and the function that answers it."""

    message: type[Table]
    answer: Callable[[Any, Any], Answer]
    """Of a loaded model and a message; pure, for the page may ask in any order."""
    slow: bool = False
    """Takes seconds: it waits in a line of its own, and others go past."""


@dataclass(frozen=True)
class Play:
    """All that a system brings."""

    title: str
    hint: str
    """One or two sentences: what to do, and what is seen."""
    script: Path
    """The ES module that draws; it exports `start(stage)`."""
    actions: Mapping[str, Action]
    controls: Sequence[Control] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the drawing needs to know once; JSON types."""


@dataclass(frozen=True)
class Models:
    """The models that a page may choose from."""

    kinds: Mapping[str, str]
    """Name -> surrogate or baseline."""
    chosen: str
    load: Callable[[str], Any]

    @cached_property
    def _loaded(self) -> dict[str, Any]:
        return {}

    def get(self, name: str) -> Any:
        """A model, loaded when it is first asked for."""
        if name not in self._loaded:
            self._loaded[name] = self.load(name)
        return self._loaded[name]


def described(play: Play, models: Models, run: str) -> dict[str, Any]:
    """What the page is told when it opens."""
    return {
        "title": play.title,
        "hint": play.hint,
        "run": run,
        "models": dict(models.kinds),
        "model": models.chosen,
        "controls": [asdict(control) for control in play.controls],
        "slow": [name for name, action in play.actions.items() if action.slow],
        "facts": dict(play.facts),
    }

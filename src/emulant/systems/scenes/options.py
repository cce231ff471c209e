"""The flags that `emulant render` and `emulant export` have for scenes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated

from pydantic import Field

from emulant.dataset.tables import Table
from emulant.errors import UsageError
from emulant.systems.scenes.catalogue import TYPES


class RenderOptions(Table):
    """The flags of `emulant render RUN|STUDY` for scenes: `--gallery` or `--comparisons`."""

    gallery: bool = False
    """One GIF per type, simulated anew: `figures/gallery/TYPE.gif`."""
    comparisons: bool = False
    """Truth (left) beside prediction (right) of scenes that were evaluated: `figures/TYPE_cmp.gif`."""
    types: str = ""
    """Comma-separated; by default all of the study."""
    difficulty: Annotated[int, Field(ge=1, le=5)] = 3
    """Of the gallery."""
    scenes: Annotated[int, Field(ge=1)] = 1
    """Comparisons per type: `TYPE_cmp.gif`, `TYPE_cmp_2.gif`, ..."""
    surrogate: str = ""
    """Whose predictions; by default the best of the leaderboard."""
    split: str = ""
    """Of comparisons; by default the first test split that has the type."""
    fps: Annotated[int, Field(ge=1, le=50)] = 15
    output: str = ""
    """Another folder for the files."""


class ExportOptions(Table):
    """The flags of `emulant export RUN|SPLIT --format jsonl|text|predictions|document`."""

    types: str = ""
    """Comma-separated; by default all."""
    scenes: Annotated[int, Field(ge=1)] | None = None
    """The first ones of each type; by default all."""


def chosen_types(asked: str, known: Sequence[str]) -> Sequence[str]:
    """The types of a comma-separated list, `known` if it is empty or `all`.

    Raises:
        UsageError: There is no such type.
    """
    names = [name.strip() for name in asked.split(",") if name.strip() not in ("", "all")]
    for name in names:
        if name not in TYPES:
            near = get_close_matches(name, TYPES, n=1)
            mend = f"Did you mean {near[0]}?" if near else f"There are {', '.join(TYPES)}."
            raise UsageError(f"--types {name}: there is no such type of scene.", mend)
    return names or known

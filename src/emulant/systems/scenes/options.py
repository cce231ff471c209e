"""The flags that `emulant render` has for scenes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from emulant.dataset.tables import Table


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

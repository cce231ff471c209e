"""The flags that `emulant predict` and `emulant render` have for a swarm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emulant.dataset.tables import Table


class PredictOptions(Table):
    """The flags of `emulant predict RUN INPUT` for a swarm."""

    horizon: Annotated[int, Field(ge=1, le=100_000)] = 17
    """Frames to forecast."""
    context: Annotated[int, Field(ge=1)] | None = None
    """Use only so many frames of the input, from its beginning; by default all of them."""


class RenderOptions(Table):
    """The flags of `emulant render RUN` for a swarm."""

    surrogate: str | None = None
    """By default the best of the leaderboard."""
    split: str = "test"
    case: Annotated[int, Field(ge=0)] | None = None
    """By default the first case of each family."""
    start: str = ""
    """A warm start, such as 1; by default the cold start."""
    format: Literal["gif", "mp4"] = "gif"
    fps: Annotated[int, Field(ge=1, le=30)] = 5

"""The flags that `emulant predict`, `emulant render` and `emulant validate` have for pendulums."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emulant.dataset.tables import Table


class PredictOptions(Table):
    """The flags of `emulant predict RUN INPUT.parquet` for pendulums."""

    horizon: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Steps to forecast; by default as long as the study's simulations are."""
    context: Annotated[int, Field(ge=1)] | None = None
    """Samples at the end of each simulation that the surrogate sees; by default as many as it needs."""
    g: Annotated[float, Field(gt=0)] = 9.81
    """m/s², of files that do not say it."""


class RenderOptions(Table):
    """The flags of `emulant render RUN` for pendulums."""

    surrogate: str | None = None
    """By default the best of the leaderboard."""
    against: str | None = None
    """The model beside it; by default the best baseline."""
    split: str = "test"
    case: Annotated[int, Field(ge=0)] | None = None
    """By default the median and the worst of the chaotic cases."""
    start: str = ""
    """A warm start, such as 1; by default the cold start."""
    format: Literal["gif", "mp4"] = "gif"
    fps: Annotated[int, Field(ge=1, le=30)] = 20
    """Films run in real time: at fewer frames per second they show fewer of the samples."""
    trail: Annotated[float, Field(ge=0)] = 1.0
    """s of the second bob's path that are still seen, fading."""


class ValidateOptions(Table):
    """The flags of `emulant validate PATH` for Parquet files that belong to no run."""

    g: Annotated[float, Field(gt=0)] = 9.81
    """m/s², of files that do not say it."""
    tolerance: Annotated[float, Field(gt=0)] | None = None
    """Relative error that a stored step may have, in files that do not say how they were made; by default 1e-5."""

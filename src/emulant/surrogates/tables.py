"""The study tables of the learners here, apart from them: reading a study must not import what it may never use."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from emulant.dataset.tables import Table

Positive = Annotated[int, Field(ge=1)]
Ridge = Annotated[float, Field(ge=0)]


class PODTable(Table):
    """How many modes: a share of the variance, or a rank that stands over it."""

    energy: Annotated[float, Field(gt=0, le=1)] = 0.995
    rank: Annotated[int, Field(ge=1)] | None = None


class TuningTable(Table):
    """What to choose from, by the closed-loop R² on held-out folds of the training cases."""

    ranks: Annotated[tuple[Positive, ...], Field(min_length=1)] = (10, 20, 30, 40, 50, 60, 80, 100)
    lags: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2, 4)
    ridges: Annotated[tuple[Ridge, ...], Field(min_length=1)] = (1e-6, 1e-4, 1e-2, 1e-1, 1.0, 10.0, 100.0)
    intercepts: Annotated[tuple[bool, ...], Field(min_length=1)] = (False, True)
    folds: Annotated[int, Field(ge=2)] = 5


class PodMvarTable(PODTable):
    """`[surrogates.pod_mvar]`."""

    lag: Positive = 4
    ridge: Ridge = 1e-6
    intercept: bool = False
    tune: TuningTable | None = None
    """Present: rank, lag, ridge and intercept are chosen, and what stands above is not used (`lag`: the most)."""
    blend: bool = False
    """Fade into the climatology, see `emulant.surrogates.blending`."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the training cases for `blend`."""

    @model_validator(mode="after")
    def _lags_within_context(self) -> Self:
        if self.tune is not None and max(self.tune.lags) > self.lag:
            raise ValueError(f"tune.lags must not exceed lag = {self.lag}, the frames of context")
        return self

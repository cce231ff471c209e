"""The `[evaluation]` table of a study."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from emulant.dataset.tables import Table

Seconds = Annotated[float, Field(gt=0)]


class ScoringTable(Table):
    """How sure the scores are."""

    resamples: Annotated[int, Field(ge=1000, le=1_000_000)] = 2000
    """Bootstrap resamples behind every interval."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    batch_cases: Annotated[int, Field(ge=1)] = 64
    """Cases that are predicted at once."""


class EmulationTable(ScoringTable):
    """`[evaluation]` of a system whose surrogates map a state to a state."""

    samples: Annotated[int, Field(ge=1)] = 1
    """Draws of what is asked for more than one answer."""


class EvaluationTable(ScoringTable):
    """From where forecasts start, at which lead times they are scored, and how sure the scores are.

    Times are in the system's unit of time (s unless its reference says otherwise).
    """

    context_frames: Annotated[int, Field(ge=1)] | None = None
    """Frames of context of a cold start; unset: the longest lag among the study's surrogates."""
    warm_starts: tuple[Seconds, ...] = (1.0,)
    """Forecasts of `test` whose last context frame lies at that time; everything before it is context, too. Further
    test splits, made for a question of their own, are forecast from a cold start only."""
    horizons: Annotated[tuple[Seconds, ...], Field(min_length=1)] | None = None
    """Lead times that are reported; unset: about logarithmic, from one frame to the end."""
    rollout_frames: Annotated[int, Field(ge=1)] | None = None
    """Frames that are forecast; unset: to the end of the cases."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for key, times in (("warm_starts", self.warm_starts), ("horizons", self.horizons or ())):
            if len({as_text(time) for time in times}) < len(times):
                raise ValueError(f"{key} names the same time twice")
        return self


def as_text(time: float) -> str:
    """A time as it stands in groups (`ring@1`) and horizons (`0.5`): six digits, so 0.1 + 0.2 reads 0.3."""
    return f"{time:.6g}"

"""An encoder and something that continues sequences of its codes, together a forecaster of fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from emulant.dataset.seams import Array
from emulant.errors import SurrogateError


class Encoder(Protocol):
    """Fields, flattened, to a few numbers and back."""

    def encode(self, snapshots: Array) -> Array:
        """(..., n) -> (..., r)"""

    def decode(self, latents: Array) -> Array:
        """(..., r) -> (..., n)"""


class SequenceModel(Protocol):
    """Continues sequences of codes in closed loop."""

    @property
    def lag(self) -> int: ...

    def rollout(self, context: Array, horizon: int) -> Array:
        """(C, K, r) with K >= lag -> (C, horizon, r)"""


EncoderT_co = TypeVar("EncoderT_co", bound=Encoder, covariant=True)
SequenceModelT_co = TypeVar("SequenceModelT_co", bound=SequenceModel, covariant=True)


@dataclass(frozen=True)
class Latent(Generic[EncoderT_co, SequenceModelT_co]):
    """Encode, continue, decode: POD + MVAR, or POD + a recurrent network."""

    encoder: EncoderT_co
    forecaster: SequenceModelT_co

    @property
    def lag(self) -> int:
        return self.forecaster.lag

    def forecast(self, frames: Array, horizon: int) -> Array:
        """The `horizon` frames (C, horizon, ...) after (C, K, ...); inf from where the rollout has overflowed.

        Raises:
            SurrogateError: Fewer than `lag` frames.
        """
        if frames.shape[1] < self.lag:
            raise SurrogateError(
                f"The context has {frames.shape[1]} frames, the model needs {self.lag}.",
                "Give more frames, or train with a smaller `lag`.",
            )
        context, shape = frames[:, -self.lag :], frames.shape[2:]
        latents = self.encoder.encode(context.reshape(*context.shape[:2], -1))
        continued = self.forecaster.rollout(latents, horizon)
        # Codes of an unstable model may have overflowed to inf, and inf - inf is NaN, which would mean "not put out".
        with np.errstate(over="ignore", invalid="ignore"):
            fields = self.encoder.decode(continued).reshape(len(frames), horizon, *shape)
        fields[np.isnan(fields)] = np.inf
        return fields

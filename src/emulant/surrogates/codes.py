"""What a sequence model sees of frames, and the way back: the coordinates of a state, or the modes of a field.

Both are fitted on training data only, stored with the weights, and the only road into a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emulant.dataset.seams import Array, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.pod import POD

BATCH_CASES = 64


class Codes(Protocol):
    """Frames to codes and back."""

    @property
    def circles(self) -> int:
        """So many of the first codes are sines, and as many after them the cosines of the same angles."""

    def encode(self, frames: Array) -> Array:
        """(C, K, ...) -> (C, K, F)"""

    def decode(self, codes: Array, last: Array) -> Array:
        """(C, H, F), and the frame (C, ...) before them -> (C, H, ...)"""

    def arrays(self) -> dict[str, Array]:
        """What `codes_from` needs to make it again."""


@dataclass(frozen=True)
class StateCodes:
    """States (..., D): the sines, then the cosines of the periodic components, then the others as they are."""

    size: int
    periodic: tuple[int, ...] = ()

    @property
    def circles(self) -> int:
        return len(self.periodic)

    @property
    def straight(self) -> list[int]:
        """The components that are not periodic."""
        return [index for index in range(self.size) if index not in self.periodic]

    def encode(self, frames: Array) -> Array:
        angles = frames[..., list(self.periodic)]
        return np.concatenate([np.sin(angles), np.cos(angles), frames[..., self.straight]], axis=-1)

    def decode(self, codes: Array, last: Array) -> Array:
        """Angles go on from those of `last` without a jump."""
        states = np.empty((*codes.shape[:-1], self.size))
        states[..., self.straight] = codes[..., 2 * self.circles :]
        sines, cosines = codes[..., : self.circles], codes[..., self.circles : 2 * self.circles]
        start = last[:, None, list(self.periodic)]
        turns = np.unwrap(np.concatenate([start, np.arctan2(sines, cosines)], axis=1), axis=1)
        states[..., list(self.periodic)] = turns[:, 1:]
        states[~np.isfinite(states).all(axis=-1) | ~np.isfinite(codes).all(axis=-1)] = np.inf
        return states

    def arrays(self) -> dict[str, Array]:
        return {"state_size": np.array(self.size), "periodic": np.array(self.periodic, dtype=np.int64)}


@dataclass(frozen=True)
class FieldCodes:
    """Fields (..., *shape): their coefficients in a POD basis."""

    basis: POD
    shape: tuple[int, ...]
    circles: int = 0

    def encode(self, frames: Array) -> Array:
        if frames.shape[2:] != self.shape:
            raise SurrogateError(
                f"The context's grid is {frames.shape[2:]}, that of the training {self.shape}.",
                "Bring the fields to the same grid, or train on this one.",
            )
        return self.basis.encode(frames.reshape(*frames.shape[:2], -1))

    def decode(self, codes: Array, last: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            fields = self.basis.decode(codes).reshape(*codes.shape[:2], *self.shape)
        fields[np.isnan(fields)] = np.inf
        return fields

    def arrays(self) -> dict[str, Array]:
        basis = self.basis
        return {
            "pod_modes": basis.modes,
            "pod_mean": basis.mean,
            "pod_singular_values": basis.singular_values,
            "pod_energy": np.array([basis.energy, basis.target_energy]),
            "grid": np.array(self.shape, dtype=np.int64),
        }


def codes_of(train: Dataset, energy: float | None = None, rank: int | None = None) -> Codes:
    """The codes of a dataset's target: POD if `energy` is given, else its coordinates.

    Which components of a state are angles is said by `geometry["periodic"]`.

    Raises:
        SurrogateError: The target is no sequence of states and no energy is given.
    """
    target = train.targets[0]
    shape = next(iter(train.batches(1, [target])))[target].shape[2:]
    if energy is not None:
        blocks = (batch[target] for batch in train.batches(BATCH_CASES, [target]))
        rows = (block.reshape(-1, int(np.prod(shape))) for block in blocks)
        return FieldCodes(POD.fit(rows, energy=energy, rank=rank), shape)
    if len(shape) != 1:
        raise SurrogateError(f"`{target}` has frames of shape {shape}; this surrogate continues vectors of states.")
    return StateCodes(shape[0], tuple(train.geometry.get("periodic", ())))


def codes_from(arrays: Mapping[str, Array]) -> Codes:
    """The codes that `arrays` was taken from."""
    if "state_size" in arrays:
        return StateCodes(int(arrays["state_size"]), tuple(arrays["periodic"].tolist()))
    energy, target_energy = arrays["pod_energy"].tolist()
    basis = POD(arrays["pod_modes"], arrays["pod_singular_values"], arrays["pod_mean"], energy, target_energy)
    return FieldCodes(basis, tuple(arrays["grid"].tolist()))


# -- scales -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scales:
    """Means and standard deviations over all training samples; what does not vary has deviation 1."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, values: Array) -> Scales:
        """Of the last axis of (..., F)."""
        return cls.of_pieces([values])

    @classmethod
    def of_pieces(cls, pieces: Iterable[Array]) -> Scales:
        """Of the last axis of all pieces (..., F) together, one after the other in memory.

        Moments are merged as Chan, Golub & LeVeque (1979) do, for sums of squares lose digits.
        """
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for piece in pieces:
            rows = piece.reshape(int(np.prod(piece.shape[:-1])), piece.shape[-1])
            count += len(rows)
            share, shift = len(rows) / count, rows.mean(axis=0) - mean
            variance = (1 - share) * variance + share * rows.var(axis=0) + share * (1 - share) * shift**2
            mean = mean + share * shift
        return cls(mean, np.where(variance > 0, np.sqrt(variance), 1.0))

    def __call__(self, values: Array) -> Array:
        return np.asarray((values - self.mean) / self.deviation)

    def back(self, values: Array) -> Array:
        return np.asarray(values * self.deviation + self.mean)

    def arrays(self, name: str) -> dict[str, Array]:
        return {f"{name}_mean": self.mean, f"{name}_deviation": self.deviation}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], name: str) -> Scales:
        return cls(arrays[f"{name}_mean"], arrays[f"{name}_deviation"])

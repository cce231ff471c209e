"""Proper orthogonal decomposition of snapshots that come in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import scipy.linalg

from emulant.dataset.atomic import write_npz
from emulant.dataset.seams import Array, as_float64
from emulant.errors import SurrogateError
from emulant.surrogates import MEND, read_weights

GUESS = 7
"""An energy is looked for among so many times fewer modes than there are snapshots before all are computed."""
ORTHONORMAL = 1e-8
"""Modes further from orthonormal than this are put through a QR decomposition."""


@dataclass(frozen=True)
class POD:
    """A mean and the r orthonormal directions along which snapshots of n cells vary most."""

    modes: Array
    """(n, r)"""
    singular_values: Array
    """(r,) of the centred snapshot matrix."""
    mean: Array
    """(n,)"""
    energy: float
    """The captured share of the sum of squared singular values."""
    target_energy: float

    @property
    def rank(self) -> int:
        return int(self.modes.shape[1])

    @classmethod
    def fit(cls, blocks: Iterable[Array], *, energy: float = 0.995, rank: int | None = None) -> Self:
        """Decompose snapshots that arrive as blocks (m, n), each read once.

        As long as there are fewer snapshots than cells they are kept and their Gram matrix is decomposed; from
        then on they are folded into a covariance, so that memory is O(n²) however many there are.

        Args:
            blocks: Snapshots as rows.
            energy: Keep the fewest modes that capture this share.
            rank: Keep this many modes (or as many as there are), whatever they capture.

        Raises:
            SurrogateError: There are no two snapshots that differ, or one is not finite.
        """
        kept: list[Array] = []
        covariance: _Covariance | None = None
        for block in blocks:
            snapshots = as_float64(block)
            if not np.isfinite(snapshots).all():
                raise SurrogateError("POD: a snapshot is not finite.", "Run `emulant validate` on the data.")
            if covariance is not None:
                covariance.add(snapshots)
                continue
            kept.append(snapshots)
            if sum(map(len, kept)) > snapshots.shape[1]:
                covariance = _Covariance.of(kept)
                kept = []
        if covariance is not None:
            mean, matrix = covariance.finish()
            modes, singular_values, captured = _leading(matrix, energy, rank)
        else:
            mean, modes, singular_values, captured = _from_gram(kept, energy, rank)
        return cls(_orthonormal(modes), singular_values, mean, captured, energy)

    def encode(self, snapshots: Array) -> Array:
        """(..., n) -> (..., r)"""
        return (snapshots - self.mean) @ self.modes

    def decode(self, latents: Array) -> Array:
        """(..., r) -> (..., n)"""
        return latents @ self.modes.T + self.mean

    def save(self, path: Path, extra: Mapping[str, Array] | None = None) -> Path:
        """Write U, S, mean, energy, R_POD and target_energy as npz, and what the caller adds."""
        arrays = {
            "U": as_float64(self.modes),
            "S": as_float64(self.singular_values),
            "mean": as_float64(self.mean),
            "energy": self.energy,
            "R_POD": self.rank,
            "target_energy": self.target_energy,
            **(extra or {}),
        }
        return write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises SurrogateError if file, key, shape or value are not as they must be."""
        arrays = read_weights(path, {"U": 2, "S": 1, "mean": 1, "energy": 0, "R_POD": 0, "target_energy": 0})
        rank, cells = int(arrays["R_POD"]), len(arrays["mean"])
        for name, shape in (("U", (cells, rank)), ("S", (rank,))):
            if arrays[name].shape != shape:
                raise SurrogateError(
                    f"{path}: {name!r} has shape {arrays[name].shape}, but mean and R_POD ask for {shape}.",
                    MEND,
                )
        return cls(arrays["U"], arrays["S"], arrays["mean"], float(arrays["energy"]), float(arrays["target_energy"]))


@dataclass
class _Covariance:
    """Σ (x - shift)(x - shift)ᵀ in a stream; the shift, a mean of early snapshots, keeps the sums small."""

    shift: Array
    products: Array
    total: Array
    count: int = 0

    @classmethod
    def of(cls, blocks: list[Array]) -> _Covariance:
        shift = sum(block.sum(axis=0) for block in blocks) / sum(map(len, blocks))
        covariance = cls(shift, np.zeros((shift.size, shift.size)), np.zeros(shift.size))
        for block in blocks:
            covariance.add(block)
        return covariance

    def add(self, block: Array) -> None:
        # In pieces: a caller's block may be as large as all the data.
        for start in range(0, len(block), self.shift.size):
            centred = block[start : start + self.shift.size] - self.shift
            self.products += centred.T @ centred
            self.total += centred.sum(axis=0)
            self.count += len(centred)

    def finish(self) -> tuple[Array, Array]:
        offset = self.total / self.count
        self.products -= np.outer(self.total, offset)
        return self.shift + offset, self.products


def _from_gram(blocks: list[Array], energy: float, rank: int | None) -> tuple[Array, Array, Array, float]:
    count = sum(map(len, blocks))
    if count < 2:
        raise SurrogateError(f"POD: needs at least two snapshots and got {count}.", "Generate more training cases.")
    mean = sum(block.sum(axis=0) for block in blocks) / count
    centred = np.concatenate(blocks)
    centred -= mean
    vectors, singular_values, captured = _leading(centred @ centred.T, energy, rank)
    return mean, (centred.T @ vectors) / singular_values, singular_values, captured


def _leading(matrix: Array, energy: float, rank: int | None) -> tuple[Array, Array, float]:
    """Leading eigenvectors (m, r), roots of their eigenvalues (r,), largest first, and their share of the trace."""
    size, trace = len(matrix), float(np.trace(matrix))
    if trace <= 0:
        raise SurrogateError("POD: all snapshots are equal.", "Check the training data: nothing moves in them.")
    # A few eigenpairs are far cheaper than all of them. How many an energy asks for is a guess; all of them are not.
    for count in (size // GUESS if rank is None else rank, size):
        values, vectors = _top(matrix, min(count, size))
        # Beyond the numerical rank there are no directions, only rounding.
        available = int(np.count_nonzero(values > values[0] * size * np.finfo(float).eps))
        shares = np.cumsum(values[:available]) / trace
        if rank is not None or available < len(values) or shares[-1] >= energy:
            break
    wanted = rank if rank is not None else int(np.searchsorted(shares, energy)) + 1
    kept = min(wanted, available)
    return np.ascontiguousarray(vectors[:, :kept]), np.sqrt(values[:kept]), min(float(shares[kept - 1]), 1.0)


def _top(matrix: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest eigenvalues, largest first, and their eigenvectors (m, count)."""
    size = len(matrix)
    few = (size - count, size - 1) if 0 < count <= size // 2 else None
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=few, driver="evr" if few else "evd", check_finite=False)
    return values[::-1][:count], vectors[:, ::-1][:, :count]


def _orthonormal(modes: Array) -> Array:
    if np.abs(modes.T @ modes - np.eye(modes.shape[1])).max() <= ORTHONORMAL:
        return modes
    orthonormal, triangle = scipy.linalg.qr(modes, mode="economic")
    return np.asarray(orthonormal * np.sign(np.diag(triangle)))  # QR is free in the sign of each mode; keep ours

"""Multivariate autoregression, fitted by ridge regression on many runs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import scipy.linalg

from emulant.dataset.seams import Array, as_float64
from emulant.errors import SurrogateError
from emulant.surrogates import MEND, read_weights


@dataclass(frozen=True)
class NormalEquations:
    """The sums over all windows from which a ridge regression of y(t) on y(t-1) ... y(t-p) follows.

    They do not depend on the ridge, and those of the first components are a part of those of all, so one set serves
    a whole search.
    """

    gram: Array
    """(p, r, p, r), Σ z zᵀ of the lagged values."""
    cross: Array
    """(p, r, r), Σ z yᵀ."""
    lagged_sum: Array
    """(p, r)"""
    target_sum: Array
    """(r,)"""
    windows: int

    @classmethod
    def of(cls, lagged: Array, targets: Array) -> Self:
        """From windows (w, p, r) and what follows each (w, r)."""
        count, lag, rank = lagged.shape
        flat = lagged.reshape(count, lag * rank)
        return cls(
            (flat.T @ flat).reshape(lag, rank, lag, rank),
            (flat.T @ targets).reshape(lag, rank, rank),
            lagged.sum(axis=0),
            targets.sum(axis=0),
            count,
        )

    def first(self, rank: int) -> NormalEquations:
        """The equations of the first `rank` components alone."""
        return NormalEquations(
            self.gram[:, :rank, :, :rank],
            self.cross[:, :rank, :rank],
            self.lagged_sum[:, :rank],
            self.target_sum[:rank],
            self.windows,
        )

    def solve(self, ridge: float, *, intercept: bool = False) -> tuple[Array, Array | None]:
        """A (p, r, r), A[k] multiplying y(t-1-k) from the left, and the intercept (r,), which is not penalised."""
        lag, rank, _ = self.cross.shape
        gram = self.gram.reshape(lag * rank, lag * rank).copy()
        cross = self.cross.reshape(lag * rank, rank)
        lagged_mean = self.lagged_sum.reshape(-1) / self.windows
        target_mean = self.target_sum / self.windows
        if intercept:
            gram -= self.windows * np.outer(lagged_mean, lagged_mean)
            cross = cross - self.windows * np.outer(lagged_mean, target_mean)
        gram[np.diag_indices_from(gram)] += ridge
        try:
            weights = scipy.linalg.cho_solve(scipy.linalg.cho_factor(gram, overwrite_a=True), cross)
        except scipy.linalg.LinAlgError as error:
            raise SurrogateError(
                f"MVAR: {self.windows} windows do not determine {lag} x {rank} coefficients per component "
                f"at ridge = {ridge:g}.",
                "Raise `ridge`, or lower `rank` or `lag`.",
            ) from error
        matrices = np.ascontiguousarray(weights.reshape(lag, rank, rank).transpose(0, 2, 1))
        return matrices, target_mean - lagged_mean @ weights if intercept else None


@dataclass(frozen=True)
class MVAR:
    """y(t) = b + Σ_k A[k] y(t-1-k), with y a column of r components."""

    matrices: Array
    """(p, r, r); A[0] multiplies y(t-1)."""
    intercept: Array | None
    """(r,) or absent."""
    ridge: float
    train_r2: float
    """1 - SSE/SST of one step, over all windows and components together."""
    train_rmse: float

    @property
    def lag(self) -> int:
        return len(self.matrices)

    @property
    def rank(self) -> int:
        return int(self.matrices.shape[1])

    @classmethod
    def fit(cls, runs: Array | Sequence[Array], lag: int, ridge: float, *, intercept: bool = False) -> Self:
        """Fit on runs (T_i, r), or (C, T, r) at once. No window reaches from one run into the next.

        Raises:
            SurrogateError: No run is longer than `lag`, or the equations are singular at this ridge.
        """
        lagged, targets = windows(runs, lag)
        matrices, constant = NormalEquations.of(lagged, targets).solve(ridge, intercept=intercept)
        weights = matrices.transpose(0, 2, 1).reshape(-1, matrices.shape[1])
        residuals = targets - lagged.reshape(len(lagged), -1) @ weights - (0.0 if constant is None else constant)
        missed = float(np.sum(residuals**2))
        total = float(np.sum((targets - targets.mean(axis=0)) ** 2))
        r2 = 1.0 - missed / total if total > 0 else float(missed == 0)
        return cls(matrices, constant, ridge, r2, float(np.sqrt(np.mean(residuals**2))))

    def rollout(self, context: Array, horizon: int) -> Array:
        """Continue (C, K, r) with K >= p in closed loop; (C, horizon, r).

        A model with a spectral radius above one grows without bound, and a long rollout then ends in inf and NaN.
        """
        return rollout(self.matrices, self.intercept, context, horizon)

    def companion(self) -> Array:
        """(p r, p r): first block row A[0] ... A[p-1], identities below."""
        lag, rank = self.lag, self.rank
        companion = np.eye(lag * rank, k=-rank)
        companion[:rank] = self.matrices.transpose(1, 0, 2).reshape(rank, lag * rank)
        return companion

    def spectral_radius(self) -> float:
        """The factor by which a rollout grows (above 1) or decays per step in the long run."""
        # All eigenvalues: Arnoldi iteration is no faster at this size, and was seen to miss the largest.
        return float(np.abs(np.linalg.eigvals(self.companion())).max())

    def arrays(self) -> dict[str, Array]:
        """What `mvar_model.npz` holds."""
        arrays = {
            "A_matrices": as_float64(self.matrices),
            "p": np.array(self.lag),
            "alpha": np.array(self.ridge),
            "train_r2": np.array(self.train_r2),
            "train_rmse": np.array(self.train_rmse),
        }
        return arrays if self.intercept is None else arrays | {"intercept": as_float64(self.intercept)}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that holds `arrays`. Raises SurrogateError naming file and key."""
        scalars = ("alpha", "train_r2", "train_rmse")  # not needed to forecast; files made elsewhere may lack them
        arrays = read_weights(path, {"A_matrices": 3, "p": 0}, {"intercept": 1, **dict.fromkeys(scalars, 0)})
        matrices, intercept = arrays["A_matrices"], arrays.get("intercept")
        lag, rank, columns = matrices.shape
        if lag != int(arrays["p"]) or rank != columns:
            raise SurrogateError(
                f"{path}: 'A_matrices' has shape {matrices.shape}, but 'p' is {int(arrays['p'])}.",
                MEND,
            )
        if intercept is not None and intercept.shape != (rank,):
            raise SurrogateError(f"{path}: 'intercept' has shape {intercept.shape}, not {(rank,)}.", MEND)
        return cls(matrices, intercept, *(float(arrays.get(name, np.nan)) for name in scalars))


def windows(runs: Array | Sequence[Array], lag: int) -> tuple[Array, Array]:
    """All windows (w, p, r) of the runs (T_i, r), newest value first, and the value that follows each (w, r).

    One array (C, T, r) is C runs of equal length, and is cut up at once.
    """
    pieces = [runs] if isinstance(runs, np.ndarray) else [run for run in runs if len(run) > lag]
    if not pieces or pieces[0].shape[-2] <= lag:
        raise SurrogateError(
            f"MVAR: no run is longer than lag = {lag} frames.", "Lower `lag`, or simulate longer cases."
        )
    rank = pieces[0].shape[-1]
    lagged = [
        np.stack([piece[..., lag - 1 - k : piece.shape[-2] - 1 - k, :] for k in range(lag)], axis=-2)
        for piece in pieces
    ]
    return (
        np.concatenate([piece.reshape(-1, lag, rank) for piece in lagged]),
        np.concatenate([piece[..., lag:, :].reshape(-1, rank) for piece in pieces]),
    )


def rollout(matrices: Array, intercept: Array | None, context: Array, horizon: int) -> Array:
    """The closed loop of y(t) = b + Σ_k A[k] y(t-1-k) from (C, K, r); (C, horizon, r)."""
    lag, rank, _ = matrices.shape
    cases = len(context)
    weights = matrices.transpose(0, 2, 1).reshape(lag * rank, rank)
    states = np.empty((cases, lag + horizon, rank))
    states[:, :lag] = context[:, -lag:]
    # An unstable model overflows on long horizons; that is its honest forecast, not a fault of the arithmetic.
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(lag, lag + horizon):
            newest_first = states[:, step - lag : step][:, ::-1].reshape(cases, lag * rank)
            states[:, step] = newest_first @ weights
            if intercept is not None:
                states[:, step] += intercept
    return states[:, lag:]

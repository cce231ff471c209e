"""What `linear` and `ngrc` share: a ridge regression of the step to the next codes, iterated in closed loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import scipy.linalg

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import DataError, SurrogateError
from emulant.surrogates import MEND
from emulant.surrogates.view import Seen, View

Features: TypeAlias = Callable[[Array], Array]
"""(N, lag, F + P) windows, the newest frame last -> (N, M)."""
CASES = 16
"""How many cases have their features in memory at once."""


@dataclass(frozen=True)
class Regression:
    """codes(t + 1) = codes(t) + features(codes(t - lag + 1) ... codes(t)) W."""

    view: View
    weights: Array
    """(M, F)"""
    lag: int

    @classmethod
    def fit(cls, view: View, seen: Seen, features: Features, lag: int, ridge: float) -> Regression:
        """W minimises |X W − Y|² + ridge |W|² over all windows of all cases.

        Raises:
            SurrogateError: No case is longer than `lag` frames, or the ridge does not make the equations regular.
        """
        if seen.codes.shape[1] <= lag:
            raise SurrogateError(
                f"No case is longer than lag = {lag} frames.", "Lower `lag`, or simulate longer cases."
            )
        gram: Array | float = 0.0
        cross: Array | float = 0.0
        for windows, steps in _windows(seen, lag):
            design = features(windows)
            gram, cross = gram + design.T @ design, cross + design.T @ steps
        regular = gram + ridge * np.eye(len(gram))  # type: ignore[arg-type]  # there was at least one piece
        try:
            weights = scipy.linalg.solve(regular, cross, assume_a="pos")
        except scipy.linalg.LinAlgError as error:
            raise SurrogateError("The ridge regression is singular.", "Raise `ridge`, or lower `lag`.") from error
        return cls(view, weights, lag)

    def forecast(self, context: Context, horizon: int, features: Features, bound: float = np.inf) -> dict[str, Array]:
        """The target (C, horizon, ...); codes are clipped to ±`bound`, and what overflows is inf."""
        seen = self.view.see_context(context, self.lag)
        given = np.broadcast_to(seen.parameters[:, None], (*seen.codes.shape[:2], seen.parameters.shape[1]))
        window, rollout = seen.codes, np.empty((len(seen.codes), horizon, seen.codes.shape[2]))
        with np.errstate(over="ignore", invalid="ignore"):  # one that diverges is scored, not raised
            for step in range(horizon):
                moved = window[:, -1] + features(np.concatenate([window, given], axis=-1)) @ self.weights
                rollout[:, step] = np.clip(moved, -bound, bound)
                window = np.concatenate([window[:, 1:], rollout[:, step, None]], axis=1)
        rollout[np.isnan(rollout)] = np.inf
        return {self.view.target: self.view.frames(rollout, seen.frames[:, -1])}

    def save(self, path: Path) -> list[Path]:
        """An NPZ of the weights and of what is needed to see."""
        about = {name: np.array(value) for name, value in self.view.about().items()}
        about["parameters"] = np.array(self.view.parameters, dtype=np.str_)
        return [write_npz(path, {"weights": self.weights, "lag": np.array(self.lag), **about, **self.view.arrays()})]

    @classmethod
    def load(cls, path: Path) -> Regression:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or foreign.
        """
        try:
            arrays = read_arrays(path, names_in(path))
            about = {"target": str(arrays["target"]), "step": float(arrays["step"])}
            view = View.restored({**about, "parameters": arrays["parameters"].tolist()}, arrays)
            return cls(view, arrays["weights"], int(arrays["lag"]))
        except (DataError, KeyError, ValueError, TypeError) as error:
            raise SurrogateError(
                getattr(error, "what", f"{path}: is no regression of emulant: {error}."), MEND
            ) from error


def _windows(seen: Seen, lag: int) -> Iterator[tuple[Array, Array]]:
    """Windows (N, lag, F + P) and the steps (N, F) that follow them, a few cases at a time; none leaves its case."""
    for start in range(0, len(seen.codes), CASES):
        codes, given = seen.codes[start : start + CASES], seen.parameters[start : start + CASES]
        constant = np.broadcast_to(given[:, None], (*codes.shape[:2], given.shape[1]))
        both = np.concatenate([codes, constant], axis=-1)
        windows = np.lib.stride_tricks.sliding_window_view(both[:, :-1], lag, axis=1).swapaxes(-1, -2)
        steps = codes[:, lag:] - codes[:, lag - 1 : -1]
        yield windows.reshape(-1, lag, both.shape[-1]), steps.reshape(-1, codes.shape[-1])


def fitted(model: Regression | None, name: str) -> Regression:
    if model is None:
        raise SurrogateError(f"{name}: is not fitted.", "Call `fit` or `load` first.")
    return model


def seen_by(train: Dataset, config: Any) -> tuple[View, Seen]:
    """The view that is fitted to a training split, and the split in it."""
    view = View.of(train, config)
    return view, view.see(train)

"""`emulant predict` for swarms: a case folder or an NPZ with a few frames in, the forecast out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Context
from emulant.errors import DataError, UsageError
from emulant.systems.swarm.files import DENSITY, TRAJECTORY
from emulant.systems.swarm.options import PredictOptions


def forecast_file(
    surrogate: Any, source: Path, target: Path, options: PredictOptions, geometry: Mapping[str, Any]
) -> None:
    """Forecast on from the frames of `source`.

    Args:
        surrogate: A fitted forecaster.
        source: A case folder, or an NPZ with `rho` (T, ny, nx) and, if known, `positions` and `headings`.
        target: The NPZ to write: rho (horizon, ny, nx), times (horizon,), context.

    Raises:
        DataError: An array is missing, misshapen or not finite, or there are too few frames.
    """
    arrays = _read(source)
    frames = options.context or (len(arrays["rho"]) if arrays["rho"].ndim else 0)
    _check(source, arrays, frames, surrogate.lag, geometry)
    times = arrays.pop("times", np.arange(len(arrays["rho"])) * geometry["step"])
    fields = {name: array[None, :frames] for name, array in arrays.items()}
    context = Context(fields, times[:frames], geometry["step"], geometry)
    forecast = surrogate.forecast(context, options.horizon)["rho"][0]
    lead = np.arange(1, options.horizon + 1) * geometry["step"]
    write_npz(target, {"rho": forecast, "times": times[frames - 1] + lead, "context": frames})


def _read(source: Path) -> dict[str, Any]:
    wanted = ("rho", "positions", "headings", "times")
    paths = [source / DENSITY, source / TRAJECTORY] if source.is_dir() else [source]
    arrays: dict[str, Any] = {}
    for path in paths:
        if path.is_file():
            arrays |= read_arrays(path, [name for name in names_in(path) if name in wanted])
    if "rho" not in arrays:
        raise DataError(f"{source}: has no array `rho`.", "Give a case folder, or an NPZ with rho (T, ny, nx).")
    return arrays


_DIMENSIONS = {"rho": 3, "positions": 3, "headings": 2, "times": 1}


def _check(source: Path, arrays: Mapping[str, Any], frames: int, lag: int, geometry: Mapping[str, Any]) -> None:
    rho, shape = arrays["rho"], (geometry["ny"], geometry["nx"])
    if rho.ndim != 3 or rho.shape[1:] != shape:
        raise DataError(
            f"{source}: `rho` has shape {rho.shape}, the surrogate is trained on (T, {shape[0]}, {shape[1]})."
        )
    if len(rho) < lag:
        raise DataError(f"{source}: has {len(rho)} frames, the surrogate needs {lag}.")
    if not lag <= frames <= len(rho):
        raise UsageError(f"--context {frames}: the surrogate needs {lag} frames, and {source} has {len(rho)}.")
    for name, array in arrays.items():
        if array.ndim != _DIMENSIONS[name] or array.dtype.kind not in "fiu":
            raise DataError(
                f"{source}: `{name}` is {array.dtype} {array.shape}, not numbers of {_DIMENSIONS[name]} axes."
            )
        if len(array) != len(rho):
            raise DataError(f"{source}: `{name}` has {len(array)} frames, `rho` has {len(rho)}.")
        if not np.isfinite(array).all():
            raise DataError(f"{source}: `{name}` has numbers that are not finite.")
    _check_particles(source, arrays)
    if "times" in arrays and not np.allclose(np.diff(arrays["times"]), geometry["step"], rtol=1e-6):
        raise DataError(
            f"{source}: its frames are not {geometry['step']:g} apart, the step that the surrogate is trained on.",
            "Bring them to that step, or leave `times` out if they are.",
        )


def _check_particles(source: Path, arrays: Mapping[str, Any]) -> None:
    """Positions (T, N, 2) and headings (T, N) of the same particles."""
    positions, headings = arrays.get("positions"), arrays.get("headings")
    if positions is not None and (positions.shape[2] != 2 or positions.shape[1] == 0):
        raise DataError(f"{source}: `positions` has shape {positions.shape}, not (T, N, 2).")
    if positions is not None and headings is not None and headings.shape != positions.shape[:2]:
        raise DataError(f"{source}: `headings` has shape {headings.shape}, `positions` {positions.shape}.")

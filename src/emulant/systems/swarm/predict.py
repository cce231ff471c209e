"""`emulant predict` for swarms: a case folder or an NPZ with a few frames in, the forecast out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Context
from emulant.errors import DataError
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
    frames = options.context or len(arrays["rho"])
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


def _check(source: Path, arrays: dict[str, Any], frames: int, lag: int, geometry: Mapping[str, Any]) -> None:
    rho, shape = arrays["rho"], (geometry["ny"], geometry["nx"])
    if rho.ndim != 3 or rho.shape[1:] != shape:
        raise DataError(
            f"{source}: `rho` has shape {rho.shape}, the surrogate is trained on (T, {shape[0]}, {shape[1]})."
        )
    if not lag <= frames <= len(rho):
        raise DataError(f"{source}: has {len(rho)} frames, {frames} are asked for and the surrogate needs {lag}.")
    for name, array in arrays.items():
        if len(array) != len(rho):
            raise DataError(f"{source}: `{name}` has {len(array)} frames, `rho` has {len(rho)}.")
        if not np.isfinite(array).all():
            raise DataError(f"{source}: `{name}` has numbers that are not finite.")

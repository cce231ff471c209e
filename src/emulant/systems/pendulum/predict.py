"""`emulant predict` for pendulums: simulations in a Parquet file in, their continuation in another one out.

What comes in has the eleven columns and may hold many simulations, of any length; what goes out has the same columns,
the same sim_ids, and times that go on where those of the input end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from emulant.dataset import parquet
from emulant.dataset.seams import Array, Context
from emulant.errors import DataError, SurrogateError, UsageError
from emulant.systems.pendulum.blocks import TIME_TOLERANCE
from emulant.systems.pendulum.config import PARAMETERS, STATE, PendulumConfig
from emulant.systems.pendulum.equations import energy_scale
from emulant.systems.pendulum.files import COLUMNS, GROUP_ROWS, UNITS, repeated, schema_of, units_of, write_table
from emulant.systems.pendulum.options import PredictOptions
from emulant.systems.pendulum.readers import PendulumDataset, open_dataset

STEADY = 0.05
"""By how much of its scale a simulation's energy may vary: measurements are not exact, degrees are far beyond it."""
SAME = 1e-9
"""Relative: two lengths, masses or g that differ by less are equal."""


def forecast_file(surrogate: Any, source: Path, target: Path, options: PredictOptions, config: PendulumConfig) -> None:
    """Forecast on from the last samples of every simulation of `source`.

    Raises:
        UsageError: `--context` is less than the surrogate needs.
        DataError: A column is missing, a simulation is too short or of another time step, or its numbers are not
            those of a pendulum like the ones that the surrogate was trained on.
        SurrogateError: A forecast has left every bound.
    """
    frames = options.context or surrogate.lag
    if frames < surrogate.lag:
        raise UsageError(f"--context {frames}: the surrogate needs {surrogate.lag} samples.")
    _same_units(source)
    dataset = open_dataset(source, options.g)
    _check(dataset, frames, config)
    _steady(dataset)
    states = _ends(dataset, frames)
    parameters = dataset.index.select(PARAMETERS).to_numpy()
    horizon = options.horizon or config.system.steps
    step = float(dataset.index["dt"][0])
    context = Context(
        {"state": states},
        np.arange(frames) * step,
        step,
        dataset.geometry,
        {name: parameters[:, column] for column, name in enumerate(PARAMETERS)},
    )
    forecast = np.asarray(surrogate.forecast(context, horizon)["state"], dtype=np.float64)
    _bounded(dataset, forecast, step)
    schema = schema_of((*COLUMNS, "g"), np.float64, {"units": json.dumps(dict(UNITS), ensure_ascii=False)})
    write_table(target, schema, _tables(dataset.index, forecast, schema))


# -- what comes in ------------------------------------------------------------------------------------------------


def _same_units(source: Path) -> None:
    """Refuse files whose metadata name other units than ours; most name none."""
    files = [source] if source.is_file() else sorted(source.glob("*.parquet"))
    for path in files:
        with parquet.opened(path) as file:
            told = units_of(file.schema_arrow)
        for name, unit in told.items():
            if UNITS.get(name, unit) != unit:
                raise DataError(f"{path}: `{name}` is in {unit}.", f"Bring it to {UNITS[name]}.")


def _check(dataset: PendulumDataset, frames: int, config: PendulumConfig) -> None:
    system = config.system
    for row in dataset.index.iter_rows(named=True):
        where = f"{dataset.folder / row['file']}: {row['sim_id']}"
        if row["twice"]:
            raise DataError(f"{where}: is there twice.", "`emulant validate` lists all that is wrong.")
        if abs(row["dt"] - system.dt) > TIME_TOLERANCE:
            raise DataError(
                f"{where}: dt is {row['dt']:g} s, the surrogate is trained on {system.dt:g} s.",
                "Sample it at that step.",
            )
        if row["length"] < frames:
            raise DataError(f"{where}: has {row['length']} samples; {frames} are needed.", "Give a longer one.")
        for name in PARAMETERS:
            constant = system.quantity(name).constant
            if constant is not None and abs(row[name] - constant) > SAME * constant:
                raise DataError(
                    f"{where}: {name} is {row[name]:g} {UNITS[name]}, the surrogate knows {constant:g} alone.",
                    f"Train it on a study that varies system.{name}.",
                )


def _ends(dataset: PendulumDataset, frames: int) -> Array:
    """(C, frames, 4) the last samples of every simulation, in the order of the index."""
    found = np.empty((len(dataset), frames, len(STATE)))
    places = {name: place for place, name in enumerate(dataset.index["sim_id"].to_list())}
    for block in dataset.blocks():
        states = block.stacked(STATE)
        for name, start, length in zip(block.rows["sim_id"].to_list(), block.starts, block.lengths, strict=True):
            found[places[name]] = states[start + length - frames : start + length]
    return found


def _steady(dataset: PendulumDataset) -> None:
    """Refuse numbers that are no free pendulum's: its energy would not stay.

    All samples are looked at: the context of many a surrogate is a single one, which cannot tell.
    """
    varies = dataset.index["energy_drift"].to_numpy() / energy_scale(dataset.index.select(PARAMETERS).to_numpy())
    worst = int(varies.argmax())
    if varies[worst] > STEADY:
        raise DataError(
            f"{dataset.folder}: {dataset.index['sim_id'][worst]}: its energy varies by {varies[worst]:.2g} of its "
            "scale, which no free pendulum's does.",
            "Angles are absolute, in rad (not degrees) from the downward vertical, velocities in rad/s; is g right?",
        )


# -- what goes out ------------------------------------------------------------------------------------------------


def _bounded(dataset: PendulumDataset, forecast: Array, step: float) -> None:
    bad = np.argwhere(~np.isfinite(forecast).all(axis=2))
    if len(bad):
        case, frame = bad[0]
        lead = step * (1 + int(frame))
        raise SurrogateError(
            f"{dataset.index['sim_id'][int(case)]}: the forecast has left every bound at lead time {lead:g} s.",
            "Ask for a shorter --horizon, or another --surrogate.",
        )


def _tables(index: pl.DataFrame, forecast: Array, schema: pa.Schema) -> Iterator[pa.Table]:
    """Row groups of whole simulations."""
    horizon = forecast.shape[1]
    handful = max(1, GROUP_ROWS // horizon)
    for first in range(0, len(index), handful):
        rows, states = index[first : first + handful], forecast[first : first + handful]
        columns: dict[str, Any] = {"sim_id": repeated(rows["sim_id"].to_list(), [horizon] * len(rows))}
        columns["t"] = _times(rows["t_end"].to_numpy(), rows["dt"].to_numpy(), horizon).ravel()
        columns |= {name: states[..., part].ravel() for part, name in enumerate(STATE)}
        columns |= {name: np.repeat(rows[name].to_numpy(), horizon) for name in (*PARAMETERS, "dt")}
        yield pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)


def _times(ends: Array, dt: Array, horizon: int) -> Array:
    """(C, horizon) s: k·dt to the bit where the input's times are."""
    steps = np.rint(ends / dt)
    off = ends - steps * dt
    off[np.abs(off) < TIME_TOLERANCE] = 0.0
    times: Array = (steps[:, None] + np.arange(1, horizon + 1)) * dt[:, None] + off[:, None]
    return times

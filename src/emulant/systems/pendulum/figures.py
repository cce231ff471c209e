"""The figures that only a pendulum's report has."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from emulant.reporting.figures import Drawing, histogram, time_series


def energy_drift(run: Any) -> Drawing | None:
    """Median error of the forecast's energy against lead time, model by model."""
    rows = run.metrics.filter(
        (pl.col("metric") == "energy_drift") & (pl.col("group") == "all") & (pl.col("horizon") != "all")
    ).filter(pl.col("split") == run.test_splits[0])
    if rows.is_empty():
        return None
    times = np.array(sorted({float(horizon) for horizon in rows["horizon"]}))
    order = pl.col("horizon").cast(pl.Float64)
    series = {
        entrant.name: rows.filter(model=entrant.name).sort(order)["value"].to_numpy() for entrant in run.entrants()
    }
    shown = {name: values for name, values in series.items() if len(values) == len(times) and values[-1] < 100}
    return time_series(times, shown, "median |ΔE| / J") if shown else None


def exponents(run: Any) -> Drawing | None:
    """How the largest Lyapunov exponents of the test cases are spread."""
    path = run.folder.metrics.parent / "lyapunov.csv"
    if not path.is_file():
        return None
    table = pl.read_csv(path).filter(pl.col("split") == run.test_splits[0])
    values = {name: table.filter(group=name)["lyapunov_1"].to_numpy() for name in ("chaotic", "regular")}
    values = {name: array for name, array in values.items() if len(array)}
    return histogram(values, dict.fromkeys(values, "surrogate"), "largest Lyapunov exponent / s⁻¹")


def training_curves(run: Any) -> Drawing | None:
    """Loss against epoch, network by network."""
    series: dict[str, Any] = {}
    for entrant in run.entrants():
        path = run.folder.events.parent / entrant.name / "metrics.csv"
        if path.is_file():
            curve = pl.read_csv(path)
            series[entrant.name] = (curve["epoch"].to_numpy(), np.log10(curve["train_loss"].to_numpy()))
    if not series:
        return None
    longest = max(series.values(), key=lambda pair: len(pair[0]))[0]
    padded = {name: _padded(values, len(longest)) for name, (_, values) in series.items()}
    return time_series(longest, padded, "log10 of the training loss", "epoch")


def _padded(values: Any, length: int) -> Any:
    return np.concatenate([values, np.full(length - len(values), np.nan)])

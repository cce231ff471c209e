"""How a surrogate learned: the one figure of `logs/NAME/metrics.csv` that every trained surrogate has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import cycle
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emulant.errors import DataError
from emulant.reporting.axes import Vector, logarithmic
from emulant.reporting.figures import WIDTH, Drawing
from emulant.reporting.numbers import number, tick
from emulant.reporting.style import Theme, looks

MOST_PARTS = 9
ACROSS = 3
"""Panels of parts in a row."""
TRAINED, VALIDATED = "train_", "validation_"


@dataclass(frozen=True)
class Curves:
    """The rows of a training: `columns` are (E,) each, NaN in epochs without a value."""

    epochs: Vector
    columns: Mapping[str, Vector]
    kept: int | None = None
    """The epoch that the weights are of; None: nobody knows."""

    @property
    def parts(self) -> list[str]:
        """What the loss is made of, and the scores that are watched beside it, in the order of the file.

        The largest value beside a mean of the same name (`max_x` of `x`) and what is nothing throughout stay in the
        file.
        """
        names = [name.removeprefix(TRAINED).removeprefix(VALIDATED) for name in self.columns]
        found = [name for name in dict.fromkeys(names) if name != "loss" and name.removeprefix("max_") == name]
        return [name for name in found if any(np.any(curve > 0) for curve in self.of(name).values())]

    def of(self, part: str) -> dict[str, Vector]:
        """The curves of a part that have a value: under "training", "validation" or both."""
        places = {"training": TRAINED + part, "validation": VALIDATED + part}
        found = {name: self.columns[column] for name, column in places.items() if column in self.columns}
        return {name: values for name, values in found.items() if np.isfinite(values).any()}


def read_curves(path: Path, kept: int | None = None) -> Curves:
    """The curves of a `metrics.csv`.

    Raises:
        DataError: It is not one.
    """
    try:
        table = pl.read_csv(StringIO(path.read_text(encoding="utf-8")), infer_schema=False)
        numbers = table.select(pl.all().cast(pl.Float64)).fill_null(np.nan)
        wanted = [name for name in numbers.columns if name.startswith((TRAINED, VALIDATED))]
        return Curves(numbers["epoch"].to_numpy(), {name: numbers[name].to_numpy() for name in wanted}, kept)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: not the curves of a training ({error}).", "Train the surrogate again.") from error


def training(model: str, kinds: Mapping[str, str], curves: Curves) -> Drawing:
    """Loss against epoch, in training and validation, and below it the parts that it has.

    Args:
        model: Whose training it is.
        kinds: Kind of every model of the report, so that each keeps its colour.
        curves: At least one epoch.
    """
    parts = curves.parts[:MOST_PARTS]
    rows = -(-len(parts) // ACROSS)
    height = 2.55 + 1.2 * rows

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, height))
        color = looks(kinds, theme)[model].color
        top = figure.add_axes((0.14, 1 - 2.05 / height, 0.83, 1.7 / height))
        _panel(top, curves, "loss", color, theme)
        top.set(xlabel="epoch", ylabel="loss")
        _mark_kept(top, curves, theme)
        figure.legend(*top.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.12, 1), ncols=2, fontsize=8)
        for place, part in enumerate(parts):
            row, column = divmod(place, ACROSS)
            bottom = 1 - (3.5 + 1.2 * row) / height
            axes = figure.add_axes((0.1 + 0.315 * column, bottom, 0.24, 0.7 / height))
            _panel(axes, curves, part, color, theme, ticks=3)
            axes.set_title(part, fontsize=8, loc="left", pad=3)
            axes.tick_params(labelsize=7, length=2, pad=1.5)
        return figure

    unshown = len(curves.parts) - len(parts)
    return Drawing(
        draw,
        f"How {model} learned",
        _caption(model, curves, parts) + (f" {unshown} further parts stand in the file." if unshown else ""),
        _spoken(model, curves, ["loss", *parts]),
        "training",
    )


def overlaid(losses: Mapping[str, Curves], model: str) -> Drawing:
    """The validation loss of one surrogate in several runs (or the training loss where nothing is validated)."""
    judged = {run: curves.of("loss") for run, curves in losses.items()}
    shown = {run: found["validation" if "validation" in found else "training"] for run, found in judged.items()}

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, 2.9))
        axes = figure.add_axes((0.14, 0.17, 0.83, 0.66))
        for (run, values), color in zip(shown.items(), cycle(theme.surrogates), strict=False):
            _curve(axes, losses[run].epochs, values, color, run)
        _loss_axis(axes, list(shown.values()))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set(xlabel="epoch", ylabel="validation loss")
        figure.legend(loc="upper left", bbox_to_anchor=(0.12, 1), ncols=3, fontsize=8)
        return figure

    ends = ", ".join(f"{run} {number(float(np.nanmin(values)))}" for run, values in shown.items())
    return Drawing(
        draw,
        f"How {model} learned",
        "Loss on the validation split, or on the training split where nothing was validated.",
        f"Lowest loss of {model}: {ends}",
        "training",
    )


def _panel(axes: Axes, curves: Curves, part: str, color: str, theme: Theme, ticks: int = 5) -> None:
    found = curves.of(part)
    styles = {"training": (theme.muted, 1.0), "validation": (color, 1.7)}
    for name, values in found.items():
        tone, width = styles[name]
        _curve(axes, curves.epochs, values, tone, name, width)
    _loss_axis(axes, list(found.values()), ticks)
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    room = 0.02 * float(np.ptp(curves.epochs)) or 0.5
    axes.set_xlim(curves.epochs[0] - room, curves.epochs[-1] + room)


def _curve(axes: Axes, epochs: Vector, values: Vector | None, color: str, label: str, width: float = 1.7) -> None:
    if values is not None:
        known = np.isfinite(values)
        marker = "o" if known.sum() < 3 else None
        axes.plot(epochs[known], values[known], color=color, lw=width, marker=marker, ms=3, label=label)


def _loss_axis(axes: Axes, curves: Sequence[Vector], ticks: int = 5) -> None:
    """Logarithmic where the values are positive and span more than a factor of three."""
    values = np.concatenate([values[np.isfinite(values)] for values in curves])
    if values.min() > 0 and values.max() > 3 * values.min():
        logarithmic(axes.yaxis, float(values.min()), float(values.max()), ticks)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(ticks - 1))
        axes.yaxis.set_major_formatter(lambda value, _: tick(value))


def _mark_kept(axes: Axes, curves: Curves, theme: Theme) -> None:
    """A dashed line at the epoch that was kept, with its number, on the side where there is room."""
    if curves.kept is None:
        return
    late = curves.kept > 0.5 * float(curves.epochs[-1])
    axes.axvline(curves.kept, lw=0.9, ls=(0, (4, 3)), color=theme.muted)
    axes.annotate(
        f"kept: epoch {curves.kept}",
        (curves.kept, 1.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-3 if late else 3, -2),
        textcoords="offset points",
        ha="right" if late else "left",
        va="top",
        fontsize=8,
    )


def _caption(model: str, curves: Curves, parts: Sequence[str]) -> str:
    said = f"Mean over the batches of an epoch; all numbers are in `logs/{model}/metrics.csv`."
    kept = " Dashed: the epoch whose weights were kept." if curves.kept is not None else ""
    below = " Below: the parts of the loss and what was watched beside it, each on its own axis." if parts else ""
    return said + kept + below


def _spoken(model: str, curves: Curves, parts: Sequence[str]) -> str:
    """The first and the last value of every curve."""
    said = []
    for part in parts:
        for name, values in curves.of(part).items():
            known = values[np.isfinite(values)]
            said.append(f"{name} {part} from {number(float(known[0]))} to {number(float(known[-1]))}")
    last = int(curves.epochs[-1])
    kept = f", epoch {curves.kept} kept" if curves.kept is not None else ""
    return f"Training of {model}, {last} epochs{kept}: {'; '.join(said)}"

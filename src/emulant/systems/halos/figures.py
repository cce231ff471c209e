"""The figures that only a report about halos has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from emulant.dataset.seams import Array
from emulant.reporting.figures import WIDTH, Drawing
from emulant.reporting.style import Theme, looks
from emulant.systems.halos.box import SPECIES
from emulant.systems.halos.metrics import ALL
from emulant.systems.halos.parameters import ASTROPHYSICS

REACHES = {"dm": 3.0, "gas": 3.0, "stars": 4.0}
"""Decades below the brightest pixel that are shown."""
COMPARED = ("transfer",)
"""Baselines in a gallery."""
WAVES = (2.0, 5.0, 10.0, 20.0)
"""Ticks, h/Mpc."""


def gallery(run: Any) -> Drawing | None:
    """One halo: the dark matter at four scales; below, each species as it is and as it is painted."""
    dataset = run.dataset(run.test_splits[0])
    halo_mass = dataset.read(["halo_mass"])["halo_mass"]
    case = int(dataset.cases["case"][int(np.argsort(halo_mass)[int(0.9 * (len(halo_mass) - 1))])])
    read = dataset.read(["condition", "large_scale", "target", "halo_mass"], [case])
    seen = {name: array[0] for name, array in read.items()}
    dark = np.concatenate([seen["condition"][None], seen["large_scale"]])
    models = _models(run, "surrogate")[:2] + [name for name in _models(run, "baseline") if name in COMPARED]
    painted = {name: run.prediction(name, dataset.split, case)["target"][0] for name in models}
    columns = {"truth": seen["target"], **painted}
    scales = dataset.geometry["scales"]

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, WIDTH * 1.08))
        grid = GridSpec(4, 4, figure, left=0.07, right=0.995, bottom=0.01, top=0.95, wspace=0.04, hspace=0.16)
        for column, (image, scale) in enumerate(zip(dark, scales, strict=False)):
            axes = _image(figure.add_subplot(grid[0, column]), image, 3.0, image.max(), "magma")
            axes.set_title(f"{scale:g} Mpc/h", fontsize=8, pad=3)
        for row, (species, colours) in enumerate(zip(SPECIES, ("magma", "cividis", "bone"), strict=True), start=1):
            brightest = seen["target"][row - 1].max()
            for column, (name, maps) in enumerate(columns.items()):
                axes = _image(
                    figure.add_subplot(grid[row, column]), maps[row - 1], REACHES[species], brightest, colours
                )
                if row == 1:
                    axes.set_title(name, fontsize=8, pad=3)
                if column == 0:
                    axes.set_ylabel(species, fontsize=9)
        figure.axes[0].set_ylabel("DMO", fontsize=9)
        return figure

    return Drawing(
        draw,
        "A halo of the test split",
        f"M200c = {float(seen['halo_mass']):.2g} Msun/h. Top: its box without baryons, at {len(dark)} scales. "
        f"Below, {scales[0]:g} Mpc/h across: what the box with baryons holds, and what is painted (one draw). "
        "Logarithmic; the colours of a row are those of its truth, black is empty.",
        f"Maps of dark matter, gas and stars of one halo: the truth beside {', '.join(painted)}",
        "maps",
    )


def spectra(run: Any) -> Drawing | None:
    """Error of the power of whole painted boxes against wave number."""
    return _panels(
        run,
        "suppression_error",
        ALL,
        "k / (h/Mpc)",
        "P painted / P true − 1",
        "Power of whole boxes",
        "Every test box painted and pasted, against the true one; the suppression by baryons is off by as much.",
    )


def cutout_spectra(run: Any) -> Drawing | None:
    """Error of the power of cutouts against wave number."""
    return _panels(
        run, "pk_ratio", ALL, "k / (h/Mpc)", "P painted / P true − 1", "Power of cutouts", "Sums over all cutouts."
    )


def correction(run: Any) -> Drawing | None:
    """How well what baryons change is placed."""
    return _panels(
        run,
        "r_k_correction",
        ALL,
        "k / (h/Mpc)",
        "correlation",
        "How well what baryons change is placed",
        "Correlation of species less its cosmic share of the box without baryons, painted with true.",
        perfect=1.0,
    )


def profiles(run: Any) -> Drawing | None:
    """Error of the mass in rings against radius."""
    return _panels(
        run,
        "profile_error",
        SPECIES,
        "r / R200c",
        "painted / true − 1",
        "Profiles of halos",
        "Mass in projected rings.",
    )


def calibration(run: Any) -> Drawing | None:
    """How often the truth lies in central intervals of the draws."""
    rows = _rows(run, "coverage_68", "coverage_95").filter(pl.col("group").is_in(ALL))
    models = [name for name in _models(run) if name in rows["model"].to_list()]
    if not models:
        return None
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, 2.9))
        axes = figure.add_axes((0.12, 0.17, 0.86, 0.68))
        look = looks(kinds, theme)
        for share, metric in ((0.68, "coverage_68"), (0.95, "coverage_95")):
            axes.axhline(share, color=theme.muted, lw=0.9, ls=(0, (4, 3)))
            for offset, model in enumerate(models):
                values = [_value(rows, model, metric, species) for species in ALL]
                x = np.arange(len(ALL)) + 0.12 * (offset - (len(models) - 1) / 2)
                middle, low, high = np.array(values).T
                label = model if share == 0.68 else None
                axes.vlines(x, low, high, color=look[model].color, lw=1.2)
                axes.plot(x, middle, look[model].marker or "o", color=look[model].color, ms=5, ls="", label=label)
        axes.set(ylim=(0, 1.03), ylabel="share of truths inside", xlim=(-0.5, len(ALL) - 0.5))
        axes.set_xticks(range(len(ALL)), ALL)
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    return Drawing(
        draw,
        "How wide the draws are",
        "Share of cutouts whose true mass lies in the central 68 % and 95 % of the draws, by rank. Dashed: nominal.",
        "Coverage of the central 68 and 95 per cent: " + _spoken(rows, models, "coverage_68", ALL),
        "physics",
    )


def response(run: Any) -> Drawing | None:
    """How well painters follow each parameter of feedback when it alone is moved."""
    rows = _rows(run, "response_r", split="test_response")
    models = [name for name in _models(run) if name in rows["model"].to_list()]
    names = [name for name in ASTROPHYSICS if name in rows["group"].to_list()]
    if not models or not names:
        return None
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, 1.3 + 0.4 * len(names)))
        axes = figure.add_axes((0.42, 0.24, 0.55, 0.58))
        look = looks(kinds, theme)
        for offset, model in enumerate(models):
            y = np.arange(len(names)) + 0.1 * (offset - (len(models) - 1) / 2)
            values = [_value(rows, model, "response_r", name)[0] for name in names]
            axes.plot(values, y, look[model].marker or "o", color=look[model].color, ls="", ms=5, label=model)
        axes.axvline(1.0, color=theme.muted, lw=0.9, ls=(0, (4, 3)))
        axes.set(ylim=(len(names) - 0.4, -0.6), xlabel="correlation with the true change")
        axes.set_yticks(range(len(names)), names, fontsize=7)
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    return Drawing(
        draw,
        "Response to feedback",
        "One parameter is moved at a time; changes of log gas and log stars of halos, painted against true.",
        "Correlation of painted with true changes: " + _spoken(rows, models, "response_r", names),
        "physics",
    )


# -- what they share ------------------------------------------------------------------------------------------------


def _panels(
    run: Any,
    metric: str,
    groups: Sequence[str],
    x_label: str,
    y_label: str,
    heading: str,
    caption: str,
    perfect: float = 0.0,
) -> Drawing | None:
    """A metric with an axis of its own, a panel for each species, a line for each model."""
    rows = _rows(run, metric).filter(pl.col("horizon") != "all")
    models = [name for name in _models(run) if name in rows["model"].to_list()]
    if not models:
        return None
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    limits = {species: (-0.1, 1.05) if perfect else _span(rows, species, run) for species in groups}

    def draw(theme: Theme) -> Figure:
        columns = min(2, len(groups)) if len(groups) != 3 else 3
        lines = -(-len(groups) // columns)
        figure = Figure(figsize=(WIDTH, 1.0 + 1.45 * lines))
        high = 1 - 0.58 / (1.0 + 1.45 * lines)
        foot = 0.42 / (1.0 + 1.45 * lines)
        apart = 0.3 if columns < 3 else 0.5
        grid = GridSpec(lines, columns, figure, left=0.14, right=0.98, bottom=foot, top=high, wspace=apart, hspace=0.3)
        look = looks(kinds, theme)
        for place, species in enumerate(groups):
            axes = figure.add_subplot(grid[place // columns, place % columns])
            for model in models:
                curve = _curve(rows, model, metric, species)
                if curve is None:
                    continue
                x, value, least, most = curve
                if kinds[model] == "surrogate":
                    axes.fill_between(x, least, most, color=look[model].color, alpha=0.15, lw=0)
                line = look[model]
                axes.plot(
                    x, value, color=line.color, ls=line.dashes, lw=line.width, marker=line.marker, ms=3, label=model
                )
            axes.axhline(perfect, color=theme.muted, lw=0.8)
            axes.set_ylim(*limits[species])
            if x_label.startswith("k"):
                axes.set_xscale("log")
                axes.set_xticks(WAVES, [f"{wave:g}" for wave in WAVES])
                axes.minorticks_off()
            axes.set_title(species, fontsize=8, pad=2, loc="left")
            axes.tick_params(labelbottom=place // columns == lines - 1, labelsize=7)
        figure.supxlabel(x_label, fontsize=9, y=0.01)
        figure.supylabel(y_label, fontsize=9, x=0.005)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper center", ncols=4, fontsize=7, columnspacing=1.0)
        return figure

    return Drawing(
        draw,
        heading,
        f"{caption} Bands: confidence intervals over simulations, of the surrogates.",
        f"{heading}: " + _spoken(rows, models, metric, groups),
        "lead_time",
    )


def _span(rows: pl.DataFrame, species: str, run: Any) -> tuple[float, float]:
    """Limits that show every surrogate and the transfer function."""
    shown = [*_models(run, "surrogate"), *COMPARED]
    values = rows.filter(pl.col("model").is_in(shown) & (pl.col("group") == species))["value"].drop_nulls().to_numpy()
    low, high = (float(values.min()), float(values.max())) if len(values) else (-1.0, 1.0)
    room = 0.15 * max(high - low, 0.02)
    return min(low, 0.0) - room, max(high, 0.0) + room


def _rows(run: Any, *metrics: str, split: str | None = None) -> pl.DataFrame:
    wanted = split or run.test_splits[0]
    found: pl.DataFrame = run.metrics.filter(pl.col("metric").is_in(metrics) & (pl.col("split") == wanted))
    return found


def _models(run: Any, kind: str | None = None) -> list[str]:
    """Names in the order of the leaderboard."""
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    return [name for name in run.ranking()["model"].to_list() if kind in (None, kinds[name])]


def _curve(rows: pl.DataFrame, model: str, metric: str, group: str) -> tuple[Array, Array, Array, Array] | None:
    found = rows.filter(model=model, metric=metric, group=group).with_columns(pl.col("horizon").cast(pl.Float64))
    if found.is_empty():
        return None
    columns = found.sort("horizon").select("horizon", "value", "ci_low", "ci_high").to_numpy().T
    return columns[0], columns[1], columns[2], columns[3]


def _value(rows: pl.DataFrame, model: str, metric: str, group: str) -> tuple[float, float, float]:
    """Value and interval; NaN where there is none."""
    found = rows.filter(model=model, metric=metric, group=group).select("value", "ci_low", "ci_high").rows()
    return found[0] if found else (np.nan, np.nan, np.nan)


def _spoken(rows: pl.DataFrame, models: Sequence[str], metric: str, groups: Sequence[str]) -> str:
    """The figure in words, for those who do not see it."""
    told = []
    for model in models:
        values = {group: rows.filter(model=model, metric=metric, group=group)["value"].to_list() for group in groups}
        numbers = ", ".join(f"{group} {' '.join(f'{v:.2g}' for v in each)}" for group, each in values.items() if each)
        told.append(f"{model}: {numbers}")
    return "; ".join(told)


def _image(axes: Any, image: Array, decades: float, brightest: float, colours: str) -> Any:
    """A map of mass in logarithmic colours; what is empty is black."""
    top = np.log10(max(float(brightest), 1.0))
    with np.errstate(divide="ignore"):
        logs = np.log10(np.asarray(image, float))
    axes.imshow(logs.T, origin="lower", cmap=colours, vmin=top - decades, vmax=top, interpolation="nearest")
    axes.set_facecolor("black")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes

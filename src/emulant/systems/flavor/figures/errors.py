"""How far every model is from the truth: against Box3D, component by component, by rate and by depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from emulant.dataset.seams import Inputs
from emulant.reporting.figures import WIDTH, Drawing, framed
from emulant.reporting.numbers import number
from emulant.reporting.style import Theme, looks
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.figures.answers import answered, best, kinds, tested
from emulant.systems.flavor.metrics import totals

SPECIES = ("ν_e", "ν̄_e", "ν_x", "ν̄_x")
MARKS = ("o", "s", "^", "v")


def ladder(run: Any) -> Drawing | None:
    """The rms error of every model in units of Box3D's, split by split."""
    table = run.metrics.filter((pl.col("metric") == "rms_f4") & (pl.col("group") == "all"))
    splits = [split for split in run.test_splits if len(table.filter(split=split, model="box3d"))]
    if not splits:
        return None
    rows = {}
    for split in splits:
        its = table.filter(split=split)
        unit = its.filter(model="box3d")["value"][0]
        rows[split] = {
            name: np.array([value, low, high]) / unit
            for name, value, low, high in its.select("model", "value", "ci_low", "ci_high").iter_rows()
        }
    names = sorted(rows[splits[0]], key=lambda name: rows[splits[0]][name][0])
    said = ", ".join(f"{name} {number(float(rows[splits[0]][name][0]))}" for name in names)
    every = np.concatenate([row for its in rows.values() for row in its.values()])
    every = every[np.isfinite(every) & (every > 0)]
    lowest, highest = 0.8 * float(every.min()), 1.25 * float(every.max())

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 0.9 + 0.34 * len(names), left=0.2, right=0.96, inches_above=0.4)
        found = looks(kinds(run), theme)
        for index, split in enumerate(splits):
            for place, name in enumerate(names):
                value, low, high = rows[split][name]
                y = place + 0.22 * (index - (len(splits) - 1) / 2)
                axes.plot([low, high], [y, y], color=found[name].color, lw=1.2, alpha=1.0 if index == 0 else 0.5)
                axes.plot(
                    value, y, found[name].marker, color=found[name].color, ms=5, mfc=None if index == 0 else "none"
                )
        axes.axvline(1.0, color=theme.muted, lw=0.8, ls=":")
        axes.set(xscale="log", xlabel="rms_f4 / that of Box3D", yticks=range(len(names)), yticklabels=names)
        axes.invert_yaxis()
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if lowest < tick < highest]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        return figure

    caption = f"Filled: {splits[0]}." + "".join(f" Open: {split}." for split in splits[1:])
    return Drawing(
        draw,
        "Against Box3D",
        f"{caption} Lines are confidence intervals over the cells.",
        f"rms error over Box3D's: {said}",
        "leaderboard",
    )


def scatter(run: Any) -> Drawing | None:
    """Predicted against true change of the densities, species by species."""
    name, (arrays, trusted) = best(run), tested(run)
    if name is None or not trusted.any():
        return None
    scale, start = totals(arrays[F4_INITIAL]), arrays[F4_INITIAL]
    final = run.model(name).predict(Inputs({F4_INITIAL: start}))[F4_FINAL][:, 0]
    truth, guess = ((((end - start) / scale)[trusted])[:, 3] for end in (arrays[F4_FINAL], final))
    pairs = {SPECIES[2 * a + s]: (truth[:, s, a], guess[:, s, a]) for a in (0, 1) for s in (0, 1)}
    off = float(np.sqrt(np.mean([(x - y) ** 2 for x, y in pairs.values()])))
    bound = 1.05 * max(float(np.abs(truth).max()), float(np.abs(guess).max()), 1e-6)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.6, left=0.16, right=0.96, inches_above=0.2)
        axes.plot([-bound, bound], [-bound, bound], color=theme.muted, lw=0.8)
        for (species, (x, y)), mark, color in zip(pairs.items(), MARKS, theme.surrogates, strict=False):
            axes.plot(x, y, mark, color=color, ms=3, alpha=0.6, mew=0, label=species)
        axes.set(
            xlabel="true change of the density / n_tot",
            ylabel=f"by {name} / n_tot",
            xlim=(-bound, bound),
            ylim=(-bound, bound),
        )
        axes.legend(loc="upper left", fontsize=8, markerscale=2)
        return figure

    return Drawing(
        draw,
        "Truth and surrogate",
        "Every point is a species of a test cell.",
        f"Predicted against true change of densities; rms off the line {number(off)} n_tot",
        "groups",
    )


def growth(run: Any) -> Drawing | None:
    """How the predicted growth rates are spread about the true ones."""
    arrays, _ = tested(run)
    unstable = (arrays[STABLE] == 0) & (arrays[GROWTH] > 0)
    if not unstable.any():
        return None
    answers = answered(run, arrays)
    ratios = {name: answer[GROWTH][unstable] / arrays[GROWTH][unstable] for name, answer in answers.items()}
    edges = np.geomspace(0.3, 3.0, 61)
    said = ", ".join(f"{name} {number(float(np.median(np.abs(ratio - 1))))}" for name, ratio in ratios.items())

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 2.9, left=0.14, right=0.97, inches_above=0.5)
        found = looks(kinds(run), theme)
        for name, ratio in ratios.items():
            counts, _ = np.histogram(np.clip(ratio, edges[0], edges[-1]), edges)
            look = found[name]
            axes.stairs(counts / len(ratio), edges, color=look.color, lw=look.width, ls=look.dashes, label=name)
        axes.axvline(1.0, color=theme.muted, lw=0.8, ls=":")
        axes.set(xscale="log", xlabel="γ / γ of linear analysis", ylabel="share of unstable cells")
        axes.set_xticks([0.3, 0.5, 1, 2, 3], ["0.3", "0.5", "1", "2", "3"])
        axes.xaxis.set_minor_locator(NullLocator())
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    return Drawing(
        draw,
        "Growth rates",
        "What lies beyond the axis is counted at its ends.",
        f"Median error of the growth rate: {said}",
        "physics",
    )


def depth(run: Any) -> Drawing | None:
    """Error of the final state against the depth of the crossing."""
    arrays, trusted = tested(run)
    margin = arrays["margin"]
    good = trusted & (margin > 0) & (arrays[STABLE] == 0)
    if not good.any():
        return None
    scale = totals(arrays[F4_INITIAL])
    errors = {
        name: np.sqrt(np.mean(((answer[F4_FINAL] - arrays[F4_FINAL]) / scale)[good] ** 2, axis=(1, 2, 3)))
        for name, answer in answered(run, arrays).items()
    }
    low = float(max(margin[good].min(), 1e-5))

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.0, left=0.14, right=0.97, inches_above=0.5)
        for name, look in looks(kinds(run), theme).items():
            if name in errors:
                axes.plot(
                    margin[good],
                    np.maximum(errors[name], 1e-7),
                    look.marker,
                    color=look.color,
                    ms=3,
                    alpha=0.6,
                    mew=0,
                    label=name,
                )
        axes.set(
            xscale="log",
            yscale="log",
            xlim=(0.8 * low, 0.6),
            xlabel="depth of the crossing, I< / (I< + I>)",
            ylabel="rms error / n_tot",
        )
        axes.xaxis.set_minor_formatter(NullFormatter())
        figure.legend(loc="upper center", ncols=4, fontsize=8, markerscale=2)
        return figure

    said = ", ".join(f"{name} {number(float(np.median(values)))}" for name, values in errors.items())
    return Drawing(
        draw,
        "Error by depth of the crossing",
        "Every point is an unstable test cell.",
        f"Median rms error in n_tot: {said}",
        "groups",
    )

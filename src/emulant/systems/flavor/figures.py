"""The figures of a flavor report: how far every model is from Box3D, and where it errs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from emulant.dataset.seams import Array, Inputs
from emulant.reporting.figures import WIDTH, Drawing, framed, logarithmic
from emulant.reporting.numbers import number, tick
from emulant.reporting.style import Theme, looks
from emulant.systems.flavor.fields import EXCLUDED, F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.metrics import totals

MOST = 1000
"""Cells that are drawn."""
COMPARED = ("mixing", "multitask", "profile", "box3d")
UNCHANGED, PROMISED = 1e-18, 1e-12
"""Changes of a lepton number over n_tot: where a cell without any is drawn, and what surrogates keep to."""
SPECIES = ("ν_e", "ν̄_e", "ν_x", "ν̄_x")
MARKS = ("o", "s", "^", "v")


def _kinds(run: Any) -> dict[str, str]:
    return {entrant.name: entrant.kind for entrant in run.entrants()}


def _test(run: Any) -> tuple[dict[str, Array], Array]:
    """Cells of the first test split, all fields and the margin; and whether their final state is to be trusted."""
    dataset = run.dataset(run.test_splits[0])
    cases = dataset.cases["case"].to_list()[:MOST]
    arrays = dataset.read([F4_INITIAL, F4_FINAL, GROWTH, STABLE, "margin"], cases)
    trusted = np.isfinite(arrays[F4_FINAL]).all(axis=(1, 2, 3))
    if "outcome" in dataset.cases.columns:
        trusted &= ~dataset.cases["outcome"].is_in(EXCLUDED).to_numpy()[: len(cases)]
    return arrays, trusted


def _answers(run: Any, arrays: dict[str, Array]) -> dict[str, dict[str, Array]]:
    """What the models that are compared say of the cells."""
    present = [name for name in COMPARED if name in _kinds(run)]
    given = Inputs({F4_INITIAL: arrays[F4_INITIAL]})
    return {name: {k: v[:, 0] for k, v in run.model(name).predict(given).items()} for name in present}


def _best(run: Any) -> str | None:
    names = [name for name, kind in _kinds(run).items() if kind == "surrogate"]
    return next((name for name in ("mixing", *names) if name in names), None)


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
        found = looks(_kinds(run), theme)
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
    name, (arrays, trusted) = _best(run), _test(run)
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
    arrays, _ = _test(run)
    unstable = (arrays[STABLE] == 0) & (arrays[GROWTH] > 0)
    if not unstable.any():
        return None
    answers = _answers(run, arrays)
    ratios = {name: answer[GROWTH][unstable] / arrays[GROWTH][unstable] for name, answer in answers.items()}
    edges = np.geomspace(0.3, 3.0, 61)
    said = ", ".join(f"{name} {number(float(np.median(np.abs(ratio - 1))))}" for name, ratio in ratios.items())

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 2.9, left=0.14, right=0.97, inches_above=0.5)
        found = looks(_kinds(run), theme)
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
    arrays, trusted = _test(run)
    margin = arrays["margin"]
    good = trusted & (margin > 0) & (arrays[STABLE] == 0)
    if not good.any():
        return None
    scale = totals(arrays[F4_INITIAL])
    errors = {
        name: np.sqrt(np.mean(((answer[F4_FINAL] - arrays[F4_FINAL]) / scale)[good] ** 2, axis=(1, 2, 3)))
        for name, answer in _answers(run, arrays).items()
    }
    low = float(max(margin[good].min(), 1e-5))

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.0, left=0.14, right=0.97, inches_above=0.5)
        for name, look in looks(_kinds(run), theme).items():
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


def plane(run: Any) -> Drawing | None:
    """What the surrogate makes of a slice of flux space: lepton asymmetry across, flux factor of ν̄_e up."""
    name = _best(run)
    if name is None or run.dataset(run.test_splits[0]).geometry["flavors"] != 3:
        return None
    ratio, factor = np.meshgrid(np.linspace(0.6, 1.6, 61), np.linspace(0.0, 0.6, 61))
    f4 = np.zeros((ratio.size, 4, 2, 3))
    f4[:, 3, 0, 0], f4[:, 3, 1, 0], f4[:, 3, :, 1:] = 1.0, ratio.ravel(), 0.25
    f4[:, 2, 0, 0], f4[:, 2, 1, 0], f4[:, 2, :, 1:] = 0.1, ratio.ravel() * factor.ravel(), 0.25 * 0.5
    f4 *= 1e33
    answer = run.model(name).predict(Inputs({F4_INITIAL: f4}))
    lost = -((answer[F4_FINAL][:, 0] - f4) / totals(f4))[:, 3, 0, 0].reshape(ratio.shape)
    stable = answer[STABLE][:, 0].reshape(ratio.shape).astype(float)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.2, left=0.13, right=0.82, inches_above=0.2)
        image = axes.pcolormesh(ratio, factor, np.where(stable > 0, np.nan, lost), cmap="cividis", rasterized=True)
        if 0 < stable.mean() < 1:
            axes.contour(ratio, factor, stable, levels=[0.5], colors=[theme.ink], linewidths=1.0)
        bar = figure.colorbar(image, cax=figure.add_axes((0.85, 0.16, 0.03, 0.76)))
        bar.set_label("ν_e that turn into ν_x / n_tot")
        axes.set(xlabel="n(ν̄_e) / n(ν_e)", ylabel="flux factor of ν̄_e")
        axes.grid(visible=False)
        return figure

    caption = (
        "All fluxes along one axis; flux factors 0.1 of ν_e and 0.5 of the heavy ones, a quarter of n(ν_e) each. "
        "Beyond the line: stable."
    )
    said = f"Most ν_e lost on the slice: {number(float(np.nanmax(lost)))} n_tot; stable: {number(float(stable.mean()))}"
    return Drawing(draw, f"A slice of flux space by {name}", caption, said, "maps")


def conservation(run: Any) -> Drawing | None:
    """How far every model is from keeping the lepton numbers."""
    arrays, _ = _test(run)
    scale, start = totals(arrays[F4_INITIAL]), arrays[F4_INITIAL]
    found = {}
    for name, answer in _answers(run, arrays).items():
        change = ((answer[F4_FINAL] - start) / scale)[:, 3]
        found[name] = np.maximum(np.abs(change[:, 0] - change[:, 1]).max(axis=1), UNCHANGED)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 0.95 + 0.28 * len(found), left=0.2, right=0.96)
        for row, (name, values) in enumerate(found.items()):
            look = looks(_kinds(run), theme)[name]
            axes.plot([values.min(), values.max()], [row, row], color=look.color, lw=1.5)
            axes.plot(np.median(values), row, look.marker, color=look.color, ms=5)
        axes.axvline(PROMISED, color=theme.muted, lw=0.9, ls=(0, (4, 3)))
        logarithmic(axes.xaxis, UNCHANGED, 1.0, most=7)
        axes.set(xlim=(UNCHANGED / 2, 1.0), ylim=(len(found) - 0.4, -0.6), xlabel="change of a lepton number / n_tot")
        axes.set_yticks(range(len(found)), list(found))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        return figure

    worst = ", ".join(f"{name} {number(float(values.max()))}" for name, values in found.items())
    return Drawing(
        draw,
        "Is the lepton number kept?",
        f"The largest change over the flavors of each cell. Dots: median over the cells; lines: all cells. "
        f"An unchanged cell stands at {tick(UNCHANGED)}. Dashed: what is promised.",
        f"Largest change of a lepton number over n_tot: {worst}",
        "physics",
    )

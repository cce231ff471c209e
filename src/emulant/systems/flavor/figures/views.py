"""What a surrogate makes of a slice of flux space, what the models keep, and how they were trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from emulant.dataset.seams import Array, Inputs
from emulant.reporting.figures import WIDTH, Drawing, framed
from emulant.reporting.numbers import number
from emulant.reporting.style import Theme, looks
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, STABLE
from emulant.systems.flavor.figures.answers import answered, best, kinds, tested
from emulant.systems.flavor.metrics import totals


def plane(run: Any) -> Drawing | None:
    """What the surrogate makes of a slice of flux space: lepton asymmetry across, flux factor of ν̄_e up."""
    name = best(run)
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
    return Drawing(draw, f"A slice of flux space by {name}", caption, said)


def conservation(run: Any) -> Drawing | None:
    """How far every model is from keeping the lepton numbers."""
    arrays, _ = tested(run)
    scale, start = totals(arrays[F4_INITIAL]), arrays[F4_INITIAL]
    found = {}
    for name, answer in answered(run, arrays).items():
        change = ((answer[F4_FINAL] - start) / scale)[:, 3]
        found[name] = np.log10(np.maximum(np.abs(change[:, 0] - change[:, 1]).max(axis=1), 1e-18))
    edges = np.linspace(-18, 0, 55)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 2.7, left=0.14, right=0.97, inches_above=0.5)
        its = looks(kinds(run), theme)
        for name, values in found.items():
            counts, _ = np.histogram(values, edges)
            axes.stairs(
                counts / len(values), edges, color=its[name].color, lw=its[name].width, ls=its[name].dashes, label=name
            )
        axes.axvline(-12, color=theme.muted, lw=0.8, ls=":")
        axes.set(xlabel="log10 of the largest change of a lepton number / n_tot", ylabel="share of cells")
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    worst = ", ".join(f"{name} 1e{values.max():.0f}" for name, values in found.items())
    return Drawing(
        draw,
        "Lepton number",
        "Dotted: what is promised. An unchanged cell stands at the left end.",
        f"Largest change of a lepton number over n_tot: {worst}",
    )


def curves(run: Any) -> Drawing | None:
    """Validation loss of each task of `multitask`, and of `mixing`, over the epochs."""
    series: dict[str, tuple[Array, Array]] = {}
    for model, columns in (
        ("multitask", ("stable", "ndens", "fluxmag", "direction", "growthrate")),
        ("mixing", ("loss",)),
    ):
        path = run.folder.events.parent / model / "metrics.csv"
        if path.is_file():
            table = pl.read_csv(path)
            for column in columns:
                if (wanted := f"validation_{column}") in table.columns:
                    rows = table.select("epoch", wanted).drop_nulls()
                    values = rows[wanted].cast(pl.Float64).to_numpy()
                    if len(values) and values[0] > 0:
                        series[f"{model} {column}"] = rows["epoch"].to_numpy(), values / values[0]
    if not series:
        return None

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.2, left=0.14, right=0.97, inches_above=0.75)
        colors = [*theme.surrogates, theme.ink]
        for (name, (x, y)), color in zip(series.items(), colors, strict=False):
            axes.plot(x, np.maximum(y, 1e-6), color=color, lw=1.6, label=name)
        axes.set(yscale="log", xlabel="epoch", ylabel="validation loss / that of the first epoch")
        figure.legend(loc="upper center", ncols=3, fontsize=7)
        return figure

    said = ", ".join(f"{name} {number(float(y[-1]))}" for name, (_, y) in series.items())
    return Drawing(
        draw, "Training, task by task", "Each loss over what it was after the first epoch.", f"At the end: {said}"
    )

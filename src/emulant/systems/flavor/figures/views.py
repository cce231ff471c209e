"""What a surrogate makes of a slice of flux space, what the models keep, and how they were trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from emulant.dataset.seams import Inputs
from emulant.reporting.axes import logarithmic
from emulant.reporting.figures import WIDTH, Drawing, framed
from emulant.reporting.numbers import number, tick
from emulant.reporting.style import Theme, looks
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, STABLE
from emulant.systems.flavor.figures.answers import answered, best, kinds, tested
from emulant.systems.flavor.metrics import totals

UNCHANGED, PROMISED = 1e-18, 1e-12
"""Changes of a lepton number over n_tot: where a cell without any is drawn, and what surrogates keep to."""


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
    return Drawing(draw, f"A slice of flux space by {name}", caption, said, "maps")


def conservation(run: Any) -> Drawing | None:
    """How far every model is from keeping the lepton numbers."""
    arrays, _ = tested(run)
    scale, start = totals(arrays[F4_INITIAL]), arrays[F4_INITIAL]
    found = {}
    for name, answer in answered(run, arrays).items():
        change = ((answer[F4_FINAL] - start) / scale)[:, 3]
        found[name] = np.maximum(np.abs(change[:, 0] - change[:, 1]).max(axis=1), UNCHANGED)

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 0.95 + 0.28 * len(found), left=0.2, right=0.96)
        for row, (name, values) in enumerate(found.items()):
            look = looks(kinds(run), theme)[name]
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

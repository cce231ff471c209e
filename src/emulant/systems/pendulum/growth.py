"""How errors grow, in Lyapunov times where there is chaos and in seconds where there is none; and how motion is
spread over frequencies."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from emulant.dataset.seams import Array
from emulant.reporting.figures import WIDTH, Drawing, framed
from emulant.reporting.numbers import number
from emulant.reporting.style import Theme, looks
from emulant.systems.pendulum.chosen import rivals
from emulant.systems.pendulum.kept import Kept, kept_forecasts
from emulant.systems.pendulum.metrics import nrse, spread

THRESHOLD = 0.4
FLOOR, CEILING = 1e-4, 10.0
"""Between them errors are drawn; what is beyond lies on the edge."""
GRID = 80
WILD = 1e3
"""rad/s. Forecasts that turn faster have no spectrum worth a look; they are counted."""


def chaotic_growth(run: Any) -> Drawing | None:
    """NRSE against lead time in each case's own Lyapunov times, median and quartiles over the chaotic cases."""
    return _growth(run, "chaotic")


def regular_growth(run: Any) -> Drawing | None:
    """NRSE against lead time in seconds, over the regular cases."""
    return _growth(run, "regular")


def _growth(run: Any, group: str) -> Drawing | None:
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    sigma, split = spread(run.dataset("training")), run.test_splits[0]
    curves: dict[str, Array] = {}
    for model in kinds:
        kept = kept_forecasts(run, model, split).only(group)
        if not len(kept.cases):
            return None
        clock, curves[model] = quartiles(kept, sigma, in_lyapunov_times=group == "chaotic")
    unit = "Lyapunov times of each case" if group == "chaotic" else "s"

    def draw(theme: Theme) -> Figure:
        figure, axes = framed(WIDTH, 3.1, left=0.13, right=0.97, inches_above=0.5)
        for model, look in looks(kinds, theme).items():
            low, middle, high = np.clip(curves[model], FLOOR, CEILING)
            if kinds[model] == "surrogate":
                axes.fill_between(clock, low, high, color=look.color, alpha=0.13, linewidth=0)
            axes.plot(clock, middle, color=look.color, ls=look.dashes, lw=look.width, label=model)
        axes.axhline(THRESHOLD, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set(yscale="log", ylim=(FLOOR, CEILING), xlim=(0, clock[-1]), ylabel="NRSE", xlabel=f"lead time / {unit}")
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    crossed = {model: _crossing(clock, curve[1]) for model, curve in curves.items()}
    told = ", ".join(f"{model} {'never' if time is None else number(time)}" for model, time in crossed.items())
    return Drawing(
        draw,
        f"Error growth, {len(kept.cases)} {group} cases",
        f"Median over the cases; bands: their middle half. What is above {CEILING:g} lies on the edge. "
        f"The median crosses {THRESHOLD:g} (dashed) at: {told}.",
        f"NRSE against lead time in {unit}; the median crosses {THRESHOLD:g} at: {told}",
        "lead_time",
    )


def quartiles(kept: Kept, sigma: Array, *, in_lyapunov_times: bool) -> tuple[Array, Array]:
    """Lead times (G,) as far as half of the cases reach, and lower quartile, median and upper quartile (3, G) of the
    NRSE there, over the cases that reach so far."""
    errors = np.minimum(nrse({"state": kept.truth}, {"state": kept.states}, {"sigma": sigma}), 2 * CEILING)
    rates = kept.cases["lyapunov_1"].to_numpy() if in_lyapunov_times else np.ones(len(errors))
    clock = np.linspace(0, np.median(rates) * kept.lead[-1], GRID)
    placed = [
        np.interp(clock, rate * kept.lead, error, left=error[0], right=np.nan)
        for rate, error in zip(rates, errors, strict=True)
    ]
    found: Array = np.nanquantile(placed, [0.25, 0.5, 0.75], axis=0)
    return clock, found


def _crossing(clock: Array, curve: Array) -> float | None:
    """The first time at which a curve is above the threshold; None: never."""
    above = np.flatnonzero(curve > THRESHOLD)
    return float(clock[above[0]]) if above.size else None


# -- spectra ------------------------------------------------------------------------------------------------------


def spectra(run: Any) -> Drawing | None:
    """Power spectra of both angular velocities over the forecast: the truth, the best surrogate, the best baseline."""
    split = run.test_splits[0]
    models = list(dict.fromkeys(rivals(run)))
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    kept = {model: kept_forecasts(run, model, split) for model in models}
    step = float(run.dataset(split).geometry["step"])
    power: dict[str, Array] = {"truth": power_spectrum(next(iter(kept.values())).truth[..., 2:], step)[1]}
    wild = {}
    for model, its in kept.items():
        velocities = its.states[..., 2:]
        tame = (np.abs(velocities) < WILD).all(axis=(1, 2))
        wild[model] = int((~tame).sum())
        if tame.any():
            power[model] = power_spectrum(velocities[tame], step)[1]
    frequencies = np.fft.rfftfreq(len(its.lead), step)

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, 2.9))
        look = looks(kinds, theme)
        for column, name in enumerate(("ω1", "ω2")):
            axes = figure.add_axes((0.13 + 0.44 * column, 0.17, 0.40, 0.62), title=name)
            for model, values in power.items():
                color = theme.ink if model == "truth" else look[model].color
                dashes = "solid" if model == "truth" else look[model].dashes
                width = 1.2 if model == "truth" else look[model].width
                label = model if column == 0 else None
                axes.semilogy(frequencies[1:], values[1:, column], color=color, ls=dashes, lw=width, label=label)
            axes.set(xlabel="frequency / Hz", xlim=(0, frequencies[-1]))
            axes.set_ylim(*_decades(power["truth"][1:]))
            if column:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel("power / (rad/s)² per Hz")
        figure.legend(loc="upper center", ncols=4, fontsize=8)
        return figure

    out = ", ".join(f"`{model}` {count}" for model, count in wild.items() if count)
    left = f" Left out, for they turn faster than {WILD:g} rad/s: {out}." if out else ""
    return Drawing(
        draw,
        "Power spectra of the forecasts",
        f"Mean over all test cases of the periodogram with Hann's window.{left}",
        f"Power spectra of both angular velocities up to {frequencies[-1]:g} Hz: {', '.join(power)}",
        "physics",
    )


def power_spectrum(signals: Array, step: float) -> tuple[Array, Array]:
    """Frequencies (F,) in Hz and the mean one-sided power density (F, D) of signals (C, T, D)."""
    from scipy.signal import periodogram

    frequencies, power = periodogram(signals, fs=1 / step, window="hann", axis=1)
    return frequencies, power.mean(axis=0)


def _decades(power: Array) -> tuple[float, float]:
    """Whole decades around the truth's power, eight at most."""
    high = np.ceil(np.log10(power.max()))
    return float(10 ** max(np.floor(np.log10(power.min())) - 1, high - 8)), float(10**high)

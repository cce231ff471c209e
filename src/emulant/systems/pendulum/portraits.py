"""Single cases, chosen by rule: how both angles go on, and phase portraits of truth and forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emulant.dataset.seams import Array
from emulant.reporting.figures import WIDTH, Drawing
from emulant.reporting.style import Look, Theme, looks
from emulant.systems.pendulum.chosen import best_median_worst, rivals, valid_time
from emulant.systems.pendulum.kept import Kept, kept_forecasts

HALF_TURNS = ((-np.pi, 0.0, np.pi), ("-π", "0", "π"))


def trajectories(run: Any) -> Drawing | None:
    """θ2 against time in the best, the median and the worst case of the best surrogate."""
    model, split = rivals(run)[0], run.test_splits[0]
    rule, cases = best_median_worst(run, model, split)
    kept, kinds = kept_forecasts(run, model, split), _kinds(run)
    valid = {case: valid_time(run, model, split, case) for case in cases.values()}

    def draw(theme: Theme) -> Figure:
        figure, look = Figure(figsize=(WIDTH, 1.0 + 1.15 * len(cases))), looks(kinds, theme)[model]
        height = figure.get_size_inches()[1]
        for row, (name, case) in enumerate(cases.items()):
            bottom = (0.5 + 1.15 * (len(cases) - 1 - row)) / height
            axes = figure.add_axes((0.14, bottom, 0.83, 0.85 / height))
            truth, states = _pair(kept, case)
            axes.plot(kept.lead, truth[:, 1], color=theme.ink, linewidth=1.0, label=None if row else "truth")
            low, high = axes.get_ylim()
            axes.plot(kept.lead, states[:, 1], color=look.color, linewidth=1.6, label=None if row else model)
            axes.axvline(valid[case], color=theme.muted, linewidth=0.9, linestyle=(0, (4, 3)))
            margin = 0.5 * (high - low)
            axes.set(xlim=(0, kept.lead[-1]), ylim=(low - margin, high + margin), ylabel="θ2 / rad")
            axes.set_title(f"{name}, case {case}", fontsize=8, loc="left", pad=2)
            if row < len(cases) - 1:
                axes.set_xticklabels([])
        axes.set_xlabel("lead time / s")
        figure.legend(loc="upper center", ncols=2, fontsize=8)
        return figure

    told = ", ".join(f"{name} (case {case}) {valid[case]:.2f} s" for name, case in cases.items())
    return Drawing(
        draw,
        f"Single forecasts of {model}",
        f"{rule} Dashed: the end of the valid forecast. The axis is the truth's, and half as much again to both sides.",
        f"θ2 against lead time, truth and {model}; valid for: {told}",
        "maps",
    )


def phase(run: Any) -> Drawing | None:
    """Phase portraits of the same cases: θ1 with θ2, and θ2 with its velocity."""
    model, split = rivals(run)[0], run.test_splits[0]
    rule, cases = best_median_worst(run, model, split)
    kept, kinds = kept_forecasts(run, model, split), _kinds(run)

    def draw(theme: Theme) -> Figure:
        figure, look = Figure(figsize=(WIDTH, 4.2)), looks(kinds, theme)[model]
        fastest = 1.1 * max(np.abs(_pair(kept, case)[0][:, 3]).max() for case in cases.values())
        for column, (name, case) in enumerate(cases.items()):
            left = 0.135 + 0.288 * column
            above = figure.add_axes((left, 0.56, 0.262, 0.32), title=f"{name}, case {case}")
            below = figure.add_axes((left, 0.11, 0.262, 0.32))
            _orbits(above, _pair(kept, case), (0, 1), theme, look, column == 0, model)
            _orbits(below, _pair(kept, case), (1, 3), theme, look, False, model)
            above.set(ylim=(-np.pi, np.pi), xlabel="θ1")
            above.set_yticks(*HALF_TURNS)
            below.set(ylim=(-fastest, fastest), xlabel="θ2")
            for axes, label in ((above, "θ2"), (below, "ω2 / s⁻¹")):
                if column:
                    axes.set_yticklabels([])
                else:
                    axes.set_ylabel(label, labelpad=0)
        figure.legend(loc="upper center", ncols=2, fontsize=8)
        return figure

    return Drawing(
        draw,
        f"Phase portraits of {model}",
        f"{rule} Above: both angles. Below: the second angle with its velocity. Angles in (-π, π], over the forecast.",
        f"Phase portraits, truth and {model}, cases {', '.join(f'{case} ({name})' for name, case in cases.items())}",
        "maps",
    )


def _kinds(run: Any) -> Mapping[str, str]:
    return {entrant.name: entrant.kind for entrant in run.entrants()}


def _pair(kept: Kept, case: int) -> tuple[Array, Array]:
    """(H, 4) each: the truth and the forecast of a case; NaN where the forecast has left every bound."""
    row = kept.cases["case"].to_list().index(case)
    states = kept.states[row]
    return kept.truth[row], np.where(np.abs(states) < 1e6, states, np.nan)


def _orbits(
    axes: Axes, pair: tuple[Array, Array], of: tuple[int, int], theme: Theme, look: Look, named: bool, model: str
) -> None:
    for states, color, width, name in ((pair[0], theme.ink, 0.8, "truth"), (pair[1], look.color, 1.1, model)):
        curve = np.stack([wrapped(states[:, part]) if part < 2 else states[:, part] for part in of])
        turns = np.abs(np.diff(curve, axis=1)) > np.pi
        jumps = 1 + np.flatnonzero(turns[0] | (turns[1] & (of[1] < 2)))
        axes.plot(*np.insert(curve, jumps, np.nan, axis=1), color=color, lw=width, label=name if named else None)
    axes.set_xlim(-np.pi, np.pi)
    axes.set_xticks(*HALF_TURNS)
    axes.title.set_fontsize(8)


def wrapped(angles: Array) -> Array:
    """In (-π, π]."""
    turned: Array = np.pi - (np.pi - angles) % (2 * np.pi)
    return turned

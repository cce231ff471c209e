"""How figures look: a light and a dark theme, one look per model, and files whose bytes do not change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
from matplotlib.figure import Figure

Dashes: TypeAlias = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Theme:
    """Colours that keep apart in every common form of colour blindness, on one kind of paper."""

    name: Literal["light", "dark"]
    paper: str
    ink: str
    muted: str
    line: str
    surrogates: tuple[str, ...]
    baselines: tuple[str, ...]
    oracle: str

    @property
    def rc(self) -> dict[str, Any]:
        """The matplotlib settings of this theme."""
        return {
            "figure.facecolor": self.paper,
            "axes.facecolor": "none",
            "axes.edgecolor": self.muted,
            "axes.labelcolor": self.ink,
            "axes.linewidth": 0.7,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": self.line,
            "grid.linewidth": 0.6,
            "text.color": self.ink,
            "xtick.color": self.muted,
            "ytick.color": self.muted,
            "xtick.labelcolor": self.ink,
            "ytick.labelcolor": self.ink,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 9,
            "legend.frameon": False,
            "lines.solid_capstyle": "round",
            "svg.fonttype": "none",
            "svg.hashsalt": "emulant",
        }


# Okabe and Ito (2008) on light paper; the same hues, lifted, on dark.
LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1d2125",
    muted="#6b7178",
    line="#e4e2dc",
    surrogates=("#0072b2", "#d55e00", "#008a66", "#b0508a", "#a87600"),
    baselines=("#3d4348", "#676d74", "#8a9096"),
    oracle="#1d2125",
)
DARK = Theme(
    name="dark",
    paper="#15181b",
    ink="#e7e4de",
    muted="#9aa0a6",
    line="#30353a",
    surrogates=("#5cb8f0", "#ff8f4d", "#3fcf9f", "#e79ac6", "#e8c04a"),
    baselines=("#c3c8cc", "#9da3a9", "#7b8288"),
    oracle="#e7e4de",
)
THEMES = (LIGHT, DARK)


@dataclass(frozen=True)
class Look:
    """How one model is drawn, everywhere in a report."""

    color: str
    dashes: Dashes
    marker: str
    width: float


def looks(models: Mapping[str, str], theme: Theme) -> dict[str, Look]:
    """A look for each model (name to kind): surrogates in colour, baselines grey and dashed, oracles dotted.

    It hangs on the set of models and not on their order, so that a model looks alike in all figures of a report.
    """
    surrogates = cycle(zip(theme.surrogates, ("o", "D", "p", "h", "*"), strict=True))
    dashes: tuple[Dashes, ...] = ((0, (5, 2)), (0, (3, 1.5, 1, 1.5)), (0, (2, 1.2)))
    # Three greys, seven markers: whoever shares a grey has another marker.
    baselines = zip(cycle(theme.baselines), cycle(dashes), cycle(("s", "^", "v", "<", ">", "P", "X")))
    found = {}
    for model, kind in sorted(models.items()):
        if kind == "surrogate":
            color, marker = next(surrogates)
            found[model] = Look(color, "solid", marker, 2.0)
        elif kind == "baseline":
            color, dash, marker = next(baselines)
            found[model] = Look(color, dash, marker, 1.3)
        else:
            found[model] = Look(theme.oracle, (0, (1, 2)), "x", 1.1)
    return {model: found[model] for model in models}


def save(draw: Callable[[Theme], Figure], folder: Path, name: str) -> dict[str, Path]:
    """Write a figure as `name.svg` and `name.png` on light paper and `name_dark.svg`.

    Equal data give equal bytes: no date, and identifiers from a fixed salt.

    Args:
        draw: Draws the whole figure in the colours of the theme that it is given.
        folder: Made if it is not there.
        name: File name without suffix.

    Returns:
        The files under "light", "dark" and "png".
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"light": folder / f"{name}.svg", "dark": folder / f"{name}_dark.svg", "png": folder / f"{name}.png"}
    with mpl.rc_context(LIGHT.rc):  # type: ignore[arg-type]
        figure = draw(LIGHT)
        figure.savefig(files["light"], metadata={"Date": None, "Creator": None}, facecolor="none")
        figure.savefig(files["png"], dpi=160, metadata={"Software": None})
    files["dark"].write_text(_darkened(files["light"].read_text(encoding="utf-8")), encoding="utf-8")
    return files


def _darkened(svg: str) -> str:
    """The same drawing on dark paper: every colour of the light theme has its counterpart. Half the time of drawing."""
    pattern = re.compile("|".join(_COUNTERPARTS))
    return pattern.sub(lambda match: _COUNTERPARTS[match[0]], svg)


def _colors(theme: Theme) -> tuple[str, ...]:
    return (theme.paper, theme.ink, theme.muted, theme.line, *theme.surrogates, *theme.baselines, theme.oracle)


_COUNTERPARTS = dict(zip(_colors(LIGHT), _colors(DARK), strict=True))

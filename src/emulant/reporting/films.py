"""Films of fields: truth, forecast and error side by side, by look-up table instead of a figure per frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emulant.reporting import frames
from emulant.reporting.frames import GREYS, MARK, Film, Format, Pixels, letters, progress, store
from emulant.reporting.numbers import number

# One palette for all frames: greys for paper and letters, then the two colour scales, then the mark of the forecast.
# An odd number of levels, so that one of them is no difference; few, so that a film stays small.
LEVELS = 29
FIELD, DIFFERENCE = GREYS, GREYS + LEVELS
FORECAST, MISSING = GREYS + 2 * LEVELS, GREYS + 2 * LEVELS + 1
GAP, TITLE, SCALE, CLOCK = 10, 25, 22, 28
"""Pixels: between panels, above them, and the two lines below."""


@dataclass(frozen=True)
class Panel:
    """One moving field, `frames` (T, ny, nx) with row 0 at the lowest y.

    All panels of kind `field` share one scale, set by the first; `difference` has one of the same width about zero.
    """

    title: str
    frames: NDArray[Any]
    kind: Literal["field", "difference"] = "field"


@dataclass(frozen=True)
class Reel:
    """What a film shows.

    `panels` are at least one, their frames of equal shape; `times` (T,) belong to the frames; the first `context`
    of them were given to the model, the rest is forecast.
    """

    panels: Sequence[Panel]
    times: NDArray[Any]
    context: int
    title: str
    caption: str = ""
    time_unit: str = "s"


def comparison(truth: NDArray[Any], forecast: NDArray[Any], model: str) -> list[Panel]:
    """The three panels of most films: truth, forecast and their difference, (T, ny, nx) each."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.asarray(forecast, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    return [Panel("truth", truth), Panel(model, forecast), Panel(f"{model} - truth", error, "difference")]


def film(reel: Reel, run: Path, name: str, *, fps: int = 5, format: Format = "gif", size: int = 192) -> Film:
    """Write `figures/name.gif` (or mp4) and the still `figures/name.png` of a run.

    Args:
        reel: What is shown.
        run: The run folder.
        name: File name without suffix.
        fps: Frames per second.
        format: mp4 needs the extra `video`.
        size: Longest side of a panel in pixels.

    Raises:
        UsageError: mp4 is asked for and imageio-ffmpeg is not installed.
    """
    pages = list(_pages(reel, size))
    still = (reel.context + len(pages)) // 2
    return Film(
        reel.title,
        reel.caption,
        _alt(reel),
        *store(pages, palette(), run, name, fps=fps, format=format, still=still),
    )


def _alt(reel: Reel) -> str:
    shown = ", ".join(panel.title for panel in reel.panels)
    span = f"{number(float(reel.times[0]))} to {number(float(reel.times[-1]))} {reel.time_unit}"
    given = f"the first {reel.context} given to the model"
    return f"{reel.title}: {shown} side by side, {len(reel.times)} frames, {span}, {given}"


def palette() -> Pixels:
    """(256, 3) colours of a film: greys, viridis, a diverging scale that is dark at zero, and two marks."""
    steps = np.linspace(0.0, 1.0, LEVELS)
    scales = (mpl.colormaps[name](steps, bytes=True)[:, :3] for name in ("viridis", "berlin"))
    return frames.palette(*scales, np.array([MARK, (110, 110, 110)], np.uint8))


def limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """The scale of the fields: the range of the first one, so that a diverging forecast saturates in view."""
    first = np.asarray(next((panel for panel in panels if panel.kind == "field"), panels[0]).frames)
    finite = first[np.isfinite(first)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = min(float(finite.min()), 0.0), float(np.quantile(finite, 0.9995))
    return (low, high) if high > low else (low, low + 1.0)


def _pages(reel: Reel, size: int) -> Iterator[Pixels]:
    """The frames as indices into the palette, (height, width) each."""
    low, high = limits(reel.panels)
    scales = {"field": (low, high, FIELD), "difference": ((low - high) / 2, (high - low) / 2, DIFFERENCE)}
    ny, nx = reel.panels[0].frames.shape[1:]
    width, height = (round(side * size / max(nx, ny)) for side in (nx, ny))
    backdrop = _backdrop(reel.panels, scales, width, height)
    for index, time in enumerate(reel.times):
        page = backdrop.copy()
        for column, panel in enumerate(reel.panels):
            left = GAP + column * (width + GAP)
            shades = _shades(panel.frames[index], *scales[panel.kind], width, height)
            page[TITLE : TITLE + height, left : left + width] = shades
        lead = time - reel.times[reel.context - 1]
        what = f"forecast, lead time {lead:.2f} {reel.time_unit}" if index >= reel.context else "context"
        letters(page, GAP, page.shape[0] - 16, f"t = {time:.2f} {reel.time_unit}   {what}", 14)
        progress(page, index, reel.context, len(reel.times), FORECAST)
        yield page


def _backdrop(panels: Sequence[Panel], scales: dict[str, tuple[float, float, int]], width: int, height: int) -> Pixels:
    """What stays: titles, and a colour bar with its ends under each panel."""
    full = GAP + len(panels) * (width + GAP)
    # Video codecs want even sides.
    page = np.zeros((TITLE + height + SCALE + CLOCK, full + full % 2), np.uint8)
    page = np.pad(page, ((0, page.shape[0] % 2), (0, 0)))
    bar = max(width - 110, 24)
    ramp = np.arange(bar) * LEVELS // bar
    for column, panel in enumerate(panels):
        left, top = GAP + column * (width + GAP), TITLE + height + 7
        low, high, start = scales[panel.kind]
        letters(page, left, 12, panel.title, 14)
        letters(page, left, top + 4, number(low), 11)
        inset = left + (width - bar) // 2
        page[top : top + 8, inset : inset + bar] = start + ramp
        letters(page, left + width, top + 4, number(high), 11, "rm")
    return page


def _shades(field: NDArray[Any], low: float, high: float, start: int, width: int, height: int) -> Pixels:
    """A field (ny, nx) as palette indices (height, width), enlarged without blocks and with y upwards."""
    upright = np.flipud(np.asarray(field, dtype=np.float64))
    scaled = (np.clip(np.nan_to_num(upright, nan=low), low, high) - low) / (high - low)
    smooth = Image.fromarray(scaled.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    shades: Pixels = np.clip(np.asarray(smooth) * LEVELS, 0, LEVELS - 1).astype(np.uint8) + np.uint8(start)
    missing = Image.fromarray(np.isnan(upright)).resize((width, height), Image.Resampling.NEAREST)
    shades[np.asarray(missing)] = MISSING
    return shades

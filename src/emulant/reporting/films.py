"""Films of fields: truth, forecast and error side by side, by look-up table instead of a figure per frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emulant.reporting.numbers import number
from emulant.reporting.table import require_film_format

Pixels: TypeAlias = NDArray[np.uint8]

# One palette for all frames: greys for paper and letters, then the two colour scales, then the mark of the forecast.
# An odd number of levels, so that one of them is no difference; few, so that a film stays small.
GREYS, LEVELS = 16, 29
FIELD, DIFFERENCE = GREYS, GREYS + LEVELS
FORECAST, MISSING = GREYS + 2 * LEVELS, GREYS + 2 * LEVELS + 1
PAPER, INK, MARK = (21, 24, 27), (231, 228, 222), (255, 143, 77)
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


@dataclass(frozen=True)
class Film:
    """A film and a still of it, relative to the run folder, with the words that go with it."""

    title: str
    caption: str
    alt: str
    file: str
    still: str


def comparison(truth: NDArray[Any], forecast: NDArray[Any], model: str) -> list[Panel]:
    """The three panels of most films: truth, forecast and their difference, (T, ny, nx) each."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.asarray(forecast, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    return [Panel("truth", truth), Panel(model, forecast), Panel(f"{model} - truth", error, "difference")]


def film(
    reel: Reel, run: Path, name: str, *, fps: int = 5, format: Literal["gif", "mp4"] = "gif", size: int = 192
) -> Film:
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
    folder = run / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    file, still = folder / f"{name}.{format}", folder / f"{name}.png"
    frames = list(_frames(reel, size))
    write = _write_gif if format == "gif" else _write_mp4
    write(file, frames, fps)
    halfway = (reel.context + len(frames)) // 2
    _paletted(frames[min(halfway, len(frames) - 1)]).save(still, optimize=True)
    places = (path.relative_to(run).as_posix() for path in (file, still))
    return Film(reel.title, reel.caption, _alt(reel), *places)


def _alt(reel: Reel) -> str:
    shown = ", ".join(panel.title for panel in reel.panels)
    span = f"{number(float(reel.times[0]))} to {number(float(reel.times[-1]))} {reel.time_unit}"
    given = f"the first {reel.context} given to the model"
    return f"{reel.title}: {shown} side by side, {len(reel.times)} frames, {span}, {given}"


def palette() -> Pixels:
    """(256, 3) colours of a film: greys, viridis, a diverging scale that is dark at zero, and two marks."""
    colours = np.zeros((256, 3), np.uint8)
    mix = np.linspace(0.0, 1.0, GREYS)[:, None]
    colours[:GREYS] = np.rint((1 - mix) * np.array(PAPER) + mix * np.array(INK))
    steps = np.linspace(0.0, 1.0, LEVELS)
    for start, scale in ((FIELD, "viridis"), (DIFFERENCE, "berlin")):
        colours[start : start + LEVELS] = mpl.colormaps[scale](steps, bytes=True)[:, :3]
    colours[FORECAST], colours[MISSING] = MARK, (110, 110, 110)
    return colours


def limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """The scale of the fields: the range of the first one, so that a diverging forecast saturates in view."""
    first = np.asarray(next((panel for panel in panels if panel.kind == "field"), panels[0]).frames)
    finite = first[np.isfinite(first)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = min(float(finite.min()), 0.0), float(np.quantile(finite, 0.9995))
    return (low, high) if high > low else (low, low + 1.0)


def _frames(reel: Reel, size: int) -> Iterator[Pixels]:
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
        _write(page, GAP, page.shape[0] - 16, f"t = {time:.2f} {reel.time_unit}   {what}", 14)
        _progress(page, index, reel.context, len(reel.times))
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
        _write(page, left, 12, panel.title, 14)
        _write(page, left, top + 4, number(low), 11)
        inset = left + (width - bar) // 2
        page[top : top + 8, inset : inset + bar] = start + ramp
        _write(page, left + width, top + 4, number(high), 11, "rm")
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


def _write(page: Pixels, x: int, y: int, text: str, points: int, anchor: str = "lm") -> None:
    """Letters in smooth greys, straight into the palette."""
    mask = Image.new("L", (page.shape[1], points + 8))
    font = ImageFont.truetype(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf")), points)
    ImageDraw.Draw(mask).text((x, mask.height // 2), text, fill=255, font=font, anchor=anchor)
    greys = (np.asarray(mask) * (GREYS - 1.0) / 255 + 0.5).astype(np.uint8)
    top = y - mask.height // 2
    rows = slice(max(top, 0), min(top + mask.height, page.shape[0]))
    part = page[rows]
    np.maximum(part, greys[rows.start - top : rows.stop - top], out=part, where=part < GREYS)


def _progress(page: Pixels, index: int, context: int, frames: int) -> None:
    """A line along the lower edge: grey for the context, coloured for the forecast, as far as it has come."""
    width = page.shape[1]
    now, given = width * (index + 1) // frames, width * min(index + 1, context) // frames
    page[-4:-1, :] = 2
    page[-4:-1, :now] = FORECAST
    page[-4:-1, :given] = 9


def _paletted(frame: Pixels) -> Image.Image:
    image = Image.frombytes("P", (frame.shape[1], frame.shape[0]), frame.tobytes())
    image.putpalette(palette().tobytes())
    return image


def _write_gif(file: Path, frames: Sequence[Pixels], fps: int) -> None:
    """The last frame stands for a second before the film begins again."""
    first, *rest = (_paletted(frame) for frame in frames)
    durations = [1000 // fps] * len(rest) + [1000]
    first.save(file, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def _write_mp4(file: Path, frames: Sequence[Pixels], fps: int) -> None:
    require_film_format("mp4")
    from imageio_ffmpeg import write_frames

    height, width = frames[0].shape
    exact = ["-threads", "1", "-crf", "20", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    writer = write_frames(
        str(file), (width, height), fps=fps, macro_block_size=2, codec="libx264", quality=None, output_params=exact
    )
    writer.send(None)
    for frame in [*frames, *[frames[-1]] * (fps - 1)]:
        writer.send(palette()[frame].tobytes())
    writer.close()

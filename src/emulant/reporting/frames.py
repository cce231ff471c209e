"""Films as files: frames of palette indices, letters on them, and the GIF or MP4 that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emulant.reporting.table import require_film_format

Pixels: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]
Format: TypeAlias = Literal["gif", "mp4"]

GREYS = 16
"""Every palette begins with so many greys, from paper to ink: letters are smooth in them."""
PAPER, INK, MARK = (21, 24, 27), (231, 228, 222), (255, 143, 77)


@dataclass(frozen=True)
class Film:
    """A film and a still of it, relative to the run folder, with the words that go with it."""

    title: str
    caption: str
    alt: str
    file: str
    still: str


def ramp(colour: Colour, levels: int) -> Pixels:
    """(levels, 3) from paper to a colour."""
    mix = np.linspace(0.0, 1.0, levels)[:, None]
    shades: Pixels = np.rint((1 - mix) * np.array(PAPER) + mix * np.array(colour)).astype(np.uint8)
    return shades


def palette(*parts: Pixels) -> Pixels:
    """(256, 3): the greys, the parts in order, and black."""
    colours = np.concatenate([ramp(INK, GREYS), *parts])
    return np.concatenate([colours, np.zeros((256 - len(colours), 3), np.uint8)])


def letters(page: Pixels, x: int, y: int, text: str, points: int, anchor: str = "lm") -> None:
    """Letters in smooth greys, straight into the palette; y is their middle."""
    mask = Image.new("L", (page.shape[1], points + 8))
    font = ImageFont.truetype(str(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf")), points)
    ImageDraw.Draw(mask).text((x, mask.height // 2), text, fill=255, font=font, anchor=anchor)
    greys = (np.asarray(mask) * (GREYS - 1.0) / 255 + 0.5).astype(np.uint8)
    top = y - mask.height // 2
    rows = slice(max(top, 0), min(top + mask.height, page.shape[0]))
    part = page[rows]
    np.maximum(part, greys[rows.start - top : rows.stop - top], out=part, where=part < GREYS)


def progress(page: Pixels, index: int, context: int, frames: int, mark: int) -> None:
    """A line along the lower edge: grey for the context, in the colour `mark` for the forecast, as far as it is."""
    width = page.shape[1]
    now, given = width * (index + 1) // frames, width * min(index + 1, context) // frames
    page[-4:-1, :] = 2
    page[-4:-1, :now] = mark
    page[-4:-1, :given] = 9


def store(
    frames: Sequence[Pixels], colours: Pixels, run: Path, name: str, *, fps: int, format: Format, still: int
) -> tuple[str, str]:
    """Write `figures/name.gif` (or mp4) and frame number `still` as `figures/name.png`; both, relative to the run.

    Equal frames give equal bytes. Video codecs want even sides.

    Raises:
        UsageError: mp4 is asked for and imageio-ffmpeg is not installed.
    """
    folder = run / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    file, picture = folder / f"{name}.{format}", folder / f"{name}.png"
    write = _write_gif if format == "gif" else _write_mp4
    write(file, frames, colours, fps)
    _paletted(frames[min(still, len(frames) - 1)], colours).save(picture, optimize=True)
    return file.relative_to(run).as_posix(), picture.relative_to(run).as_posix()


def _paletted(frame: Pixels, colours: Pixels) -> Image.Image:
    image = Image.frombytes("P", (frame.shape[1], frame.shape[0]), frame.tobytes())
    image.putpalette(colours.tobytes())
    return image


def _write_gif(file: Path, frames: Sequence[Pixels], colours: Pixels, fps: int) -> None:
    """The last frame stands for a second before the film begins again."""
    first, *rest = (_paletted(frame, colours) for frame in frames)
    durations = [1000 // fps] * len(rest) + [1000]
    first.save(file, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def _write_mp4(file: Path, frames: Sequence[Pixels], colours: Pixels, fps: int) -> None:
    require_film_format("mp4")
    from imageio_ffmpeg import write_frames

    height, width = frames[0].shape
    exact: list[Any] = ["-threads", "1", "-crf", "20", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    writer = write_frames(
        str(file),
        (width, height),
        fps=fps,
        macro_block_size=2,
        codec="libx264",
        quality=None,
        output_params=[*exact, "-map_metadata", "-1"],
    )
    writer.send(None)
    for frame in [*frames, *[frames[-1]] * (fps - 1)]:
        writer.send(colours[frame].tobytes())
    writer.close()

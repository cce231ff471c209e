"""The `[report]` table of a study."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import Field

from emulant.dataset.tables import Table
from emulant.errors import UsageError


def require_film_format(format: str) -> None:
    """See to it, before anything is computed, that films can be written in that format.

    Raises:
        UsageError: mp4, and imageio-ffmpeg is not installed.
    """
    if format == "mp4" and find_spec("imageio_ffmpeg") is None:
        raise UsageError(
            'report.film_format = "mp4" needs imageio-ffmpeg.',
            "Install it with `pip install 'emulant[video]'`, or set report.film_format = \"gif\".",
        )


class ReportTable(Table):
    """What the report shows beside scores and figures."""

    films: bool = True
    film_format: Literal["gif", "mp4"] = "gif"
    """mp4 needs the extra `video`."""
    film_fps: Annotated[int, Field(ge=1, le=30)] | None = None
    """Frames per second; unset: what suits the system."""

"""The `[report]` table of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emulant.dataset.tables import Table


class ReportTable(Table):
    """What the report shows beside scores and figures."""

    films: bool = True
    film_format: Literal["gif", "mp4"] = "gif"
    """mp4 needs the extra `video`."""
    film_fps: Annotated[int, Field(ge=1, le=30)] = 5
    """Frames per second."""

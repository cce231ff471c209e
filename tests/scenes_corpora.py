"""Small scenes as language models draw them."""

from __future__ import annotations

import polars as pl
from small_scenes import Recordings

from emulant.systems.scenes.scene import Scene


class Corpora(Recordings):
    """With the columns that batches are drawn by."""

    def __init__(self, scenes: list[Scene], frames: int = 40, difficulty: list[int] | None = None) -> None:
        super().__init__(scenes, frames)
        self.cases = self.cases.with_columns(
            pl.Series("objects", [len(each.bodies) for each in scenes]),
            pl.Series("difficulty", difficulty or [1] * len(scenes)),
        )

"""`emulant predict` for scenes: a JSON-lines file with the first frames in, one with the frames after them out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from emulant.dataset.seams import Context
from emulant.dataset.tables import Table
from emulant.errors import DataError, SurrogateError
from emulant.systems.scenes.arrays import scene_arrays
from emulant.systems.scenes.jsonlines import read_scene, write_scene
from emulant.systems.scenes.scene import FRAME, quantised


class PredictOptions(Table):
    """The flags of `emulant predict RUN SCENE.jsonl` for scenes."""

    context: Annotated[int, Field(ge=1)] = 10
    """Frames of the input that are shown, its first ones."""
    horizon: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Frames to forecast."""


def forecast_file(surrogate: Any, source: Path, target: Path, options: PredictOptions) -> None:
    """Write the header of `source` and the frames that follow its first `context` ones, of every body.

    Raises:
        DataError: The file is not a scene, or has too few frames.
        SurrogateError: The surrogate needs more context, or its rollout has left every bound.
    """
    scene, state = read_scene(source)
    if len(state) < options.context:
        raise DataError(
            f"{source}: has {len(state)} frames, and {options.context} are to be shown.", "Lower --context."
        )
    if options.context < surrogate.lag:
        raise SurrogateError(f"--context {options.context}: this surrogate needs {surrogate.lag} frames.")
    times = FRAME * np.arange(1, options.context + 1)
    fields = {"state": state[None, : options.context]}
    context = Context(fields, times, FRAME, {"step": FRAME}, static=scene_arrays([scene]))
    found = surrogate.forecast(context, options.horizon)["state"][0, :, : len(scene.bodies)]
    if not np.isfinite(found).all():
        frame = options.context + 1 + int(np.argwhere(~np.isfinite(found))[0][0])
        raise SurrogateError(f"{source}: the rollout has left every bound in frame {frame}.", "Lower --horizon.")
    write_scene(target, scene, quantised(found), options.context + 1)

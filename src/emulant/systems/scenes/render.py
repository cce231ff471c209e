"""`emulant render`: the gallery of types, and truth beside prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emulant.dataset.atomic import replacing
from emulant.errors import UsageError
from emulant.reporting.frames import MARK, Pixels, letters, palette, progress
from emulant.systems.scenes.catalogue import make_scene, scene_seed
from emulant.systems.scenes.options import RenderOptions, chosen_types
from emulant.systems.scenes.pictures import BLUE, GREEN, HUES, SIZE, Painter
from emulant.systems.scenes.readers import title
from emulant.systems.scenes.scene import STEP, Recording, initial_state, quantised
from emulant.systems.scenes.simulation import engine, simulate

RATE = round(1 / STEP)
"""Frames of a scene per second."""
CAPTION, GAP = 30, 10
"""px below the panels and between them."""


def render(run: Any, options: RenderOptions) -> list[Path]:
    """Draw what is asked for; the files written.

    Raises:
        UsageError: Nothing is asked for, a type is unknown, or a prediction is not there.
    """
    if not (options.gallery or options.comparisons):
        raise UsageError("emulant render: say --gallery or --comparisons.")
    chosen = chosen_types(options.types, run.study.config.system.types)
    written: list[Path] = []
    if options.gallery:
        folder = Path(options.output) if options.output else run.folder.root / "figures" / "gallery"
        written += [_gallery(run, type_, options, folder) for type_ in chosen]
    if options.comparisons:
        written += _comparisons(run, chosen, options)
    return written


# -- gallery ------------------------------------------------------------------------------------------------------


def _gallery(run: Any, type_: str, options: RenderOptions, folder: Path) -> Path:
    config = run.study.config
    system, seed = config.system, scene_seed(config.seed, "training", type_, options.difficulty)
    scene = make_scene(type_, options.difficulty, seed, engine(system.substeps, system.iterations))
    states = np.concatenate([initial_state(scene)[None], quantised(simulate(scene, system.frames))])
    painter = Painter(HUES)
    every = max(1, round(RATE / options.fps))
    frames = [painter.frame(scene, state) for state in states[::every]]
    return save_gif(folder / f"{type_}.gif", frames, painter.colours, options.fps)


def save_gif(path: Path, frames: Sequence[Pixels], colours: Pixels, fps: int) -> Path:
    """Write frames of palette indices; the last one stands for a second."""
    images = [Image.fromarray(frame, mode="P") for frame in frames]
    for image in images:
        image.putpalette(colours.tobytes())
    durations = [round(1000 / fps)] * (len(images) - 1) + [1000]
    with replacing(path, durable=False) as partial:
        first, *rest = images
        first.save(partial, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return path


# -- comparisons --------------------------------------------------------------------------------------------------


def _comparisons(run: Any, types: Sequence[str], options: RenderOptions) -> list[Path]:
    model = options.surrogate or run.best()
    run.entrant(model)
    folder = Path(options.output) if options.output else run.folder.root / "figures"
    scenes = {type_: _scored(run, type_, options) for type_ in types}
    absent = [type_ for type_, found in scenes.items() if not found]
    if absent and (len(absent) == len(scenes) or types is not run.study.config.system.types):
        raise UsageError(
            f"emulant render --comparisons: no scene of {', '.join(absent)} was evaluated.", "See --types, --split."
        )
    written = []
    for type_, found in scenes.items():
        for index, (split, case) in enumerate(found):
            suffix = f"_{index + 1}" if index else ""
            frames, colours = compared(run, model, split, case)
            written.append(save_gif(folder / f"{type_}_cmp{suffix}.gif", frames, colours, options.fps))
    return written


def _scored(run: Any, type_: str, options: RenderOptions) -> list[tuple[str, int]]:
    """The first scenes of a type that predictions were made of."""
    if options.split and options.split not in run.test_splits:
        raise UsageError(f"--split {options.split}: the run has {', '.join(run.test_splits)}.")
    for split in [options.split] if options.split else run.test_splits:
        dataset = run.study.system.evaluated(run.dataset(split), run.study.evaluation)
        cases = dataset.cases.filter(family=type_)["case"].to_list()[: options.scenes]
        if cases:
            return [(split, case) for case in cases]
    return []


def compared(run: Any, model: str, split: str, case: int) -> tuple[list[Pixels], Pixels]:
    """Frames (truth left in green, prediction right in blue) of an evaluated scene, and their palette."""
    recording: Recording = run.dataset(split).recording(case)
    kept = run.prediction(model, split, case)
    context = int(kept["context"])
    truth = recording.state[: context + len(kept["state"])]
    forecast = np.concatenate([truth[:context], kept["state"][:, : truth.shape[1]]])
    return _side_by_side(recording, truth, forecast, context, f"{title(case)}, {split}", model)


def _side_by_side(
    recording: Recording,
    truth: NDArray[np.float64],
    forecast: NDArray[np.float64],
    context: int,
    name: str,
    model: str,
) -> tuple[list[Pixels], Pixels]:
    painter = Painter((GREEN, BLUE))
    used = palette().shape[0] - 1
    colours = painter.colours.copy()
    colours[used] = MARK
    width, height = SIZE
    frames = []
    for index in range(len(truth)):
        page = np.zeros((height + CAPTION, 2 * width + GAP), np.uint8)
        page[:height, :width] = painter.frame(recording.scene, truth[index], 0)
        page[:height, width + GAP :] = painter.frame(recording.scene, forecast[index], 1)
        off = np.hypot(*np.moveaxis(forecast[index, :, :2] - truth[index, :, :2], -1, 0))
        error = float(np.sqrt(np.mean(off**2)))
        what = f"rms error {error:.1f} px" if index >= context else "context"
        letters(page, 8, height + 13, f"{name}   frame {index + 1}   {what}", 13)
        letters(page, 2 * width, height + 13, f"truth | {model}", 13, "rm")
        progress(page, index, context, len(truth), used)
        frames.append(page)
    return frames, colours

"""Scenes in other layouts: JSON lines, plain text, and the tree of the source document."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulant.dataset.atomic import replacing, write_text
from emulant.errors import UsageError
from emulant.systems.scenes.catalogue import type_and_number
from emulant.systems.scenes.jsonlines import scene_path, write_scene
from emulant.systems.scenes.options import ExportOptions, RenderOptions, chosen_types
from emulant.systems.scenes.text import frame_lines, recording_text


def jsonl(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """`TYPE/scene_00000001.jsonl`; of more than one split, below a folder for each."""
    written = []
    for split, case in _cases(run, splits, options):
        recording = run.dataset(split).recording(case)
        folder = target / split if len(splits) > 1 else target
        type_, number = type_and_number(case)
        written.append(write_scene(scene_path(folder, type_, number), recording.scene, recording.state))
    return written


def text(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """One file to read: every scene's header and frames in words."""
    if target.is_dir():
        raise UsageError(f"{target}: is a folder.", "Name the text file.")
    blocks = []
    for split, case in _cases(run, splits, options):
        recording = run.dataset(split).recording(case)
        blocks.append("\n".join(recording_text(recording.scene, recording.state)))
    return [write_text(target, "\n\n".join(blocks) + "\n")]


def predictions(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """`MODEL/TYPE_scene_00000001.jsonl` of every surrogate: the header and the frames that it has forecast.

    Of more than one test split, below a folder for each.
    """
    from emulant.systems.scenes.scene import quantised

    tests = [split for split in run.test_splits if split in splits]
    models = [entrant.name for entrant in run.entrants() if entrant.kind == "surrogate"]
    written = []
    for split, case in _cases(run, tests, options, evaluated=True):
        scene, folder = run.dataset(split).scene(case), target / split if len(tests) > 1 else target
        for model in models:
            kept = run.prediction(model, split, case)
            path = folder / model / f"{scene.type}_scene_{scene.number + 1:08d}.jsonl"
            written.append(write_scene(path, scene, quantised(kept["state"]), int(kept["context"]) + 1))
    return written


def document(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """`metrics.json`, `predictions/`, `comparison_gifs/` and `checkpoints/` as the source document has them.

    Names in `predictions/` do not tell the split, so a type that is in several has the first of them, as in
    `metrics.json`.
    """
    from emulant.systems.scenes.render import render

    model = run.best()
    written = [_copied(run.folder.metrics.with_name("metrics.json"), target / "metrics.json")]
    tests, told = [split for split in run.test_splits if split in splits], dict[str, str]()
    for split, case in _cases(run, tests, options, evaluated=True):
        type_, number = type_and_number(case)
        if told.setdefault(type_, split) != split:
            continue
        kept, scene = run.prediction(model, split, case), run.dataset(split).scene(case)
        lines = frame_lines(scene, kept["state"], int(kept["context"]) + 1)
        path = target / "predictions" / f"{type_}_scene_{number + 1:05d}.txt"
        written.append(write_text(path, "\n".join(lines) + "\n"))
    films = RenderOptions(comparisons=True, types=options.types, output=str(target / "comparison_gifs"))
    written += render(run, films)
    for stage in sorted(run.folder.models.glob("*/stage*")):
        files = (path for path in sorted(stage.rglob("*")) if path.is_file())
        written += [_copied(path, target / "checkpoints" / path.relative_to(stage.parent)) for path in files]
    return written


def _cases(
    run: Any, splits: Sequence[str], options: ExportOptions, *, evaluated: bool = False
) -> Sequence[tuple[str, int]]:
    """The first scenes of each type that is asked for, in each split.

    Raises:
        UsageError: There is none at all, or none of a type that is asked for by name.
    """
    known, chosen = run.study.config.system.types, []
    types = chosen_types(options.types, known)
    for split in splits:
        dataset = run.dataset(split)
        if evaluated:
            dataset = run.study.system.evaluated(dataset, run.study.evaluation)
        for type_ in types:
            chosen += [(split, case) for case in dataset.cases.filter(family=type_)["case"].to_list()[: options.scenes]]
    absent = [name for name in types if name not in {type_and_number(case)[0] for _, case in chosen}]
    if not chosen or (absent and types is not known):
        raise UsageError(f"--types {options.types}: {', '.join(splits)} has no scene of {', '.join(absent)}.")
    return chosen


def _copied(source: Path, target: Path) -> Path:
    if not source.is_file():
        raise UsageError(f"{source}: is missing.", "`emulant evaluate` writes it.")
    with replacing(target) as partial:
        shutil.copyfile(source, partial)
    return target

"""Using a run: predictions for the user's own data, exports, films, the leaderboard, the page to play with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulant import study as studies
from emulant.dataset.seams import resolve
from emulant.dataset.tables import Table
from emulant.errors import UsageError
from emulant.folder import RunFolder
from emulant.options import read_options
from emulant.play.parts import Models, Play
from emulant.runs import Run

SHARED = {"hf": "emulant.sharing.hub:hf", "croissant": "emulant.sharing.croissant:croissant"}
"""The formats that every system has."""
SHARE_OPTIONS = {"hf": "emulant.sharing.options:HubOptions", "croissant": "emulant.sharing.options:ShareOptions"}


def predict(
    run: Run, source: Path, target: Path, surrogate: str | None, options: Table, *, overwrite: bool = False
) -> None:
    """Apply a trained surrogate (by default the one that the system prefers) to a file of the user's.

    Raises:
        UsageError: The study has no such surrogate, there is no such input, or the output would be written over it or
            over another file.
        EmulantError: The input is not what the system wants.
    """
    if not source.exists():
        raise UsageError(f"{source}: there is no such file or folder.")
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target}: is the input.", "Give the forecast a name of its own.")
    if target.is_file() and not overwrite:
        raise UsageError(f"{target}: is there already.", "Give another name, or --overwrite.")
    model = _chosen(run, surrogate, options)
    run.study.system.predict(model, source, target, options, run.study.config)


def example(run: Run, name: str, surrogate: str | None) -> Sequence[str]:
    """What a surrogate says of an input that the system knows by name, as lines to be shown.

    Raises:
        UsageError: The system knows no such example, or the study no such surrogate.
    """
    system = run.study.system
    if name not in system.examples:
        allowed = f"Allowed: {', '.join(system.examples)}." if system.examples else "This system has none."
        raise UsageError(f"--example {name}: there is no such example.", allowed)
    lines: Sequence[str] = resolve(system.examples[name])(_chosen(run, surrogate))
    return lines


def play(run: Run, surrogate: str | None) -> tuple[Play, Models]:
    """What a system brings to be played with, and the models of the run that can be played against its simulator.

    Args:
        surrogate: The one that the page opens with; by default the first of the study. It is loaded and checked now.

    Raises:
        UsageError: The system has nothing to play with, or the study has no such surrogate.
        SurrogateError: That surrogate is not trained.
    """
    make = resolve(run.study.system.play)
    if make is None:
        raise UsageError(
            f"the system `{run.study.system.name}` has nothing to play with.",
            "docs/how-to/play.md says how it gets it.",
        )
    name = _name(run, surrogate)
    kinds = {one.name: one.kind for one in run.entrants() if one.kind != "oracle" and run.is_usable(one)}
    models = Models(kinds, name, run.model)
    models.get(name)
    return make(run), models


def _chosen(run: Run, surrogate: str | None, options: Table | None = None) -> Any:
    """The model that predicts."""
    return run.model(_name(run, surrogate, options))


def _name(run: Run, surrogate: str | None, options: Table | None = None) -> str:
    """The name of a model that can be used without the truth: by default the one that the system prefers."""
    system = run.study.system
    name = surrogate or system.preferred(run, system.PredictOptions() if options is None else options)
    if name is None:
        raise UsageError(f"{run.folder.root}: the study has no surrogate.", "Name a baseline by --surrogate.")
    if run.entrant(name).kind == "oracle":
        raise UsageError(f"--surrogate {name}: is an oracle: it needs the truth and forecasts nothing.")
    return name


def export(
    path: Path,
    format: str,
    target: Path,
    study: str | None = None,
    *,
    overwrite: bool = False,
    options: Sequence[str] = (),
) -> list[Path]:
    """Write a run, or one split of it, in one of the system's formats; the files written.

    Args:
        path: The run, or one split of it.
        format: One of the system's.
        target: File or folder.
        study: Of a tree that was made elsewhere.
        overwrite: Write over a file that is there.
        options: Further flags, as the system's `ExportOptions` has them.

    Raises:
        UsageError: The system has no such format, or the target is a file that is there and not to be overwritten.
    """
    run, splits = open_run_or_split(path, study)
    system = run.study.system
    exports = {**SHARED, **system.exports}
    if format not in exports:
        raise UsageError(f"--format {format}: the system `{system.name}` writes {', '.join(exports)}.")
    if target.is_file() and not overwrite:
        raise UsageError(f"{target}: is there already.", "Give another name, or --overwrite.")
    further = read_options(resolve(SHARE_OPTIONS.get(format, system.ExportOptions)), options)
    written: list[Path] = resolve(exports[format])(run, splits, target, further)
    return written


def open_run_or_split(path: str | Path, study: str | Path | None = None) -> tuple[Run, tuple[str, ...]]:
    """A run and its splits, or the run that a split's folder belongs to and just that split.

    Raises:
        UsageError: There is no such folder, or nobody says what is in it.
    """
    folder = Path(path)
    if study is None and not (folder / "study.toml").is_file() and (folder.parent / "study.toml").is_file():
        return Run.open(folder.parent), (folder.name,)
    run = Run.open(folder, study)
    return run, run.splits


def open_run_or_study(path: Path) -> Run:
    """A run; or, of a study file or the name of a built-in one, the run that there is not yet.

    Raises:
        UsageError: There is neither.
    """
    if path.is_dir() or not (path.is_file() or str(path) in studies.presets()):
        return Run.open(path)
    return Run(RunFolder(Path()), studies.load(str(path)))


def render(run: Run, options: Table) -> list[Path]:
    """Draw what the system's `render` offers; the files written.

    Raises:
        UsageError: The system draws nothing.
    """
    draw = resolve(run.study.system.render)
    if draw is None:
        raise UsageError(f"the system `{run.study.system.name}` has nothing to render.")
    written: list[Path] = draw(run, options)
    return written


def leaderboard(run: Run) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """The cold-start scores over all forecast frames of the first test split, best first: heads and rows."""
    ranked = run.ranking()
    columns = [name for name in ("model", "kind", "skill", *run.study.system.metrics) if name in ranked.columns]
    return columns, ranked.select(columns).rows()

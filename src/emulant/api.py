"""The Python API: the verbs of the command line as functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from emulant import stages
from emulant import study as studies
from emulant.dataset.seams import Engine, Finding, System
from emulant.engines.executor import OnExecutor
from emulant.engines.local import Local, available_cores
from emulant.errors import UsageError
from emulant.runs import Run
from emulant.study import Study
from emulant.sweeping.comparison import Comparison
from emulant.sweeping.points import Base
from emulant.sweeping.search import search
from emulant.sweeping.space import Range, checked
from emulant.sweeping.space import read as read_space
from emulant.sweeping.sweep import over_grid
from emulant.validation import validate as _validate

Source = str | Path | Study
"""A TOML file, the name of a built-in study, or a loaded study."""


def run(
    study: Source,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    system: System | None = None,
    **options: Any,
) -> Run:
    """Simulate, fit, score and report a study; goes on where it stopped.

    Args:
        study: A TOML file, the name of a built-in study (`swarm:smoke`), or a loaded study.
        folder: The run folder.
        overrides: `table.key=value` each, as with `--set`.
        seed: Replaces the study's seed.
        workers: Processes; None: one per core.
        executor: Any `concurrent.futures.Executor` in place of our own processes.
        system: The system itself, for one that is not installed.
        options: `fresh`, `retry_failed`, `listen` as in `emulant.stages.run`.

    Returns:
        The opened run.

    Raises:
        EmulantError: What could not be done; what was finished before is kept.
    """
    loaded = _load(study, overrides, seed, system)
    return stages.run(loaded, folder, engine=_engine(workers, executor), **options)


def generate(
    study: Source,
    folder: str | Path,
    *,
    splits: Iterable[str] | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    system: System | None = None,
    **options: Any,
) -> dict[str, stages.SplitSummary]:
    """Simulate what is missing of a study's data; arguments as in `run`, what each split holds as the result."""
    loaded = _load(study, overrides, seed, system)
    return stages.generate(loaded, folder, splits=splits, engine=_engine(workers, executor), **options)


def sweep(
    study: Source,
    folder: str | Path,
    over: Mapping[str, Sequence[Any] | Range] | Sequence[str],
    *,
    optimize: str = "",
    surrogates: Sequence[str] = (),
    overrides: Sequence[str] = (),
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    system: System | None = None,
    **options: Any,
) -> Comparison:
    """Many runs that differ in a few keys, compared on the validation split; goes on where it stopped.

    Args:
        study: As in `run`.
        folder: Gets `points/`, a run folder each, `sweep.csv` and `sweep.html`.
        over: Dotted key -> values, or a `Range`; or texts as after `--over`.
        optimize: Search what is best by this metric of the system, or by `loss`; empty: all combinations.
        surrogates: Only these are trained; empty: all of the study.
        overrides, seed, workers, executor, system: As in `run`.
        options: `trials` of a search, `only` of a grid, `listen`, as in `emulant.sweeping`.

    Returns:
        The comparison: `frame` has every score, `best` the best point.

    Raises:
        UsageError: The study, a key or a value is wrong; nothing has been computed.
    """
    space = checked(over) if isinstance(over, Mapping) else read_space(over)
    document = study.document() if isinstance(study, Study) else studies.read(study, overrides, seed)
    source, known = (study.source, study.system) if isinstance(study, Study) else (str(study), system)
    base, engine = Base(document, source, known, tuple(surrogates)), _engine(workers, executor)
    if optimize:
        return search(base, space, Path(folder), optimize, engine=engine, **options)
    return over_grid(base, space, Path(folder), engine=engine, **options)


def open(folder: str | Path, study: str | Path | None = None, system: System | None = None) -> Run:
    """Open a run folder, or a tree that was made elsewhere to a source document (`study` then says what it is)."""
    return Run.open(folder, study, system)


def train(run: Run | str | Path, names: Sequence[str] | None = None) -> dict[str, bool]:
    """Fit the surrogates of a run; which were fitted now."""
    return stages.train(_opened(run), names)


def evaluate(run: Run | str | Path) -> Run:
    """Roll out and score the models of a run."""
    opened = _opened(run)
    stages.evaluate(opened)
    return opened


def report(run: Run | str | Path) -> Path:
    """Write the report of an evaluated run; the page."""
    return stages.report(_opened(run))


def validate(path: str | Path, *, study: str | Path | None = None, resimulate: int = 0) -> list[Finding]:
    """Everything that is wrong with a run, a split, or a tree that was made elsewhere."""
    return _validate(path, study=study, resimulate=resimulate).findings


def _opened(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else Run.open(run)


def _load(study: Source, overrides: Sequence[str], seed: int | None, system: System | None) -> Study:
    return study if isinstance(study, Study) else studies.load(study, overrides, seed, system)


def _engine(workers: int | None, executor: Executor | None) -> Engine:
    if workers is not None and workers < 1:
        raise UsageError(f"workers = {workers}: there must be at least one.")
    return OnExecutor(executor) if executor else Local(workers or available_cores())


__all__ = ["Range", "Run", "evaluate", "generate", "open", "report", "run", "sweep", "train", "validate"]

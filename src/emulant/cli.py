"""The commands: parse, call a stage, print. No logic.

Everything heavy is imported inside the commands, so that `emulant --help` is there at once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from emulant import __version__
from emulant.errors import EmulantError, UsageError
from emulant.terminal import complain, progress, scores, show, show_data, show_report

if TYPE_CHECKING:
    from emulant.dataset.seams import Engine
    from emulant.runs import Run
    from emulant.study import Study

GOOD, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


@Parameter(name="*", group="Everywhere")
@dataclass(frozen=True)
class Everywhere:
    """Options of every command."""

    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Print the result as one JSON object."
    quiet: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Print errors only."
    debug: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Show the traceback of an error."


@Parameter(name="*", group="Engine")
@dataclass(frozen=True)
class Running:
    """Options of the commands that simulate."""

    workers: int | None = None
    "Processes; by default one per core, or one per rank of MPI."
    engine: Literal["local", "dask", "mpi", "slurm"] = "local"
    "Where simulations run; mpi: under mpirun."
    scheduler: str | None = None
    "Address of a Dask scheduler; by default Dask starts a cluster here."
    seed: int | None = None
    "Replaces the study's seed."


@Parameter(name="*", group="Of each job, as sbatch takes it")
@dataclass(frozen=True)
class Asking:
    """What the jobs on a cluster ask for; unset: the cluster's default."""

    time: str | None = None
    "How long it may take, such as 2:00:00."
    mem: str | None = None
    "Memory, such as 4G."
    partition: str | None = None
    "Where to."
    account: str | None = None
    "Whose."


Overrides = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative=(), show_default=False, help="table.key=value of the study; may be repeated."),
]
Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Names = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]

app = App(
    name="emulant",
    help="From a physical simulator to a surrogate that can be trusted: simulate, train, roll out, report.",
    version=__version__,
    help_format="plaintext",
    help_epilogue="Begin with: emulant run swarm:smoke -o runs/first",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 0 good, 1 something failed, 2 wrong usage, 130 interrupted."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # two BLAS threads on busy cores can be ten times slower than one
    try:
        return _run(tokens)
    except KeyboardInterrupt:
        complain("interrupted. Nothing that was finished is lost: the same command goes on from here.")
        return INTERRUPTED
    except BrokenPipeError:
        with suppress(OSError):  # the reader of our output (head, less) has gone; that is no error of ours
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except Exception as error:
        if "--debug" in tokens:
            raise
        message, code = _told(error)
        complain(message)
        return code


def _told(error: Exception) -> tuple[str, int]:
    """What a person is told about an error, and the exit code that goes with it."""
    if isinstance(error, CycloptsError):
        return f"{_sentence(error)}\nSee `emulant --help`, or `emulant COMMAND --help`.", WRONG_USAGE
    if isinstance(error, EmulantError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}.", FAILED
    what = f"internal error: {type(error).__name__}: {error}."
    return f"{what} With --debug it shows where; please report it.", FAILED


def _run(tokens: list[str]) -> int:
    command, bound, unused, _ = app.parse_known_args(tokens)
    if command in _TAKE_OPTIONS:
        code = command(*bound.args, **{**bound.kwargs, "options": tuple(unused)})
    elif unused:
        raise UsageError(f"`{unused[0]}` is not an option or argument of this command.", "See its --help.")
    else:
        code = command(*bound.args, **bound.kwargs)
    return code if isinstance(code, int) else GOOD


def _sentence(error: CycloptsError) -> str:
    """What cyclopts says, without its view of our source; arguments by the names that the help gives them."""
    error.verbose = False
    named = re.sub(r"parameter --(study|run|path|input) ", lambda match: f"{match[1].upper()} ", str(error))
    return named.replace("requires an argument", "is missing")


# -- studies ------------------------------------------------------------------------------------------------------


@app.command
def systems(*, everywhere: Everywhere = Everywhere()) -> int:
    """What can be simulated, learned and written."""
    from emulant import systems as installed
    from emulant.study import presets

    known = list(installed.working())
    studies = list(presets())
    value = {
        system.name: {
            "summary": system.summary,
            "studies": [name for name in studies if name.split(":")[0] == system.name],
            "surrogates": list(system.surrogates),
            "baselines": list(system.baselines),
            "oracles": list(system.oracles),
            "exports": list(system.exports),
        }
        for system in known
    }
    lines = [
        line
        for name, facts in value.items()
        for line in (
            f"{name}: {facts['summary']}",
            *(f"  {key:<11}{', '.join(facts[key])}" for key in facts if key != "summary" and facts[key]),
        )
    ]
    lines += [f"{name}: {why}" for name, why in installed.broken().items()]
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def new(study: str, path: Path | None = None, *, everywhere: Everywhere = Everywhere()) -> int:
    """Write a commented study file, to be edited.

    Args:
        study: A built-in study: SYSTEM or SYSTEM:PRESET.
        path: Where to; by default SYSTEM.toml here.
    """
    from emulant.dataset.atomic import write_text
    from emulant.study import preset

    text = preset(study).read_text(encoding="utf-8")
    target = path or Path(f"{study.replace(':', '-')}.toml")
    if target.is_dir():
        target = target / f"{study.replace(':', '-')}.toml"
    if target.exists():
        raise UsageError(f"{target}: exists already.", "Name another file, or remove that one.")
    write_text(target, text)
    lines = [f"{target}: written. Next: emulant run {target} -o runs/{target.stem}"]
    show({"study": str(target)}, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


# -- stages -------------------------------------------------------------------------------------------------------


@app.command
def run(
    study: str,
    *,
    output: Output,
    set_: Overrides = (),
    fresh: Flag = False,
    retry_failed: Flag = False,
    running: Running = Running(),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Everything: simulate, train, evaluate, report. Goes on where it stopped.

    Args:
        study: A study file, or a built-in study: SYSTEM or SYSTEM:PRESET.
        output: The run folder.
        fresh: Throw away what the folder holds of another study.
        retry_failed: Try failed cases again.
    """
    from emulant import stages

    silent = everywhere.quiet or everywhere.json
    with _engine(running, silent) as engine, progress(silent or engine is None) as listen:
        if engine is None:
            return GOOD
        loaded = _load(study, set_, running)
        opened = stages.run(loaded, output, engine=engine, fresh=fresh, retry_failed=retry_failed, listen=listen)
    return FAILED if show_report(opened, as_json=everywhere.json, quiet=everywhere.quiet) else GOOD


@app.command
def generate(
    study: str,
    *,
    output: Output,
    set_: Overrides = (),
    split: Names = (),
    pass_: Annotated[Names, Parameter(name="--pass")] = (),
    shards: str = "",
    fresh: Flag = False,
    retry_failed: Flag = False,
    running: Running = Running(),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Simulate what is missing of a study's data.

    Args:
        study: A study file, or a built-in study: SYSTEM or SYSTEM:PRESET.
        output: The run folder.
        split: Only this split. May be repeated.
        pass_: Only this pass, of a system that has several. May be repeated.
        shards: Only these shards of each split, such as 0-99.
        fresh: Throw away what the folder holds of another study.
        retry_failed: Try failed cases again.
    """
    from emulant import stages

    silent = everywhere.quiet or everywhere.json
    with _engine(running, silent) as engine, progress(silent or engine is None) as listen:
        if engine is None:
            return GOOD
        summaries = stages.generate(
            _load(study, set_, running),
            output,
            splits=split or None,
            passes=pass_ or None,
            shards=_range(shards),
            engine=engine,
            fresh=fresh,
            retry_failed=retry_failed,
            listen=listen,
        )
    return FAILED if show_data(summaries, as_json=everywhere.json, quiet=everywhere.quiet) else GOOD


@app.command
def train(
    run: Path,
    *,
    surrogate: Names = (),
    set_: Overrides = (),
    study: str | None = None,
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Fit the surrogates of a run to its training data.

    Args:
        run: The run folder.
        surrogate: Only this one. May be repeated.
        study: The study of a tree that was made elsewhere.
    """
    from emulant import stages

    opened = _open(run, set_, study, "surrogates")
    with progress(everywhere.quiet or everywhere.json) as listen:
        fitted = stages.train(opened, list(surrogate) or None, listen=listen)
    lines = [f"{name}: {'fitted' if now else 'was up to date'}" for name, now in fitted.items()]
    show(fitted, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def evaluate(
    run: Path, *, set_: Overrides = (), study: str | None = None, everywhere: Everywhere = Everywhere()
) -> int:
    """Roll the surrogates out against the truth and score them beside baselines and oracles.

    Args:
        run: The run folder.
        study: The study of a tree that was made elsewhere.
    """
    from emulant import stages

    opened = _open(run, set_, study, "evaluation")
    with progress(everywhere.quiet or everywhere.json) as listen:
        stages.evaluate(opened, listen=listen)
    value, lines = scores(opened)
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def report(run: Path, *, set_: Overrides = (), study: str | None = None, everywhere: Everywhere = Everywhere()) -> int:
    """Draw figures and films and write report.html.

    Args:
        run: The run folder.
        study: The study of a tree that was made elsewhere.
    """
    from emulant import stages

    opened = _open(run, set_, study, "report")
    with progress(everywhere.quiet or everywhere.json) as listen:
        stages.report(opened, listen=listen)
    return FAILED if show_report(opened, as_json=everywhere.json, quiet=everywhere.quiet) else GOOD


# -- looking ------------------------------------------------------------------------------------------------------


@app.command
def status(run: Path, *, study: str | None = None, everywhere: Everywhere = Everywhere()) -> int:
    """What of a run is done, missing, failed or stale.

    Args:
        run: The run folder.
        study: The study of a tree that was made elsewhere.
    """
    from emulant.cluster import jobs
    from emulant.status import lines, status

    opened = _open(run, (), study, "")
    value, on_cluster = status(opened), jobs.status(opened.folder)
    if on_cluster:
        value["jobs"] = on_cluster
    show(value, [*lines(value), *jobs.lines(on_cluster)], as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def validate(
    path: Path,
    *,
    resimulate: int = 0,
    deep: int = 0,
    study: str | None = None,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Check data: schema, hashes, missing and duplicate cases, leaks between splits, NaN, the physics.

    Files that emulant did not make may have further options, which depend on the system; a wrong one lists them.

    Args:
        path: A run, one split of a run, a tree that was made elsewhere, or files that a system reads by themselves.
        resimulate: Simulate so many cases of each split again and compare.
        deep: Put so many cases of each split to the tests of the physics that take long.
        study: The study of a tree that was made elsewhere.
    """
    from emulant.validation import validate

    verdict = validate(path, study=study, resimulate=resimulate, deep=deep, options=options)
    show(verdict.as_json(), verdict.lines(), as_json=everywhere.json, quiet=everywhere.quiet)
    return FAILED if verdict.findings else GOOD


# -- on a cluster --------------------------------------------------------------------------------------------------


@app.command
def submit(
    study: str,
    *,
    output: Output,
    set_: Overrides = (),
    seed: int | None = None,
    setup: Path | None = None,
    max_parallel: int | None = None,
    dry_run: Flag = False,
    asking: Asking = Asking(),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Everything, as jobs of a SLURM cluster: simulate, train, evaluate, report. Does what is missing.

    Args:
        study: A study file, or a built-in study: SYSTEM or SYSTEM:PRESET.
        output: The run folder, where all nodes see it.
        seed: Replaces the study's seed.
        setup: Shell commands that every job runs first, such as `module load`.
        max_parallel: Elements of an array that run at the same time.
        dry_run: Write the scripts into RUN/slurm/ and submit nothing.
    """
    from emulant import study as studies
    from emulant.cluster import jobs
    from emulant.cluster.scripts import Resources
    from emulant.folder import RunFolder

    resources = Resources(asking.time, asking.mem, asking.partition, asking.account)
    written = jobs.prepare(studies.load(study, set_, seed), output, resources, setup, max_parallel)
    submitted = [] if dry_run else jobs.submit(RunFolder(output))
    lines = [f"{path}: written" for path in written.values()] if dry_run else []
    lines += [f"{job.id}  {job.name}" for job in submitted]
    lines.append(f"To submit them: bash {written['submit']}" if dry_run else f"To follow: emulant status {output}")
    value = {
        "scripts": {name: str(path) for name, path in written.items()},
        "jobs": [{"name": job.name, "job": job.id} for job in submitted],
    }
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command(show=False)
def resubmit(
    run: Path,
    *,
    pass_: Annotated[str, Parameter(name="--pass")],
    round_: Annotated[int, Parameter(name="--round")] = 0,
    rounds: int = 0,
    everywhere: Everywhere = Everywhere(),
) -> int:
    """The gate behind a pass, called by a job: whole, or what is missing is submitted again.

    Args:
        run: The run folder.
        pass_: The pass that must be complete.
        round_: How often it was submitted again before.
        rounds: How often that may be.
    """
    from emulant.cluster import jobs

    again = jobs.resubmit(_open(run, (), None, ""), pass_, round_, rounds)
    lines = [f"{name}: submitted again: {elements}" for name, elements in again.items()]
    show(again, lines or [f"{pass_}: complete"], as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def cancel(run: Path, *, everywhere: Everywhere = Everywhere()) -> int:
    """Cancel the jobs that a run has on the cluster. What is done stays.

    Args:
        run: The run folder.
    """
    from emulant.cluster import jobs

    ended = jobs.cancel(_open(run, (), None, "").folder)
    lines = [f"{job.id}  {job.name}: cancelled" for job in ended] or ["no job of this run is on the cluster"]
    show([job.id for job in ended], lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


# -- using --------------------------------------------------------------------------------------------------------


@app.command
def predict(
    run: Path,
    input: Path | None = None,
    *,
    output: Output | None = None,
    surrogate: str | None = None,
    example: str | None = None,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Use a trained surrogate on your own data. Further options depend on the system; a wrong one lists them.

    Args:
        run: The run folder.
        input: What to start from.
        output: The file to write.
        surrogate: Which one; by default the first of the study.
        example: In place of files: show what it says of an input that the system knows by this name.
    """
    from emulant import use
    from emulant.options import read_options

    opened = _open(run, (), None, "")
    if example is not None:
        lines = use.example(opened, example, surrogate)
        show({"example": example, "lines": list(lines)}, lines, as_json=everywhere.json, quiet=everywhere.quiet)
        return GOOD
    if input is None or output is None:
        raise UsageError("predict needs INPUT and --output.", "Or --example NAME.")
    use.predict(opened, input, output, surrogate, read_options(opened.study.system.PredictOptions, options))
    show({"output": str(output)}, [f"{output}: written"], as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def export(
    run: Path,
    *,
    format: str,
    output: Output,
    overwrite: Flag = False,
    study: str | None = None,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Write a run or its data in another format. Further options depend on the system; a wrong one lists them.

    Args:
        run: The run folder, or one split of it.
        format: One of the formats of the system; `emulant systems` lists them.
        output: The folder or file to write.
        overwrite: Write over a file that is there.
        study: The study of a tree that was made elsewhere.
    """
    from emulant.use import export

    written = export(run, format, output, study, overwrite=overwrite, options=options)
    lines = [f"{output}: {len(written)} file{'' if len(written) == 1 else 's'} written"]
    value = {"output": str(output), "files": [str(path) for path in written]}
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def render(
    run: Path,
    *,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Draw films of forecasts. Further options depend on the system; a wrong one lists them.

    Args:
        run: The run folder; where the system draws simulations too, a study.
    """
    from emulant.options import read_options
    from emulant.use import open_run_or_study, render

    opened = open_run_or_study(run)
    written = render(opened, read_options(opened.study.system.RenderOptions, options))
    show(
        [str(path) for path in written],
        [str(path) for path in written],
        as_json=everywhere.json,
        quiet=everywhere.quiet,
    )
    return GOOD


_TAKE_OPTIONS: tuple[Callable[..., int], ...] = (predict, render, validate, export)


# -- what the commands share ----------------------------------------------------------------------------------------


def _load(study: str, overrides: Sequence[str], running: Running) -> Study:
    from emulant import study as studies

    return studies.load(study, overrides, running.seed)


def _engine(running: Running, silent: bool) -> AbstractContextManager[Engine | None]:
    from emulant.engines.choice import opened

    tell = (lambda _: None) if silent else complain
    return opened(running.engine, running.workers, running.scheduler, tell)


def _range(text: str) -> range | None:
    if not text:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
        raise UsageError(f"--shards {text}: is not a range such as 0-99.")
    return range(int(first), min(int(last or first), sys.maxsize - 1) + 1)


def _open(path: Path, overrides: Sequence[str], study: str | None, stage: str) -> Run:
    """Open a run for a stage; on a run, `--set` reaches that stage's tables only."""
    from emulant.runs import Run

    opened = Run.open(path, study)
    for override in overrides:
        table_name = override.partition("=")[0].partition(".")[0].strip()
        if table_name != stage:
            raise UsageError(
                f"--set {override}: this command, on a run, takes settings of [{stage}] only.",
                "Settings of the data belong to `emulant run` and `emulant generate`.",
            )
    return opened.with_study(overrides) if overrides else opened

"""The command line itself, the options that commands share, and how they open studies, runs and engines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from emulant import __version__
from emulant.errors import UsageError
from emulant.terminal import complain

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


def load_study(study: str, overrides: Sequence[str], running: Running) -> Study:
    from emulant import study as studies

    return studies.load(study, overrides, running.seed)


def open_engine(running: Running, silent: bool) -> AbstractContextManager[Engine | None]:
    from emulant.engines.choice import opened

    tell = (lambda _: None) if silent else complain
    return opened(running.engine, running.workers, running.scheduler, tell)


def shard_range(text: str) -> range | None:
    if not text:
        return None
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
        raise UsageError(f"--shards {text}: is not a range such as 0-99.")
    return range(int(first), min(int(last or first), sys.maxsize - 1) + 1)


def open_run(path: Path, overrides: Sequence[str], study: str | None, stage: str) -> Run:
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

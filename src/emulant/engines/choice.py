"""From the name of an engine to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from emulant.dataset.seams import Engine
from emulant.engines.local import Local, available_cores
from emulant.errors import UsageError

Name = Literal["local", "dask", "mpi", "slurm"]


@contextmanager
def opened(
    name: Name, workers: int | None, scheduler: str | None, tell: Callable[[str], None]
) -> Iterator[Engine | None]:
    """The engine of that name, for as long as it is needed.

    Args:
        workers: Processes; None: one per core, or one per rank of MPI.
        scheduler: Where Dask's scheduler is; None: a cluster on this machine.
        tell: Hears what a person should know, such as the address of a dashboard.

    Yields:
        The engine; None on a rank of MPI that has done its share and has nothing more to do.

    Raises:
        UsageError: The options do not go together, or an extra is not installed.
        EngineError: There is no such scheduler.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: there must be at least one.")
    if scheduler is not None and name != "dask":
        raise UsageError(f"--scheduler {scheduler}: is for --engine dask.")
    if name == "slurm":
        raise UsageError(
            "--engine slurm: simulations on SLURM are jobs of their own.",
            "`emulant submit STUDY -o RUN` submits them, and training, evaluation and report after them.",
        )
    if name == "mpi":
        from emulant.engines import mpi

        with mpi.opened(workers or 1) as engine:
            yield engine
    elif name == "dask":
        from emulant.engines import dask

        with dask.opened(scheduler, workers or available_cores(), tell) as engine:
            yield engine
    else:
        yield Local(workers or available_cores())

"""Shards over the ranks of an MPI job: `mpirun -n K emulant generate STUDY -o RUN --engine mpi`.

Rank 0 is an ordinary run: it alone claims the folder, says which shards are open and writes the manifests. Of what it
hands round, rank r of K takes every K-th shard, from the r-th on, and works on them in processes of its own; so a case
that crashes or hangs is recorded as with `local`. A rank that is killed takes the job down, as MPI has it; the same
command then does what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from emulant.dataset.seams import Shard, ShardOutcome, Work
from emulant.engines.local import Local
from emulant.errors import EmulantError, EngineError, UsageError

PATIENCE = 0.02
"""Seconds between two looks at whether the other ranks are there: MPI's own waiting keeps a core busy."""


class Mpi:
    """The `mpi` engine, on rank 0.

    Args:
        comm: The communicator of all ranks.
        workers: Number of processes of each rank.
    """

    def __init__(self, comm: Any, workers: int) -> None:
        self.comm = comm
        self.local = Local(workers)

    def run(self, shards: Sequence[Shard], work: Work) -> Iterator[ShardOutcome]:
        """Work on `shards` together with the other ranks, whose outcomes are heard of when all are done.

        Raises:
            EmulantError: What one of the ranks could not do; all have then done what they could.
        """
        self._hand_round((shards, work))
        others: list[tuple[list[ShardOutcome], EmulantError | None]] = []
        try:
            yield from self.local.run(self._share(shards), work)
        finally:  # whatever has happened here, the others are waiting to be heard
            _meet(self.comm)
            others = self.comm.gather(([], None))
        for outcomes, error in others:
            yield from outcomes
            if error is not None:
                raise error

    def serve(self) -> None:
        """What the other ranks do: their share of all that rank 0 hands round, until it says that there is no more."""
        while (task := self._hand_round(None)) is not None:
            shards, work = task
            reply = self._work_off(self._share(shards), work)
            _meet(self.comm)
            self.comm.gather(reply)

    def close(self) -> None:
        """Let the other ranks go."""
        self._hand_round(None)

    def _share(self, shards: Sequence[Shard]) -> Sequence[Shard]:
        return shards[self.comm.rank :: self.comm.size]

    def _hand_round(self, task: tuple[Sequence[Shard], Work] | None) -> tuple[Sequence[Shard], Work] | None:
        _meet(self.comm)
        handed: tuple[Sequence[Shard], Work] | None = self.comm.bcast(task)
        return handed

    def _work_off(self, shards: Sequence[Shard], work: Work) -> tuple[list[ShardOutcome], EmulantError | None]:
        outcomes: list[ShardOutcome] = []
        try:
            outcomes.extend(self.local.run(shards, work))
        except EmulantError as error:
            return outcomes, error
        except Exception as error:  # a rank that went silently would leave the others waiting for ever
            return outcomes, EngineError(f"rank {self.comm.rank}: {type(error).__name__}: {error}.")
        return outcomes, None


@contextmanager
def opened(workers: int) -> Iterator[Mpi | None]:
    """The engine on rank 0. The other ranks do their work on entering, and get None when there is no more.

    Raises:
        UsageError: mpi4py, or the MPI library that it needs, is not installed.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is there, but no libmpi
        raise UsageError(
            f"--engine mpi cannot be used here: {error}.",
            "Install it by: pip install 'emulant[mpi]', and an MPI library such as Open MPI or MPICH.",
        ) from error
    engine = Mpi(MPI.COMM_WORLD, workers)
    if engine.comm.rank > 0:
        engine.serve()
        yield None
        return
    try:
        yield engine
    finally:
        engine.close()


def _meet(comm: Any) -> None:
    """Wait for all ranks, without keeping a core busy."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(PATIENCE)

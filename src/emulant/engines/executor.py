"""Shards on any `concurrent.futures.Executor`: a thread pool, loky, dask's, parsl's, mpi4py's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, as_completed

from emulant.dataset.seams import Shard, ShardOutcome, Work
from emulant.engines.guarded import guarded
from emulant.errors import EngineError


class OnExecutor:
    """An engine on an executor that the caller owns (and shuts down)."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def run(self, shards: Sequence[Shard], work: Work) -> Iterator[ShardOutcome]:
        """Submit all shards; one outcome each, in the order in which they are done.

        Raises:
            EngineError: The executor broke. What was finished before is kept; a second call does the rest.
        """
        futures = [self.executor.submit(guarded(work), shard) for shard in shards]
        done = 0
        try:
            for future in as_completed(futures):
                yield future.result()
                done += 1
        except BrokenExecutor as error:
            raise EngineError(
                f"the executor broke after {done} of {len(shards)} shards: {error}.",
                "Nothing is lost: the same call does the rest.",
            ) from error
        finally:
            for future in futures:
                future.cancel()

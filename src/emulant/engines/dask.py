"""Shards on Dask: a cluster on this machine, or any that has a scheduler (dask-jobqueue, Kubernetes, a cloud).

The workers need emulant and the same file system. Dask gives the shard of a worker that died to another one; a shard
that takes down one worker after another is tried case by case, to find the one that is to blame. Where a study bounds
the time of a case, workers simulate in processes of their own, which can be ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from emulant.dataset.seams import Shard, ShardOutcome, Work
from emulant.engines.guarded import guarded
from emulant.errors import EmulantError, EngineError, UsageError


class Dask:
    """The `dask` engine.

    Args:
        client: A connected `distributed.Client`, which the caller owns.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, shards: Sequence[Shard], work: Work) -> Iterator[ShardOutcome]:
        """Work on `shards`; one outcome each, in the order in which they are done.

        Raises:
            EmulantError: What a worker could not store (disk full) or the system did wrong.
            EngineError: The scheduler is gone, or the workers of a shard die again and again.
        """
        from distributed import KilledWorker, as_completed

        work = guarded(work)
        futures = {self._submit(work, shard): shard for shard in shards}
        try:
            for future in as_completed(list(futures)):
                shard = futures.pop(future)
                try:
                    outcome = self._result(future, shard)
                except KilledWorker:
                    outcome = self._without_the_guilty(shard, work)
                yield outcome
        finally:
            self.client.cancel(list(futures))

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return self.client.submit(work, *arguments, pure=False)

    def _result(self, future: Any, shard: Shard) -> ShardOutcome:
        from distributed import KilledWorker

        try:
            outcome: ShardOutcome = future.result()
        except (EmulantError, KilledWorker):
            raise
        except Exception as error:
            raise EngineError(
                f"shard {shard.split}/{shard.id}: {type(error).__name__}: {error}.",
                "What was done before is kept; the same command does the rest.",
            ) from error
        return outcome

    def _without_the_guilty(self, shard: Shard, work: Work) -> ShardOutcome:
        """The shard once more, without the cases that no worker survives: they are recorded as failed."""
        from distributed import KilledWorker

        probes = {case: self._submit(work.probe, shard.only([case])) for case in shard.cases}
        guilty = {
            case: "crashed its worker" for case, probe in probes.items() if isinstance(probe.exception(), KilledWorker)
        }
        try:
            return self._result(self._submit(work, shard, guilty), shard)
        except KilledWorker as error:
            raise EngineError(
                f"shard {shard.split}/{shard.id}: its workers die again and again, without a case to blame.",
                "They may lack memory; their logs tell.",
            ) from error


@contextmanager
def opened(address: str | None, workers: int, tell: Callable[[str], None]) -> Iterator[Dask]:
    """The engine on the scheduler at `address`, or on a cluster of `workers` processes of this machine.

    Args:
        tell: Hears where the dashboard is.

    Raises:
        UsageError: distributed is not installed.
        EngineError: There is no scheduler at that address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("--engine dask needs `distributed`.", "Install it by: pip install 'emulant[dask]'") from error
    if address is not None:
        with _connected(Client, address) as client:
            tell(f"dask dashboard: {client.dashboard_link}")
            yield Dask(client)
        return
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        tell(f"dask dashboard: {client.dashboard_link}")
        yield Dask(client)


def _connected(connect: Callable[..., Any], address: str) -> Any:
    try:
        return connect(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise EngineError(
            f"--scheduler {address}: there is no Dask scheduler to be reached: {error}.",
            "`dask scheduler` prints its address when it starts, such as tcp://10.0.0.1:8786.",
        ) from error

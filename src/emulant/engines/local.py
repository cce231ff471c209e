"""Shards in processes of this machine.

Not `concurrent.futures.ProcessPoolExecutor`: when one of its workers dies the whole pool breaks, nobody can say which
task was to blame, and a task that hangs cannot be ended. Here each worker has a pipe of its own, so a death or a
time-out has exactly one shard to its name: that shard is tried again case by case, and the others never notice.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from emulant.dataset.seams import Shard, ShardOutcome, Work
from emulant.errors import EmulantError, EngineError

RETRIES = 2
"""How often a shard is tried again when its worker died and none of its cases is to blame."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class _Task:
    """A shard on its way: whole, or (as a probe) one of its cases to see whether the process survives it."""

    shard: Shard
    inquest: _Inquest | None = None
    excluded: Mapping[int, str] = field(default_factory=dict)
    deaths: int = 0


@dataclass
class _Inquest:
    """After a worker died: which cases of its shard are to blame?"""

    task: _Task
    reason: str
    open: int
    guilty: dict[int, str] = field(default_factory=dict)


class _Worker:
    """One process, one pipe, at most one task."""

    def __init__(self, context: Any, work: Work) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True, name="emulant-worker")
        with _single_threaded():
            self.process.start()
        theirs.close()
        self.is_ready = False
        self.task: _Task | None = None
        self.deadline = float("inf")

    def give(self, task: _Task, timeout: float | None) -> None:
        self.task = task
        if timeout is not None:
            self.deadline = time.monotonic() + timeout * len(task.shard.cases)
        with suppress(OSError):  # it died while idle: the next `take` finds the pipe closed
            self.connection.send((task.inquest is not None, task.shard, dict(task.excluded)))

    def take(self, timeout: float | None) -> tuple[_Task | None, Any]:
        """The task that it had and the reply to it, or how the process died."""
        is_late = time.monotonic() >= self.deadline and not self.connection.poll()
        if is_late:
            self.process.kill()
        task, self.task, self.deadline = self.task, None, float("inf")
        try:
            return task, self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return task, _Death.of(self.process.exitcode, timeout if is_late else None)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


@dataclass(frozen=True)
class _Death:
    """The end of a worker that should have lived."""

    reason: str

    @classmethod
    def of(cls, code: int | None, timeout: float | None) -> _Death:
        if timeout is not None:
            return cls(f"timed out: more than {timeout:g} s a case")
        how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        return cls(f"crashed its process ({how})")


_READY = "ready"


class Local:
    """The `local` engine.

    Args:
        workers: Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, shards: Sequence[Shard], work: Work) -> Iterator[ShardOutcome]:
        """Work on `shards`; one outcome each, in the order in which they are done.

        Raises:
            EmulantError: What a worker could not store (disk full) or the system did wrong; the others are ended.
            EngineError: Workers die as soon as they start.
        """
        todo = deque(_Task(shard) for shard in shards)
        context = _context(work)
        workers, stillborn = list[_Worker](), list[str]()
        try:
            while todo or any(worker.task for worker in workers):
                while len(workers) < min(self.workers, len(todo) + sum(worker.task is not None for worker in workers)):
                    workers.append(_Worker(context, work))
                for worker in _answering(workers):
                    yield from _hear(worker, workers, todo, stillborn, work.timeout)
                for worker in workers:
                    if worker.is_ready and worker.task is None and todo:
                        worker.give(todo.popleft(), work.timeout)
        finally:
            for worker in workers:
                worker.end()


def _answering(workers: Sequence[_Worker]) -> list[_Worker]:
    """The workers that have something to say, have died or are over time."""
    owners = {id(worker.connection): worker for worker in workers}
    deadline = min(worker.deadline for worker in workers)
    patience = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
    said = [owners[id(connection)] for connection in wait([worker.connection for worker in workers], patience)]
    return said or [worker for worker in workers if worker.deadline <= time.monotonic()]


def _hear(
    worker: _Worker, workers: list[_Worker], todo: deque[_Task], stillborn: list[str], timeout: float | None
) -> Iterator[ShardOutcome]:
    task, reply = worker.take(timeout)
    if reply == _READY:
        worker.is_ready = True
        return
    if isinstance(reply, _Death):
        workers.remove(worker)
        worker.end()
        if not worker.is_ready:
            stillborn.append(reply.reason)
        if len(stillborn) > RETRIES:
            raise EngineError(f"workers cannot start: the last one {stillborn[-1]}.", "Their messages stand above.")
    if task is not None:
        yield from _settle(task, reply, todo)


def _settle(task: _Task, reply: Any, todo: deque[_Task]) -> Iterator[ShardOutcome]:
    """Turn a reply into an outcome, or into the tasks that lead to one."""
    if isinstance(reply, EmulantError):
        raise reply
    if task.inquest is not None:
        _testify(task.inquest, task.shard.cases[0], reply, todo)
    elif isinstance(reply, _Death):
        _open_inquest(task, reply, todo)
    else:
        yield reply


def _open_inquest(task: _Task, death: _Death, todo: deque[_Task]) -> None:
    if task.deaths >= RETRIES:
        reason = f"{death.reason}, {task.deaths + 1} times, without a case to blame"
        todo.appendleft(_Task(task.shard, excluded=dict.fromkeys(task.shard.cases, reason), deaths=task.deaths))
        return
    inquest = _Inquest(task, death.reason, open=len(task.shard.cases))
    todo.extendleft(_Task(task.shard.only([case]), inquest=inquest) for case in reversed(task.shard.cases))


def _testify(inquest: _Inquest, case: int, reply: Any, todo: deque[_Task]) -> None:
    inquest.open -= 1
    if isinstance(reply, _Death):
        inquest.guilty[case] = reply.reason
    if inquest.open == 0:
        excluded = {**inquest.task.excluded, **inquest.guilty}
        todo.appendleft(_Task(inquest.task.shard, excluded=excluded, deaths=inquest.task.deaths + 1))


# -- the other side of the pipe -----------------------------------------------------------------------------------


def _serve(connection: Connection, work: Work) -> None:
    """The worker's loop: it ends with the pipe, and with its parent even in the middle of a simulation."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(_READY)
        while True:
            is_probe, shard, excluded = connection.recv()
            connection.send(_answer(work, is_probe, shard, excluded))


def _answer(work: Work, is_probe: bool, shard: Shard, excluded: Mapping[int, str]) -> Any:
    try:
        if not is_probe:
            return work(shard, excluded)
        work.probe(shard)
        return None
    except EmulantError as error:
        return error
    except BaseException as error:  # a bug in a system must reach the person who runs it, not end in a silent worker
        return EngineError(f"shard {shard.split}/{shard.id}: {type(error).__name__}: {error}.")


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _context(work: Work) -> Any:
    """A fork server imports the system once and forks clean workers from there; where there is none, spawn."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(work.modules))
    return context


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Workers start with one BLAS and OpenMP thread each, unless the user has set another number."""
    added = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)  # another thread may have had the same to give back

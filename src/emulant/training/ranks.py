"""Several processes that train one network together: which of them this one is, and how the others are started.

On one machine the process that was called starts the others itself; under `srun` or `torchrun` they are there already.
Rank 0 alone writes; the others, its followers, compute their share of every batch. Importing this imports no torch.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from emulant.errors import EngineError, UsageError
from emulant.training.table import TrainingTable

_TOLD = "EMULANT_RANK"
"""What a process that we started finds in its environment: rank/processes/port."""
_READY = b"ready\n"
FAREWELL = 60.0
"""Seconds that followers have to end when the training has."""


@dataclass(frozen=True)
class Place:
    """This process among those that train together."""

    rank: int = 0
    processes: int = 1
    starter: str = ""
    """Who started them: `emulant`, `slurm`, `torchrun`; empty: this process is alone."""
    port: int = 0
    """On this machine, of those that emulant started."""

    @property
    def follows(self) -> bool:
        return self.rank > 0


def here() -> Place:
    """The place of this process, as the environment says."""
    own = os.environ
    if _TOLD in own:
        rank, processes, port = map(int, own[_TOLD].split("/"))
        return Place(rank, processes, "emulant", port)
    if int(own.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return Place(int(own["SLURM_PROCID"]), int(own["SLURM_STEP_NUM_TASKS"]), "slurm")
    if "TORCHELASTIC_RUN_ID" in own:
        return Place(int(own["RANK"]), int(own["WORLD_SIZE"]), "torchrun")
    return Place()


def wanted(table: TrainingTable) -> int:
    """The processes that a table asks for, one per device."""
    if table.devices != "auto":
        return table.devices * table.nodes
    import torch

    cards = torch.cuda.device_count() if table.accelerator != "cpu" else 0
    return max(1, cards) * table.nodes


@contextmanager
def gathered(table: TrainingTable, command: Sequence[str]) -> Iterator[None]:
    """Inside, all processes that the table asks for are there; on one machine they are started by `command`.

    Raises:
        UsageError: The processes that are there are not as many as the table asks for.
        EngineError: One of those that were started has ended before the training did.
    """
    place, count = here(), wanted(table)
    if count == 1 or (place.starter and place.processes == count):
        yield
        return
    if place.starter or table.nodes > 1:
        raise UsageError(
            f"training.devices x training.nodes asks for {count} processes, and there are {place.processes}.",
            "On several nodes start one per device: `srun emulant train RUN`, as the script of `emulant submit` does.",
        )
    with _leading(count, command):
        yield


@contextmanager
def _leading(count: int, command: Sequence[str]) -> Iterator[None]:
    port = _free_port()
    os.environ[_TOLD] = f"0/{count}/{port}"
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # it advises against looking for unused parameters
    followers = [_start(command, f"{rank}/{count}/{port}") for rank in range(1, count)]
    try:
        for follower in followers:
            _await(follower)
        yield
        for follower in followers:
            follower.wait(FAREWELL)
    except RuntimeError as error:  # what torch makes of a connection that is gone
        time.sleep(1.0)  # and it is gone before the process is
        if not any(follower.poll() for follower in followers):
            raise
        raise EngineError(
            "one of the processes that train together has ended; its message stands above.",
            "The same command goes on from the last finished epoch.",
        ) from error
    finally:
        del os.environ[_TOLD]
        for follower in followers:
            follower.kill()
            follower.communicate()
        _part()


def _start(command: Sequence[str], told: str) -> subprocess.Popen[bytes]:
    """A follower: it ends with the pipe to it, so with us, however we end."""
    return subprocess.Popen(
        command,
        env={**os.environ, _TOLD: told},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is our business
    )


def _await(follower: subprocess.Popen[bytes]) -> None:
    """Wait until a follower has read its study: torch waits half an hour for one that never comes."""
    if follower.stdout is None or follower.stdout.readline() != _READY:
        raise EngineError(
            "a process that was to train together with this one has not started; its message stands above.",
            "It is this command once more, and must find the same system and packages.",
        )


def end_with_leader() -> None:
    """Tell the process that started this one that it is ready; from here on this one ends when that does."""

    def wait() -> None:
        with suppress(OSError):
            os.read(0, 1)  # nobody writes: it returns when the pipe is closed
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    os.write(1, _READY)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads any more


def cluster_environment(place: Place) -> Any:
    """How Lightning finds the others; it must neither start processes nor requeue jobs, which we do ourselves."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if place.starter == "slurm":
        return SLURMEnvironment(auto_requeue=False)
    if place.starter == "torchrun":
        return TorchElasticEnvironment()

    class Ours(LightningEnvironment):
        """Processes of this machine; rank 0 listens."""

        creates_processes_externally = True
        main_address = "127.0.0.1"
        main_port = place.port

        def local_rank(self) -> int:
            return place.rank

    return Ours()


def _part() -> None:
    """Leave the group: the next network is trained with others."""
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

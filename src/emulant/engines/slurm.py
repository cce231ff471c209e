"""What emulant asks of SLURM, by its own commands: submit, look, point dependents elsewhere, cancel."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulant.errors import EngineError

USUAL_ARRAY_SIZE = 1001
"""`MaxArraySize` as SLURM comes: it caps the index, so 0-1000 is taken and 0-1001 is not."""

_RUNNING = {"RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "SUSPENDED"}
_WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"}


@dataclass(frozen=True)
class Task:
    """A job, or one element of an array, as the scheduler sees it."""

    job: str
    """The id that sbatch has printed."""
    element: str
    """The index in an array; empty for a plain job."""
    state: str
    reason: str = ""

    @property
    def phase(self) -> str:
        if self.state in _RUNNING:
            return "running"
        if self.state in _WAITING:
            return "waiting"
        return "done" if self.state == "COMPLETED" else "failed"


def max_array_size() -> int | None:
    """`MaxArraySize` of the cluster; None where no SLURM answers.

    Raises:
        EngineError: The cluster takes no arrays at all.
    """
    try:
        settings = _call("scontrol", "show", "config")
    except EngineError:
        return None
    for line in settings.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "MaxArraySize":
            if int(value) < 2:
                raise EngineError("this SLURM takes no job arrays (MaxArraySize is 0).", "Ask its administrators.")
            return int(value)
    return None


def submit(script: Path, *options: str, arguments: Sequence[str] = ()) -> str:
    """Submit a script; the job's id."""
    answer = _call("sbatch", "--parsable", *options, str(script), *arguments)
    return answer.strip().partition(";")[0]


def wait_for_other(old: str, new: str) -> None:
    """Jobs that wait for `old` to succeed wait for `new` in its place."""
    for line in _call("squeue", "--me", "--noheader", "--format=%F|%E").splitlines():
        job, _, dependency = line.strip().partition("|")
        if f"afterok:{old}" in dependency.replace("(", ",").split(","):
            _call("scontrol", "update", f"JobId={job}", f"Dependency=afterok:{new}")


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs, arrays with all their elements."""
    _call("scancel", *jobs)


def tasks(jobs: Iterable[str]) -> Mapping[str, list[Task]]:
    """Job -> what the scheduler knows of it and of its elements; empty for one that it has forgotten.

    `squeue` knows the living and, for some minutes, the dead; the accounting, where there is one, all.
    """
    wanted = list(jobs)
    seen = dict[tuple[str, str], Task]()
    for task in [*_accounted(wanted), *_queued()]:
        if task.job in wanted:
            seen[task.job, task.element] = task
    return {job: [task for task in seen.values() if task.job == job] for job in wanted}


def _queued() -> list[Task]:
    lines = _call("squeue", "--me", "--noheader", "--array", "--states=all", "--format=%F|%K|%T|%r").splitlines()
    rows = (line.strip().split("|", 3) for line in lines)
    return [
        Task(job, "" if element == "N/A" else element, state, "" if reason == "None" else reason)
        for job, element, state, reason in rows
    ]


def _accounted(jobs: Sequence[str]) -> list[Task]:
    try:
        lines = _call(
            "sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={','.join(jobs)}", "--format=JobID,State"
        )
    except EngineError:  # many clusters have no accounting
        return []
    found = []
    for line in lines.splitlines():
        job_id, _, state = line.partition("|")
        job, _, element = job_id.partition("_")
        if "[" not in element and state:  # [0-9]: elements that still wait, which squeue tells one by one
            found.append(Task(job, element, state.split()[0]))  # "CANCELLED by 0"
    return found


def _call(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        raise EngineError(f"{command[0]}: there is no SLURM on this machine.", "Run it on a login node.") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{command[0]}: SLURM does not answer.", "Try again later.") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise EngineError(f"{command[0]}: {said}.", f"The command was: {' '.join(command)}")
    return done.stdout

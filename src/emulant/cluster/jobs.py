"""A run's jobs: submitted, submitted again where they have left gaps, looked at, cancelled.

`RUN/slurm/jobs.tsv` has a line for each job: the name of its script and its id.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulant import stages
from emulant.claim import claim
from emulant.cluster import plan, scripts
from emulant.dataset.atomic import storage_error
from emulant.engines import slurm
from emulant.errors import EngineError, UsageError
from emulant.folder import RunFolder
from emulant.runs import Run
from emulant.study import Study


@dataclass(frozen=True)
class Job:
    """A line of jobs.tsv."""

    name: str
    id: str


def prepare(
    study: Study,
    root: Path,
    resources: scripts.Resources,
    setup: Path | None = None,
    max_parallel: int | None = None,
) -> dict[str, Path]:
    """Make the folder this study's, and write its scripts for the cluster at hand; name -> file.

    Raises:
        UsageError: The study cannot be run, the folder holds other data or has jobs on the cluster, `setup` is no file.
    """
    folder = RunFolder(root)
    stages.require(study)
    if setup is not None and not setup.is_file():
        raise UsageError(f"--setup {setup}: there is no such file.")
    if max_parallel is not None and max_parallel < 1:
        raise UsageError(f"--max-parallel {max_parallel}: there must be at least one.")
    if alive := _alive(folder):
        raise UsageError(
            f"{root}: jobs of this run are still on the cluster: {', '.join(job.id for job in alive)}.",
            f"`emulant cancel {root}` ends them.",
        )
    limit = slurm.max_array_size() or slurm.USUAL_ARRAY_SIZE
    claim(folder, study, fresh=False)
    text = setup.read_text(encoding="utf-8") if setup else ""
    return scripts.write(study, folder, plan.arrays(study, limit), resources, text, max_parallel)


def submit(folder: RunFolder) -> list[Job]:
    """Submit the scripts of a run, all or none.

    Raises:
        EngineError: SLURM has refused one; no job is left behind.
    """
    try:
        done = subprocess.run(["bash", folder.slurm / "submit.sh"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineError(f"bash: {error}.", "The scripts are bash's.") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise EngineError(f"SLURM has refused the jobs: {said}.", f"The scripts in {folder.slurm} may be edited.")
    return listed(folder)


def listed(folder: RunFolder) -> list[Job]:
    """The jobs of a run, in the order in which they were submitted."""
    if not folder.jobs.is_file():
        return []
    lines = folder.jobs.read_text(encoding="utf-8").splitlines()
    return [Job(name, id_) for name, tab, id_ in (line.partition("\t") for line in lines) if tab]


def _note(folder: RunFolder, job: Job) -> str:
    try:
        with folder.jobs.open("a", encoding="utf-8") as file:
            file.write(f"{job.name}\t{job.id}\n")
    except OSError as error:
        raise storage_error(folder.jobs, error) from error
    return job.id


# -- the gate -----------------------------------------------------------------------------------------------------


def resubmit(run: Run, pass_: str, round_: int, rounds: int) -> dict[str, str]:
    """See whether a pass is complete and whole; if not, submit what is missing once more, and a gate behind it.

    Returns:
        Array -> the elements that were submitted again; empty: all is there, and the manifests are written.

    Raises:
        EngineError: After `rounds` rounds there still are gaps.
        SimulationError: All is there, but more cases failed than the study allows.
    """
    study, folder = run.study, run.folder
    if pass_ not in study.system.passes:
        raise UsageError(f"the study has no pass `{pass_}`.", f"It has {', '.join(study.system.passes)}.")
    limit = slurm.max_array_size() or slurm.USUAL_ARRAY_SIZE
    ours = [array for array in plan.arrays(study, limit) if array.pass_ == pass_]
    missing = {array.name: elements for array in ours if (elements := array.missing(study, folder, read=True))}
    if not missing:
        stages.generate(study, folder.root, passes=[pass_])
        return {}
    told = {name: plan.indices(elements) for name, elements in missing.items()}
    if round_ >= rounds:
        gaps = "; ".join(f"{name}: {elements}" for name, elements in told.items())
        raise EngineError(
            f"{folder.root}: after {rounds} more rounds there are shards missing, of the elements {gaps}.",
            f"{folder.slurm / 'logs'} tells why; `emulant submit` does what is missing.",
        )
    again = [
        _note(folder, Job(name, slurm.submit(folder.slurm / f"{name}.sh", f"--array={elements}")))
        for name, elements in told.items()
    ]
    _hang_on(folder, plan.gate(study, pass_), again, round_ + 1)
    return told


def _hang_on(folder: RunFolder, gate: str, jobs: list[str], round_: int) -> None:
    """Put another gate behind `jobs`, and what waits for this one behind that."""
    after = f"--dependency=afterany:{':'.join(jobs)}"
    new = _note(folder, Job(gate, slurm.submit(folder.slurm / f"{gate}.sh", after, arguments=[str(round_)])))
    if this := os.environ.get("SLURM_JOB_ID"):
        slurm.wait_for_other(this, new)


# -- looking ------------------------------------------------------------------------------------------------------


def status(folder: RunFolder) -> list[dict[str, Any]]:
    """What the scheduler says of each job: how many of its elements are done, running, waiting, failed, and why.

    A job of which it knows nothing any more has none of these: only the store tells what came of it. Nor has any where
    no SLURM answers, as on the laptop that a run was copied to.
    """
    jobs = listed(folder)
    try:
        known = slurm.tasks([job.id for job in jobs]) if jobs else {}
    except EngineError:
        known = {job.id: [] for job in jobs}
    return [
        {
            "name": job.name,
            "job": job.id,
            **Counter(task.phase for task in known[job.id]),
            "reasons": sorted({task.reason for task in known[job.id] if task.phase == "waiting" and task.reason}),
            "failures": [_failure(folder, job, task) for task in known[job.id] if task.phase == "failed"],
        }
        for job in jobs
    ]


def _failure(folder: RunFolder, job: Job, task: slurm.Task) -> dict[str, str]:
    log = folder.slurm / "logs" / f"{job.name}-{job.id}{'_' + task.element if task.element else ''}.log"
    reason = f"{task.state}, {task.reason}" if task.reason else task.state
    return {"element": task.element, "reason": reason, "log": str(log) if log.is_file() else ""}


def lines(jobs: list[dict[str, Any]]) -> list[str]:
    """The same for people."""
    found = []
    for job in jobs:
        counts = [f"{job[phase]} {phase}" for phase in ("done", "running", "waiting", "failed") if phase in job]
        why = f" ({', '.join(job['reasons'])})" if job["reasons"] else ""
        found.append(
            f"slurm {job['job']} {job['name']}: {', '.join(counts) or 'SLURM knows nothing of it any more'}{why}"
        )
        for failure in job["failures"]:
            element = f"element {failure['element']}: " if failure["element"] else ""
            found.append(f"  {element}{failure['reason']}" + (f"; see {failure['log']}" if failure["log"] else ""))
    return found


def _alive(folder: RunFolder) -> list[Job]:
    jobs = listed(folder)
    known = slurm.tasks([job.id for job in jobs]) if jobs else {}
    return [job for job in jobs if any(task.phase in ("running", "waiting") for task in known[job.id])]


def cancel(folder: RunFolder) -> list[Job]:
    """Cancel what is left of a run's jobs; which they were."""
    alive = _alive(folder)
    if alive:
        slurm.cancel([job.id for job in alive])
    return alive

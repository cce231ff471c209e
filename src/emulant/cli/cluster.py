"""Commands of a run on a SLURM cluster: submit, cancel, and the gate that its jobs call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from emulant.cli.app import GOOD, Asking, Everywhere, Flag, Output, Overrides, app, open_run
from emulant.terminal import show


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

    again = jobs.resubmit(open_run(run, (), None, ""), pass_, round_, rounds)
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

    ended = jobs.cancel(open_run(run, (), None, "").folder)
    lines = [f"{job.id}  {job.name}: cancelled" for job in ended] or ["no job of this run is on the cluster"]
    show([job.id for job in ended], lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD

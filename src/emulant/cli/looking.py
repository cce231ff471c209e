"""Commands that look at a run: status, validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from emulant.cli.app import FAILED, GOOD, Everywhere, app, open_run
from emulant.terminal import show


@app.command
def status(run: Path, *, study: str | None = None, everywhere: Everywhere = Everywhere()) -> int:
    """What of a run is done, missing, failed or stale.

    Args:
        run: The run folder.
        study: The study of a tree that was made elsewhere.
    """
    from emulant.cluster import jobs
    from emulant.status import lines, status

    opened = open_run(run, (), study, "")
    value, on_cluster = status(opened), jobs.status(opened.folder)
    if on_cluster:
        value["jobs"] = on_cluster
    show(value, [*lines(value), *jobs.lines(on_cluster)], as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def validate(
    path: Path,
    *,
    resimulate: int = 0,
    deep: int = 0,
    study: str | None = None,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Check data: schema, hashes, missing and duplicate cases, leaks between splits, NaN, the physics.

    Files that emulant did not make may have further options, which depend on the system; a wrong one lists them.

    Args:
        path: A run, one split of a run, a tree that was made elsewhere, or files that a system reads by themselves.
        resimulate: Simulate so many cases of each split again and compare.
        deep: Put so many cases of each split to the tests of the physics that take long.
        study: The study of a tree that was made elsewhere.
    """
    from emulant.validation import validate

    verdict = validate(path, study=study, resimulate=resimulate, deep=deep, options=options)
    show(verdict.as_json(), verdict.lines(), as_json=everywhere.json, quiet=everywhere.quiet)
    return FAILED if verdict.findings else GOOD

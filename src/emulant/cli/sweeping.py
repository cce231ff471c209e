"""The command of many runs: sweep."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from emulant.cli.app import (
    FAILED,
    GOOD,
    Everywhere,
    Names,
    Output,
    Overrides,
    Running,
    app,
    number_range,
    open_engine,
)
from emulant.errors import UsageError
from emulant.terminal import progress, show_sweep

Over = Annotated[
    tuple[str, ...],
    Parameter(
        negative=(),
        show_default=False,
        help="key=a,b,c: values of a key of the study; key=LOW..HIGH or key=LOW..HIGH:log: a range. May be repeated.",
    ),
]


@app.command
def sweep(
    study: str,
    *,
    over: Over,
    output: Output,
    set_: Overrides = (),
    surrogate: Names = (),
    optimize: str = "",
    trials: int | None = None,
    points: str = "",
    running: Running = Running(),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Many runs that differ in a few keys, compared on the validation split. Goes on where it stopped.

    Args:
        study: A study file, or a built-in study: SYSTEM or SYSTEM:PRESET.
        output: The folder of the sweep: points/, sweep.csv, sweep.html.
        surrogate: Train only this one. May be repeated.
        optimize: Search the values that are best by this metric, or by `loss`; with --trials.
        trials: How many points the search tries in all.
        points: Work only on these points of the grid, such as 0-3, and compare whatever is there.
    """
    from emulant import study as studies
    from emulant.sweeping import space
    from emulant.sweeping.points import Base
    from emulant.sweeping.search import search
    from emulant.sweeping.sweep import over_grid

    if bool(optimize) != (trials is not None):
        raise UsageError("--optimize METRIC and --trials N go together.")
    if optimize and points:
        raise UsageError("--points: is for a grid; a search decides by itself.")
    document = studies.read(study, set_, running.seed)
    base, wanted = Base(document, study, surrogates=surrogate), space.read(over)
    only = number_range("points", points)
    silent = everywhere.quiet or everywhere.json
    with open_engine(running, silent) as engine, progress(silent or engine is None) as listen:
        if engine is None:
            return GOOD
        if trials is not None:
            found = search(base, wanted, output, optimize, trials, engine=engine, listen=listen)
        else:
            found = over_grid(base, wanted, output, only=only, engine=engine, listen=listen)
    show_sweep(found, as_json=everywhere.json, quiet=everywhere.quiet)
    return FAILED if found.failures else GOOD

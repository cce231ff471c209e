"""A sweep from its space to its page: every combination of a grid, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emulant.dataset.seams import Engine
from emulant.errors import UsageError
from emulant.stages import Listener, silent
from emulant.sweeping.comparison import Comparison, Objective
from emulant.sweeping.points import Base, Point, attempted, judged_split
from emulant.sweeping.space import Space, Values, grid, name


def over_grid(
    base: Base,
    space: Space,
    root: Path,
    *,
    only: range | None = None,
    engine: Engine | None = None,
    listen: Listener = silent,
) -> Comparison:
    """Every combination of the values, compared; goes on where it stopped.

    Args:
        base: What the points start from.
        space: The values of each key.
        root: Where `points/`, `sweep.csv`, `sweep.json` and `sweep.html` go.
        only: Work on the points of these numbers only; whatever else is there is compared as well. So several jobs
            can share a sweep.
        engine: Where simulations run; None: processes of this machine.

    Raises:
        UsageError: A point's study has faults, or its folder holds something else; nothing is begun.
    """
    points = prepared(base, list(grid(space)), root)
    chosen = points if only is None else points[only.start : only.stop]
    if not chosen:
        raise UsageError(f"--points {only.start if only else 0}: the sweep has {len(points)} points, from 0.")
    failures = {}
    for number, point in enumerate(chosen):
        listen("sweep", number, len(chosen))
        others = [other.run for other in points if other is not point]
        if reason := attempted(point, others, engine=engine, listen=listen):
            failures[point.name] = reason
    listen("sweep", len(chosen), len(chosen))
    return told(Comparison(root, points, Objective.of(points[0].run.study), failures))


def prepared(base: Base, combinations: Sequence[Values], root: Path) -> list[Point]:
    """The points, their studies checked; none of them is begun.

    Raises:
        UsageError: A study has faults, or the points cannot be compared with each other.
    """
    points = [Point.of(root, name(values), values, base.study(values)) for values in combinations]
    for point in points:
        require(point)
    splits = {judged_split(point.run.study) for point in points}
    if len(splits) > 1 or len({point.run.study.system.name for point in points}) > 1:
        raise UsageError("the points of a sweep must be of one system, and compared on one split.")
    return points


def require(point: Point) -> None:
    """See to it that the point can be trained, before the first one takes hours."""
    for choice in point.run.study.surrogates.values():
        choice.learner.require()
    judged_split(point.run.study)


def told(comparison: Comparison) -> Comparison:
    """The same, with its table and page written."""
    from emulant.sweeping.page import write

    comparison.write()
    write(comparison)
    return comparison

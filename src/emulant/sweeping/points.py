"""One point of a sweep: a run folder that simulates, trains and scores itself, and computes nothing twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulant import lending, stages
from emulant import study as studies
from emulant.dataset.seams import Engine, System
from emulant.errors import DataError, EmulantError, UsageError
from emulant.folder import RunFolder
from emulant.runs import Kind, Run
from emulant.stages import Listener, silent
from emulant.study import Document, Study
from emulant.sweeping.space import Values

VALIDATION = "validation"
COMPARED: Collection[Kind] = ("surrogate", "baseline")
"""Oracles use the truth and compete with nobody."""


@dataclass(frozen=True)
class Base:
    """What all points start from."""

    document: Document
    """Of the study, unchecked."""
    source: str
    """What errors call it."""
    system: System | None = None
    """For one that is not installed."""
    surrogates: tuple[str, ...] = ()
    """Only these are trained; empty: all of the study."""

    def study(self, values: Values) -> Study:
        """The study of a point.

        A key of `[training]` is meant for every surrogate: those that set it in a table of their own get it there.

        Raises:
            UsageError: A key or value is wrong, or there is no such surrogate.
        """
        document = deepcopy(self.document)
        tables = document.get("surrogates", {})
        for name in self.surrogates:
            if name not in tables:
                what = f"--surrogate {name}: the study has none of that name."
                raise UsageError(what, f"It has {', '.join(tables)}.")
        if self.surrogates:
            document["surrogates"] = tables = {name: tables[name] for name in tables if name in self.surrogates}
        for key, value in values.items():
            studies.assign(document, key, value, f"--over {key}")
            table, _, rest = key.partition(".")
            for own in tables.values() if table == "training" else ():
                if _has(own.get("training"), rest):
                    studies.assign(own["training"], rest, value, f"--over {key}")
        return studies.from_document(document, self.source, self.system)


def _has(table: Any, key: str) -> bool:
    first, _, rest = key.partition(".")
    return isinstance(table, Mapping) and first in table and (not rest or _has(table[first], rest))


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    name: str
    """Of its folder below `points/`."""
    values: Values
    run: Run

    @classmethod
    def of(cls, root: Path, name: str, values: Values, study: Study) -> Point:
        return cls(name, values, Run(RunFolder(root / "points" / name), study))

    @property
    def judged(self) -> Run:
        """The run as it is compared."""
        return self.run.judged_on(judged_split(self.run.study))

    @property
    def is_done(self) -> bool:
        """Whether it is trained and scored, by what its files say."""
        if not self.run.folder.root.is_dir() or not self.judged.folder.evaluation_card.is_file():
            return False
        try:
            return all(self.run.is_fitted(each) for each in self.run.entrants() if each.kind == "surrogate")
        except DataError:
            return False


def judged_split(study: Study) -> str:
    """The split that points are compared on: validation; of a system that has none the first test split.

    Raises:
        UsageError: There is neither.
    """
    splits = study.system.splits(study.config)
    known = [name for name in splits if name == VALIDATION or name.startswith("test")]
    if not known:
        raise UsageError("the study has no split to compare on.", "Raise splits.validation.")
    return VALIDATION if VALIDATION in known else known[0]


def work_off(point: Point, lenders: Sequence[Run], *, engine: Engine | None = None, listen: Listener = silent) -> None:
    """Bring a point to its scores; goes on where it stopped.

    What one of the lenders has computed with the same key is taken from there. Of the splits only those are simulated
    that training and comparing need: of a point that is compared on validation there are no test data to look at.

    Raises:
        EmulantError: What a stage could not do; what was finished before is kept.
    """
    run = point.run
    needed = {"training", judged_split(run.study)} & set(run.study.system.splits(run.study.config))
    stages.generate(run.study, run.folder.root, splits=needed, engine=engine, lenders=lenders, listen=listen)
    for entrant in run.entrants():
        if entrant.kind in COMPARED and not run.is_fitted(entrant):
            point.judged.folder.evaluation_card.unlink(missing_ok=True)  # scores of a model that is to be replaced
            lending.model(run, entrant, lenders)
    stages.train(run, [entrant.name for entrant in run.entrants() if entrant.kind == "surrogate"], listen=listen)
    stages.evaluate(point.judged, kinds=COMPARED, listen=listen)


def attempted(point: Point, lenders: Sequence[Run], *, engine: Engine | None = None, listen: Listener = silent) -> str:
    """Work a point off; why it failed, empty if it did not. Other points may do better: a sweep goes on.

    Raises:
        UsageError: The point's folder holds something else.
    """
    try:
        work_off(point, lenders, engine=engine, listen=listen)
    except UsageError:
        raise
    except EmulantError as error:
        return str(error)
    return ""

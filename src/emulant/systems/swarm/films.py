"""Films of a swarm's density: truth, forecast and error side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emulant.errors import UsageError
from emulant.reporting.films import Reel, comparison, film
from emulant.reporting.frames import Film
from emulant.systems.swarm.config import FAMILIES
from emulant.systems.swarm.options import RenderOptions


def of_report(run: Any) -> list[Film]:
    """One film per family of the test split, by the best surrogate; none if the study has no surrogate."""
    table = run.study.report
    if not run.study.surrogates:
        return []
    fps = {} if table.film_fps is None else {"fps": table.film_fps}
    return _films(run, RenderOptions(split=run.test_splits[0], format=table.film_format, **fps))


def render(run: Any, options: RenderOptions) -> list[Path]:
    """What `emulant render` draws; the files written."""
    return [run.folder.root / each.file for each in _films(run, options)]


def _films(run: Any, options: RenderOptions) -> list[Film]:
    model = options.surrogate or run.best()
    if options.split not in run.test_splits:
        raise UsageError(f"--split {options.split}: the run has {', '.join(run.test_splits)}.")
    dataset = run.dataset(options.split)
    known = dict(dataset.cases.select("case", "family").iter_rows())
    if options.case is not None and options.case not in known:
        raise UsageError(f"--case {options.case}: split `{options.split}` has cases {min(known)} to {max(known)}.")
    cases = _one_of_each(known) if options.case is None else [options.case]
    return [_film(run, dataset, model, case, known[case], options) for case in cases]


def _one_of_each(known: dict[int, str]) -> Sequence[int]:
    first = {family: case for case, family in sorted(known.items(), reverse=True)}
    order = [family for family in FAMILIES if family in first] or list(first)
    return [first[family] for family in order]


def _film(run: Any, dataset: Any, model: str, case: int, family: str, options: RenderOptions) -> Film:
    kept = run.prediction(model, dataset.split, case, options.start)
    read = dataset.read(["rho", "times"], [case])
    truth, times, context = read["rho"][0], read["times"][0], int(kept["context"])
    forecast = np.concatenate([truth[:context], kept["rho"]])[: len(truth)]
    suffix = f"_at_{options.start}" if options.start else ""
    reel = Reel(
        comparison(truth, forecast, model),
        times,
        context,
        f"{family.replace('_', ' ')}, {dataset.split} case {case}",
        f"`{model}` sees {context} frames and continues them on its own output.",
    )
    name = f"{model}_{dataset.split}_{case:03d}{suffix}"
    return film(reel, run.folder.root, name, fps=options.fps, format=options.format)

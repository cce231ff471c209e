"""What evaluation does with a run: who is scored on what, predictions kept and scored, the tables written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_json
from emulant.dataset.hashing import hash_value
from emulant.dataset.memory import Remembered
from emulant.dataset.seams import Dataset, Fields, resolve
from emulant.dataset.store import StoredFile
from emulant.errors import SurrogateError, UsageError
from emulant.evaluation import cases as case_tables
from emulant.evaluation import forecasts, scores
from emulant.evaluation.emulations import emulate
from emulant.evaluation.probes import probed
from emulant.runs import KINDS, Entrant, Kind, Run, sealed


def splits_to_test(run: Run) -> Sequence[str]:
    """The test splits that the study asks for; of a tree made elsewhere those that it has.

    Raises:
        UsageError: There is none.
    """
    if run.judged:
        return [run.judged]
    asked = [name for name in run.study.system.splits(run.study.config) if name.startswith("test")]
    splits = asked if run.is_ours else run.test_splits
    if not splits:
        raise UsageError(f"{run.folder.root}: there is no test split to evaluate on.", "Raise splits.test.")
    return splits


def scored(run: Run, notes: list[str], kinds: Collection[Kind] = KINDS) -> list[Entrant]:
    """Who of those kinds is scored: everybody; in a tree made elsewhere those surrogates that came with it.

    Raises:
        SurrogateError: A surrogate of our own run is not the one that the study and the data ask for.
    """
    entrants = [entrant for entrant in run.entrants() if entrant.kind in kinds]
    if run.is_ours:
        for entrant in entrants:
            if not run.is_fitted(entrant):
                raise SurrogateError(
                    f"{run.folder.root}: `{entrant.name}` is not trained, or its data or settings have changed since.",
                    f"`emulant train {run.folder.root}` does it.",
                )
        return entrants
    missing = [entrant.name for entrant in entrants if not run.is_usable(entrant)]
    if not missing:
        return entrants
    notes.append(f"not trained, so not scored: {', '.join(missing)}; `emulant train` fits them")
    return [entrant for entrant in entrants if entrant.name not in missing]


Tests = Sequence[tuple[Dataset, Any, Sequence[forecasts.Start]]]
"""The test splits, each with what is known of its cases and the starts of its forecasts."""


def tests_of(run: Run) -> tuple[Tests, list[str]]:
    system, evaluation = run.study.system, run.study.evaluation
    tests, notes = [], []
    for split in run.test_splits:
        dataset = Remembered(system.evaluated(run.dataset(split), evaluation))
        starts, said = _starts(run, dataset)
        known = system.describe(dataset, evaluation, run.folder.metrics.parent)
        tests.append((dataset, known, starts))
        notes += [f"{split}: {note}" for note in said]
    return tests, notes


def _starts(run: Run, dataset: Dataset) -> tuple[Sequence[forecasts.Start], Sequence[str]]:
    """From where a split is forecast, and what could not be as asked for."""
    if run.study.system.task == "emulation":
        return (forecasts.AT_ONCE,), ()
    warm = getattr(run.study.evaluation, "warm_starts", ()) if dataset.split == run.test_splits[0] else ()
    return forecasts.starts(forecasts.frame_times(dataset), run.study.context_frames, warm)


def predict_and_score(run: Run, entrant: Entrant, tests: Tests, scoring: Mapping[str, Any]) -> list[scores.CaseScores]:
    """The scores of one model on all test splits, from its kept predictions; these are made if they are not there."""
    table, metrics = run.study.evaluation, run.study.system.metrics
    kept = run.study.system.predictions(run.folder.predictions(entrant.name))
    key = _prediction_key(run, entrant)
    if not kept.are_for(key):
        model, written = run.model(entrant.name), list[Path]()
        for dataset, _, starts in tests:
            for start in starts:
                times = np.empty(0) if start.at_once else forecasts.frame_times(dataset)
                written += kept.write(dataset.split, start, _predicted(run, model, entrant.name, dataset, start), times)
        kept.sign(key, written)
    found = []
    for dataset, cases, starts in tests:
        numbers = cases["case"].to_list()
        probe = _probed(run, entrant, dataset, key)
        for start in starts:
            pieces = kept.read(dataset.split, start, dataset.targets, numbers, table.batch_cases)
            found.append(
                scores.score(
                    pieces,
                    dataset,
                    start,
                    metrics,
                    model=entrant.name,
                    kind=entrant.kind,
                    scoring=scoring,
                    cases=cases,
                    probe=probe,
                )
            )
    return found


def _predicted(run: Run, model: Any, name: str, dataset: Dataset, start: forecasts.Start) -> forecasts.Forecasts:
    table, seed = run.study.evaluation, run.study.config.seed
    if start.at_once:
        samples = getattr(table, "samples", 1)
        return emulate(model, dataset, samples=samples, seed=seed, name=name, batch_cases=table.batch_cases)
    frames = getattr(table, "rollout_frames", None)
    return forecasts.forecast(model, dataset, start, frames, name=name, batch_cases=table.batch_cases)


def _probed(run: Run, entrant: Entrant, dataset: Dataset, prediction_key: str) -> Fields:
    """What the system measures of a model itself on a split, (C,) each."""
    system, evaluation = run.study.system, run.study.evaluation
    if system.probe is None:
        return {}
    key = hash_value([prediction_key, dataset.split, evaluation.model_dump(mode="json")])
    return probed(
        run.folder.probe(entrant.name, dataset.split),
        key,
        lambda: resolve(system.probe)(entrant.name, run.model(entrant.name), dataset, evaluation),
    )


def _prediction_key(run: Run, entrant: Entrant) -> str:
    """Hash of all that decides the predictions: the weights, the test data, and what was asked for."""
    card, table = run.card(entrant.name), run.study.evaluation
    weights = [file.sha256 for file in card.files] if card else _hashes(run.weights(entrant))
    tests = {split: run.dataset_sha256(split) for split in run.test_splits}
    aside = {"resamples", "confidence", "horizons"}  # these come after the predictions
    return hash_value([weights, tests, run.study.context_frames, table.model_dump(mode="json", exclude=aside)])


def _hashes(folder: Path) -> list[str]:
    return [StoredFile.of(path, folder).sha256 for path in sorted(folder.glob("*.npz"))]


def tabulate(
    run: Run, found: Sequence[scores.CaseScores], cases: Mapping[str, Any], notes: Sequence[str]
) -> dict[str, Any]:
    system, table = run.study.system, run.study.evaluation
    result = scores.tabulate(found, cases, system.headline, system.metrics, table, seed=run.study.config.seed)
    scores.write(result.frame, run.folder.metrics)
    case_tables.write(case_tables.tabulate(found, cases), run.folder.case_scores)
    derived = system.derive(result.frame, run.folder.metrics.parent)
    written = (run.folder.metrics, run.folder.case_scores, *derived)
    card = {
        "files": [StoredFile.of(path, run.folder.root).model_dump() for path in written],
        "context_frames": run.study.context_frames,
        "best_baselines": result.best.to_dicts(),
        "notes": [*notes, *result.notes],
        "metrics": {
            name: {key: value for key, value in asdict(metric).items() if key != "score"}
            for name, metric in system.metrics.items()
        },
    }
    write_json(run.folder.evaluation_card, sealed(card))
    return card

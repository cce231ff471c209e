"""A search: Optuna proposes the next point from the scores of those before it, on the validation split.

`trials.journal` has the finished trials. A proposal is a pure function of the seed, the trial's number and the trials
before it, so one that a kill has cut short is proposed again, and its run folder gone on with: a killed search ends as
one that was not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from emulant.dataset.atomic import storage_error
from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Engine
from emulant.dataset.seeds import sequence
from emulant.errors import UsageError
from emulant.stages import Listener, silent
from emulant.study import Study
from emulant.sweeping.comparison import Comparison, Objective, Score
from emulant.sweeping.points import VALIDATION, Base, Point, attempted, judged_split
from emulant.sweeping.space import Range, Space, Values
from emulant.sweeping.sweep import require, told

JOURNAL = "trials.journal"
KEY, REASON = "key", "reason"


def search(
    base: Base,
    space: Space,
    root: Path,
    metric: str,
    trials: int,
    *,
    engine: Engine | None = None,
    listen: Listener = silent,
) -> Comparison:
    """So many trials in all, those of earlier calls included, and their comparison.

    Args:
        metric: One of the system's, or `loss`; on the validation split. Points have no test data.

    Raises:
        UsageError: There is no such metric, no validation split, no Optuna, or the folder holds another search.
    """
    if trials < 1:
        raise UsageError(f"--trials {trials}: there must be at least one.")
    first = base.study({key: values.low if isinstance(values, Range) else values[0] for key, values in space.items()})
    objective = Objective.of(first, metric, _surrogate(base, space, first))
    if judged_split(first) != VALIDATION:
        raise UsageError(
            "the study has no validation split, and a search must never see the test split.",
            "Raise splits.validation, or name values and compare them without --optimize.",
        )
    book = _book(root, base, space, objective)
    points, failures = [_point(root, base, trial.number, trial.params) for trial in book.trials], dict[str, str]()
    while len(points) < trials:
        listen("sweep", len(points), trials)
        values = _proposed(book, space, first.config.seed)
        points.append(point := _point(root, base, len(points), values))
        require(point)
        reason = attempted(point, [other.run for other in points[:-1]], engine=engine, listen=listen)
        book.add_trial(_finished(space, values, reason or Comparison(root, [point], objective, {}).score(point)))
    listen("sweep", trials, trials)
    failures = {
        point.name: trial.user_attrs[REASON]
        for point, trial in zip(points, book.trials, strict=True)
        if REASON in trial.user_attrs
    }
    return told(Comparison(root, points, objective, failures))


def _point(root: Path, base: Base, number: int, values: Values) -> Point:
    return Point.of(root, f"trial={number}", values, base.study(values))


def _proposed(book: Any, space: Space, seed: int) -> Values:
    """The values of the next trial."""
    import optuna

    chance = int(sequence(seed, "search", len(book.trials)).generate_state(1)[0])
    memory = optuna.create_study(direction=book.direction, sampler=optuna.samplers.TPESampler(seed=chance))
    memory.add_trials(book.trials)
    return dict(memory.ask(_distributions(space)).params)


def _finished(space: Space, values: Values, result: Score | str | None) -> Any:
    """A trial for the journal: its score, or why it has none."""
    from optuna.trial import TrialState, create_trial

    params, distributions = dict(values), _distributions(space)
    if isinstance(result, Score) and math.isfinite(result.value):
        return create_trial(value=result.value, params=params, distributions=distributions)
    reason = {REASON: result if isinstance(result, str) else "its score is not finite"}
    return create_trial(state=TrialState.FAIL, user_attrs=reason, params=params, distributions=distributions)


def _distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for key, values in space.items():
        if not isinstance(values, Range):
            found[key] = CategoricalDistribution(list(values))
        elif values.whole:
            found[key] = IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            found[key] = FloatDistribution(values.low, values.high, log=values.log)
    return found


def _book(root: Path, base: Base, space: Space, objective: Objective) -> Any:
    """Optuna's study in the folder's journal.

    Raises:
        UsageError: Optuna is not installed, or the journal is of another search.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise UsageError("--optimize needs Optuna.", "Install it by: pip install 'emulant[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = root / JOURNAL
    direction: Literal["maximize", "minimize"] = "maximize" if objective.meaning.better == "higher" else "minimize"
    try:
        root.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(path)))
        book = optuna.create_study(storage=storage, study_name="sweep", direction=direction, load_if_exists=True)
    except OSError as error:
        raise storage_error(path, error) from error
    over = {key: vars(values) if isinstance(values, Range) else list(values) for key, values in space.items()}
    key = hash_value([base.document, base.surrogates, over, objective.metric, objective.surrogate])
    if book.user_attrs.get(KEY, key) != key:
        what = f"{path}: is of another search: of another study, other ranges or another metric."
        raise UsageError(what, "Choose another folder by -o.")
    book.set_user_attr(KEY, key)
    return book


def _surrogate(base: Base, space: Space, study: Study) -> str:
    """Whose score counts: the one that is named, the one that all keys are of, or the only one.

    Raises:
        UsageError: It could be several.
    """
    owners = {key.split(".")[1] for key in space if key.startswith("surrogates.")}
    for names in (base.surrogates, owners, study.surrogates):
        if len(names) == 1:
            return next(iter(names))
    known = ", ".join(base.surrogates or study.surrogates)
    raise UsageError("--optimize: which surrogate's score counts?", f"Name one by --surrogate: {known}.")

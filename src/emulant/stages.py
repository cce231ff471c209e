"""The way through the house: generate -> train -> evaluate -> report. Read top to bottom, it is the program.

Each stage is one function and one command. It runs again if and only if its key has changed, and can be run alone on a
folder that holds the stage before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import current_process
from pathlib import Path
from threading import Thread
from typing import Any

from emulant import scoring
from emulant.claim import adopt, claim
from emulant.dataset.atomic import write_json
from emulant.dataset.environment import environment
from emulant.dataset.seams import Engine, Shard
from emulant.dataset.store import Store, StoredFile
from emulant.dataset.work import GenerateShards
from emulant.engines.local import Local, available_cores
from emulant.errors import EngineError, SimulationError, UsageError
from emulant.evaluation import scores
from emulant.folder import RunFolder
from emulant.journal import logged
from emulant.reporting.table import require_film_format
from emulant.runs import CARD_VERSION, Entrant, Run, read_json, sealed
from emulant.study import Study
from emulant.training.workshop import Trainable, Workshop

Listener = Callable[[str, int, int], None]
"""Hears of progress: what is being done, how much of it is done, how much there is."""


def _silent(_what: str, _done: int, _total: int) -> None:
    """The listener of those who do not want to hear."""


def require(study: Study) -> None:
    """See to it that all stages can be run, before the first one takes hours.

    Raises:
        UsageError: There is nothing to evaluate on, or an extra is not installed.
    """
    if not any(name.startswith("test") for name in study.system.splits(study.config)):
        raise UsageError("the study has no test case to evaluate on.", "Raise splits.test, or run `emulant generate`.")
    for choice in study.surrogates.values():
        choice.learner.require()
    if study.report.films:
        require_film_format(study.report.film_format)


def run(
    study: Study,
    folder: str | Path,
    *,
    engine: Engine | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    listen: Listener = _silent,
) -> Run:
    """Everything: simulate, fit, score, report. Goes on where it stopped.

    Raises:
        EmulantError: What a stage could not do; what was finished before is kept.
    """
    require(study)
    # While the workers simulate this process only waits: time to import what the stages after it need.
    Thread(target=import_module, args=("emulant.narrative",), daemon=True).start()
    generate(study, folder, engine=engine, fresh=fresh, retry_failed=retry_failed, listen=listen)
    opened = Run(RunFolder(Path(folder)), study)
    train(opened, listen=listen)
    evaluate(opened, listen=listen)
    report(opened, listen=listen)
    return opened


# -- generate -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds, and how much of it this call has computed."""

    split: str
    shards: int
    computed: int
    ok: int
    rejected: int
    failed: int
    complete: bool
    dataset_sha256: str
    reasons: Mapping[int, str]
    """Failed case -> why."""

    @property
    def cases(self) -> int:
        return self.ok + self.rejected + self.failed


def generate(
    study: Study,
    folder: str | Path,
    *,
    splits: Iterable[str] | None = None,
    passes: Iterable[str] | None = None,
    shards: range | None = None,
    engine: Engine | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    listen: Listener = _silent,
) -> dict[str, SplitSummary]:
    """Simulate what is missing of the study's data.

    Args:
        splits: Only these; None: all of the study.
        passes: Only these of the system's passes; None: all.
        shards: Only shards with these indices in each split.
        engine: Where shards run; None: processes of this machine, one per core.
        fresh: Throw away what the folder holds of another study.
        retry_failed: Try failed cases again.

    Raises:
        UsageError: The folder holds other data, or a split or pass is not one of the study's.
        SimulationError: More cases failed than `dataset.allowed_failures`; the others are done.
        EmulantError: A file cannot be written, or the engine gave up.
    """
    if getattr(current_process(), "_inheriting", False):
        raise EngineError(
            "a worker process has run the script that started it.",
            'Put the call under `if __name__ == "__main__":`, as Python asks of programs that start processes.',
        )
    run_folder = RunFolder(Path(folder))
    wanted = _known("split", study.system.splits(study.config), splits)
    passes = _known("pass", study.system.passes, passes)
    claim(run_folder, study, fresh)
    for split in wanted:
        Store(run_folder.split(split)).begin()  # ours from here on, though only a later pass may write into it
    engine = engine or Local(available_cores())
    work = GenerateShards(study.system, study.config, run_folder.root.absolute(), study.data_key)
    open_shards: list[Shard] = []
    retry_failed = retry_failed or study.system.mendable
    with logged(run_folder, "simulate"):
        for pass_ in passes:  # a pass may read what the one before it has written
            asked = [shard for split in wanted for shard in _chosen(study, pass_, split, shards)]
            for store in {work.store(shard) for shard in asked}:
                store.begin()
            todo = [
                shard for shard in asked if not work.store(shard).is_done(shard, work.key, retry_failed=retry_failed)
            ]
            _work_off(engine, work, asked, todo, listen)
            open_shards += todo
    summaries = {split: _summarise(study, Store(run_folder.split(split)), open_shards) for split in wanted}
    _judge(study, summaries)
    return summaries


def _known(what: str, there: Iterable[str], asked: Iterable[str] | None) -> tuple[str, ...]:
    """Those asked for, or all; in the order of the study."""
    known = tuple(there)
    wanted = set(known if asked is None else asked)
    for name in sorted(wanted - set(known)):
        raise UsageError(f"the study has no {what} `{name}`.", f"It has {', '.join(known)}.")
    return tuple(name for name in known if name in wanted)


def _chosen(study: Study, pass_: str, split: str, indices: range | None) -> Sequence[Shard]:
    shards = study.system.shards(study.config, pass_, split)
    return shards if indices is None else shards[indices.start : indices.stop]


def _work_off(
    engine: Engine, work: GenerateShards, asked: Sequence[Shard], todo: Sequence[Shard], listen: Listener
) -> None:
    cases = sum(len(shard.cases) for shard in asked)
    done = cases - sum(len(shard.cases) for shard in todo)
    listen("simulate", done, cases)
    for outcome in engine.run(todo, work):
        done += len(outcome.shard.cases)
        listen("simulate", done, cases)


def _summarise(study: Study, store: Store, computed: Sequence[Shard]) -> SplitSummary:
    """Write the manifest of a split, and what it holds."""
    system, split = study.system, store.folder.name
    shards = system.shards(study.config, system.passes[-1], split)
    sidecars = [sidecar for shard in shards if (sidecar := store.sidecar(shard.id)) is not None]
    fields = dict(system.fields)
    extra = system.manifest(study.config, split)
    digest = store.write_manifest(system.name, split, study.data_key, fields, shards, extra)
    write_json(store.folder / "environment.json", environment())
    return SplitSummary(
        split,
        shards=len(shards),
        computed=sum(shard.split == split for shard in computed),
        ok=sum(sidecar.count("ok") for sidecar in sidecars),
        rejected=sum(sidecar.count("rejected") for sidecar in sidecars),
        failed=sum(sidecar.count("failed") for sidecar in sidecars),
        complete=len(sidecars) == len(shards),
        dataset_sha256=digest,
        reasons={case.case: case.reason for s in sidecars for case in s.cases if case.status == "failed"},
    )


def _judge(study: Study, summaries: Mapping[str, SplitSummary]) -> None:
    allowed = study.config.dataset.allowed_failures
    for summary in summaries.values():
        if summary.failed > allowed * summary.cases:
            case, reason = next(iter(summary.reasons.items()))
            raise SimulationError(
                f"{summary.split}: {summary.failed} of {summary.cases} cases failed, more than the share of "
                f"{allowed:g} that dataset.allowed_failures allows; case {case}: {reason}.",
                "All others are done; `--retry-failed` tries the failed ones again.",
            )


# -- train --------------------------------------------------------------------------------------------------------


def train(run: Run, names: Sequence[str] | None = None, *, listen: Listener = _silent) -> dict[str, bool]:
    """Fit what the study asks for and the data have changed for.

    Args:
        names: Only these; None: every surrogate, baseline and oracle.

    Returns:
        Name -> whether it was fitted now (False: it was up to date).

    Raises:
        DataError: The training data are not there, or not complete.
        SurrogateError: A surrogate cannot be fitted to them.
    """
    entrants = [run.entrant(name) for name in names] if names is not None else list(run.entrants())
    for split in ("training", "validation"):
        if split == "training" or split in run.study.system.splits(run.study.config):
            run.verify(split)
    adopt(run)
    fitted = {}
    for index, entrant in enumerate(entrants):
        listen("train", index, len(entrants))
        fitted[entrant.name] = not run.is_fitted(entrant)
        if fitted[entrant.name]:
            with logged(run.folder, f"train {entrant.name}"):
                _fit(run, entrant, listen)
    listen("train", len(entrants), len(entrants))
    return fitted


def _workshop(run: Run, entrant: Entrant, listen: Listener) -> Workshop:
    """Where a network trains; a checkpoint of other settings or data is thrown away, one of these is gone on from."""
    key, folder = run.model_key(entrant), run.folder.model_card(entrant.name).parent
    mark = folder / "training.json"
    if not mark.is_file() or read_json(mark, "").get("key") != key:
        (folder / "last.ckpt").unlink(missing_ok=True)
        write_json(mark, {"key": key})
    logs = run.folder.events.parent / entrant.name
    return Workshop(entrant.name, folder, logs, run.study.config.seed, key, listen)


def _fit(run: Run, entrant: Entrant, listen: Listener) -> None:
    model, card = entrant.build(), run.folder.model_card(entrant.name)
    if isinstance(model, Trainable):
        model.workshop = _workshop(run, entrant, listen)
    if entrant.follows and run.is_usable(run.entrant(entrant.follows)):
        model.follow(run.model(entrant.follows))
    else:
        validation = run.dataset("validation") if "validation" in run.splits else None
        model.fit(run.dataset("training"), validation)
    for stale in (card, run.folder.model_readme(entrant.name)):
        stale.unlink(missing_ok=True)
    written = model.save(run.weights(entrant))
    files = [StoredFile.of(path, run.folder.models).model_dump() for path in sorted(written)]
    splits = [name for name in ("training", "validation") if name in run.splits]
    write_json(
        card,
        sealed(
            {
                "schema_version": CARD_VERSION,
                "name": entrant.name,
                "kind": entrant.kind,
                "config": entrant.settings(),
                "key": run.model_key(entrant),
                "data": {name: run.dataset_sha256(name) for name in splits},
                "files": files,
                "emulant": environment()["emulant"],
            }
        ),
    )


# -- evaluate -----------------------------------------------------------------------------------------------------


def evaluate(run: Run, *, listen: Listener = _silent) -> dict[str, Any]:
    """Roll every model out against the truth of every test split and score it.

    Predictions are kept and every score follows from them; those whose model and data have not changed are not made
    again. Baselines and oracles are fitted here if they are not yet.

    Returns:
        What `evaluation/evaluation.json` holds: which baseline is the best where, notes, units and meanings.

    Raises:
        DataError: Test data are missing or damaged.
        SurrogateError: A surrogate of the study is not trained, or puts out what is no forecast.
    """
    for split in scoring.splits_to_test(run):
        run.verify(split)
    train(run, [entrant.name for entrant in run.entrants() if entrant.kind != "surrogate"])
    tests, notes = scoring.tests_of(run)
    entrants, found = scoring.scored(run, notes), list[scores.CaseScores]()
    known = run.study.system.scoring(run)
    for index, entrant in enumerate(entrants):
        listen("evaluate", index, len(entrants))
        with logged(run.folder, f"evaluate {entrant.name}"):
            found += scoring.predict_and_score(run, entrant, tests, known)
    listen("evaluate", len(entrants), len(entrants))
    return scoring.tabulate(run, found, {dataset.split: cases for dataset, cases, _ in tests}, notes)


# -- report -------------------------------------------------------------------------------------------------------


def report(run: Run, *, listen: Listener = _silent) -> Path:
    """Draw the figures and films and write `report.json`, `report.html` and the card of every surrogate.

    Returns:
        The page.

    Raises:
        DataError: The run is not evaluated, or what it holds is damaged.
        UsageError: Films are asked for in a format whose extra is not installed.
    """
    from emulant import narrative
    from emulant.sharing.model_card import write_cards

    with logged(run.folder, "figures"):
        pictures = narrative.figures(run)
    listen("report", 1, 3)
    with logged(run.folder, "films"):
        films = narrative.films(run)
    listen("report", 2, 3)
    page = narrative.write(run, pictures, films)
    write_cards(run)
    listen("report", 3, 3)
    return page


def report_as_markdown(run: Run, target: Path | None = None) -> Path:
    """The report that `report` has written as Markdown, by default beside it.

    Returns:
        The file; away from the run folder, its figures are copied to `figures/` beside it.

    Raises:
        DataError: There is no report yet, or it is damaged.
    """
    from emulant import narrative

    return narrative.write_markdown(run, target or run.folder.report_markdown)

"""Fitting one model of a run: where it trains, with whom, and the card that says what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from emulant.dataset.atomic import write_json
from emulant.dataset.environment import environment
from emulant.dataset.store import StoredFile
from emulant.errors import EngineError
from emulant.runs import CARD_VERSION, Entrant, Run, read_json, sealed
from emulant.training import ranks
from emulant.training.table import TrainedTable
from emulant.training.workshop import MARK, Listener, Trainable, Workshop

PATIENCE = 600.0
"""Seconds that a rank waits for the first one to begin a training."""


def _workshop(run: Run, entrant: Entrant, listen: Listener) -> Workshop:
    """Where a network trains; a checkpoint of other settings or data is thrown away, one of these is gone on from."""
    key, folder = run.model_key(entrant), run.folder.model_card(entrant.name).parent
    mark = folder / MARK
    if not mark.is_file() or read_json(mark, "").get("key") != key:
        (folder / "last.ckpt").unlink(missing_ok=True)
        write_json(mark, {"key": key})
    logs = run.folder.curves(entrant.name).parent
    return Workshop(entrant.name, folder, logs, run.study.config.seed, key, listen)


def fit(run: Run, entrant: Entrant, listen: Listener) -> None:
    """Fit a model to the run's data, together with other processes if its table asks for them, and sign what it wrote.

    Raises:
        EmulantError: It cannot be fitted.
    """
    model, card = entrant.build(), run.folder.model_card(entrant.name)
    if isinstance(model, Trainable):
        model.workshop = _workshop(run, entrant, listen)
    if entrant.follows and run.is_usable(run.entrant(entrant.follows)):
        model.follow(run.model(entrant.follows))
    elif isinstance(entrant.config, TrainedTable):
        others = (sys.executable, "-m", "emulant", "train", str(run.folder.root), "--surrogate", entrant.name)
        with ranks.gathered(entrant.config.schedule(), others):
            _fitted(model, run)
    else:
        _fitted(model, run)
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


def _fitted(model: Any, run: Run) -> None:
    validation = run.dataset("validation") if "validation" in run.splits else None
    model.fit(run.dataset("training"), validation)


def follow(run: Run, entrants: Sequence[Entrant]) -> dict[str, bool]:
    """What another rank than the first does: take part where several processes train, and write nothing."""
    if ranks.here().starter == "emulant":
        ranks.end_with_leader()
    for entrant in entrants:
        config = entrant.config
        if isinstance(config, TrainedTable) and ranks.wanted(config.schedule()) > 1 and not run.is_fitted(entrant):
            model = entrant.build()
            model.workshop = _beside(run, entrant)
            _fitted(model, run)
    return {}


def _beside(run: Run, entrant: Entrant) -> Workshop:
    """The workshop of the first rank, once that has tidied it up."""
    key, folder = run.model_key(entrant), run.folder.model_card(entrant.name).parent
    deadline = time.monotonic() + PATIENCE
    while not ((folder / MARK).is_file() and read_json(folder / MARK, "").get("key") == key):
        if time.monotonic() > deadline:
            raise EngineError(f"{folder}: the first of the processes that train together does not begin.")
        time.sleep(0.1)
    return Workshop(entrant.name, folder, None, run.study.config.seed, key)

"""What one run has computed, lent to another: shards and models of the same key, by hard links.

Files of a run are never changed in place, so a link is as good as a copy and takes no room; each run stays whole by
itself when the other is deleted. Where there are no hard links (another file system) the files are copied.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from emulant.dataset.atomic import replacing
from emulant.dataset.seams import Shard
from emulant.dataset.store import Store, shard_folder
from emulant.dataset.work import GenerateShards
from emulant.errors import DataError
from emulant.runs import Entrant, ModelCard, Run
from emulant.training.workshop import MARK


def shard(work: GenerateShards, wanted: Shard, lenders: Sequence[Run], *, retry_failed: bool) -> bool:
    """Take a shard from the first lender that has it, of the same key and whole; whether one has."""
    own = work.store(wanted)
    for lender in lenders:
        other = Store(shard_folder(lender.folder.root, work.system.passes, wanted))
        sidecar = other.sidecar(wanted.id)
        if sidecar is None or not other.is_done(wanted, work.key, retry_failed=retry_failed):
            continue
        for file in sidecar.files:
            link(other.folder / file.path, own.folder / file.path)
        link(other.receipt(wanted.id), own.receipt(wanted.id))  # last: from here on the shard is done
        return True
    return False


def model(run: Run, entrant: Entrant, lenders: Sequence[Run]) -> bool:
    """Take a fitted model with its training curves from the first lender that has it; whether one has."""
    key = run.model_key(entrant)
    for lender in lenders:
        card = _card(lender, entrant.name)
        if card is None or card.key != key or any(file.fault(lender.folder.models) for file in card.files):
            continue
        run.folder.model_card(entrant.name).unlink(missing_ok=True)
        for file in card.files:
            link(lender.folder.models / file.path, run.folder.models / file.path)
        card_file = lender.folder.model_card(entrant.name)
        for path in lender.folder.curves(entrant.name), card_file.with_name(MARK), card_file:
            if path.is_file():
                link(path, run.folder.root / path.relative_to(lender.folder.root))
        return True
    return False


def _card(lender: Run, name: str) -> ModelCard | None:
    try:
        return lender.card(name)
    except DataError:
        return None


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy of it."""
    with replacing(target) as partial:
        try:
            os.link(source, partial)
        except OSError:  # another file system, or one that has no hard links
            shutil.copyfile(source, partial)

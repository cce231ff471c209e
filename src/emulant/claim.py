"""Making a folder a study's own, or refusing to: nothing that somebody has computed is overwritten by accident."""

from __future__ import annotations

import shutil
from typing import Any

from emulant import study as studies
from emulant.dataset.atomic import storage_error, write_text
from emulant.dataset.environment import environment
from emulant.dataset.store import Store
from emulant.errors import EmulantError, UsageError
from emulant.folder import RunFolder
from emulant.runs import Run
from emulant.study import Study


def claim(folder: RunFolder, study: Study, fresh: bool) -> None:
    """Make the folder this study's, or refuse.

    Raises:
        UsageError: It holds the data of another study, or data that emulant did not make.
    """
    if folder.root.exists() and not folder.root.is_dir():
        raise UsageError(f"{folder.root}: is a file, not a folder.", "Choose another folder by -o.")
    if fresh and folder.study.is_file():
        _clear(folder, study)
    _refuse_foreign(folder, study)
    _refuse_other_data(folder, study)
    _write_study(folder, study)


def adopt(run: Run) -> None:
    """Keep a run's study beside its data, so that the next command goes by the same settings.

    It may be new there (a tree that was made elsewhere), or its settings of a later stage may have been overridden.
    """
    if _former_study(run.folder) != run.study.document():
        _write_study(run.folder, run.study)


def _write_study(folder: RunFolder, study: Study) -> None:
    header = f"# Resolved by emulant {environment()['emulant']}: every default filled in. Versions used:\n"
    header += "".join(f"#   {name} {found}\n" for name, found in environment()["packages"].items())
    write_text(folder.study, f"{header}\n{study.to_toml()}")


def _clear(folder: RunFolder, study: Study) -> None:
    named = [folder.split(split) for split in study.system.splits(study.config)]
    theirs = [path for path in folder.root.iterdir() if Store(path).is_ours]
    for path in {*named, *theirs, *folder.derived()}:
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(path, error) from error


def _refuse_foreign(folder: RunFolder, study: Study) -> None:
    for split in study.system.splits(study.config):
        path = folder.split(split)
        if path.is_dir() and not Store(path).is_ours and any(path.iterdir()):
            raise UsageError(
                f"{path}: holds data that emulant did not make.",
                "`emulant train` and `evaluate` use them as they are; choose another folder by -o to simulate.",
            )


def _refuse_other_data(folder: RunFolder, study: Study) -> None:
    """Nothing is overwritten that another study has made, whether its study.toml is there, lost or damaged."""
    stores = [Store(path) for path in folder.root.iterdir()] if folder.root.is_dir() else []
    keys = {sidecar.key for store in stores if (sidecar := next(store.sidecars(), None)) is not None}
    if not keys:
        return
    mend = "Choose another folder by -o, or throw the old data away by --fresh."
    before = _former_study(folder)
    now = study.document()
    changed = list(studies.differences(studies.data_tables(before), studies.data_tables(now))) if before else []
    sizes = before.get("splits") if before else None
    shrunk = [
        f"splits.{split}"
        for split, count in (sizes if isinstance(sizes, dict) else {}).items()
        if isinstance(count, int) and count > now["splits"].get(split, 0)
    ]
    if changed or shrunk:
        different = ", ".join([*changed, *shrunk])
        raise UsageError(f"{folder.root}: holds data of another study; different: {different}.", mend)
    if keys != {study.data_key}:
        raise UsageError(
            f"{folder.root}: holds data of another study, of another version of the system `{study.system.name}`, "
            "or of source files that have changed since.",
            mend,
        )


def _former_study(folder: RunFolder) -> dict[str, Any] | None:
    """The study that the folder was last filled by; None if it is not there or cannot be read."""
    try:
        return studies.parse(folder.study, str(folder.study)) if folder.study.is_file() else None
    except EmulantError:
        return None

"""Making a folder a study's own, or refusing to: nothing that somebody has computed is overwritten by accident."""

from __future__ import annotations

import shutil
from pathlib import Path

from emulant import study as studies
from emulant.dataset.atomic import storage_error, write_text
from emulant.dataset.environment import environment
from emulant.dataset.store import Manifest, Store
from emulant.errors import EmulantError, UsageError
from emulant.folder import RunFolder
from emulant.run import Run
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
    if folder.study.is_file():
        _refuse_other_data(folder, study)
    _write_study(folder, study)


def adopt(run: Run) -> None:
    """Write the study of a tree that was made elsewhere beside its data, so that the next command knows it."""
    if not run.folder.study.is_file():
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
    try:
        before = studies.parse(folder.study, str(folder.study))
    except EmulantError as error:
        raise UsageError(f"{folder.study}: cannot be read: {error}.", "`--fresh` starts anew.") from error
    now = study.document()
    changed = list(studies.differences(studies.data_tables(before), studies.data_tables(now)))
    shrunk = [
        f"splits.{split}"
        for split, count in before.get("splits", {}).items()
        if isinstance(count, int) and count > now["splits"].get(split, 0)
    ]
    manifests = [Manifest.read(folder.split(split)) for split in study.system.splits(study.config)]
    if any(_has_cases(folder.split(split)) for split in before.get("splits", {})):
        if changed or shrunk:
            raise UsageError(
                f"{folder.root}: holds data of another study; different: {', '.join([*changed, *shrunk])}.",
                "Choose another folder by -o, or throw the old data away by --fresh.",
            )
        if any(manifest and manifest.study_sha256 != study.data_key for manifest in manifests):
            raise UsageError(
                f"{folder.root}: its data are of another version of the system `{study.system.name}`.",
                "Choose another folder by -o, or throw the old data away by --fresh.",
            )


def _has_cases(folder: Path) -> bool:
    """Whether any shard of a split is finished."""
    return next(Store(folder).sidecars(), None) is not None

"""The store of one split: which shards are done, and the manifest that is derived from them.

A shard is any number of files and one sidecar `.shards/ID.json`, written last. Done means: the sidecar is there, it was
made by the same configuration for the same cases, and every file that it names has the size and hash that it says.
There is no database and no lock file; two processes that do the same shard write the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from emulant.dataset.atomic import PARTIAL, storage_error, write_json
from emulant.dataset.hashing import hash_file, hash_value
from emulant.dataset.seams import Field, Product, Shard, ShardOutcome, Status
from emulant.errors import DataError

SCHEMA_VERSION = 1
SIDECARS = ".shards"
MANIFEST = "manifest.json"
STALE = 3600.0
"""Seconds after which nobody writes to a partial file any more."""


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path or "\0" in path or ":" in path:
        raise ValueError(f"the path {path!r} leaves its folder")
    return path


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Stored):
    """A file of a shard: its path below the split's folder."""

    path: Annotated[str, AfterValidator(_inside)]
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path, folder: Path) -> StoredFile:
        return cls(path=path.relative_to(folder).as_posix(), bytes=path.stat().st_size, sha256=hash_file(path))

    def fault(self, folder: Path, *, read: bool = True) -> str | None:
        """What is wrong with the file on disk, or None; `read = False` looks at its size only."""
        path = folder / self.path
        if not path.is_file():
            return "is missing"
        if not path.resolve().is_relative_to(folder.resolve()):
            return "is a link that leaves its folder"
        if path.stat().st_size != self.bytes:
            return f"has {path.stat().st_size} bytes where {self.bytes} were written"
        if read and hash_file(path) != self.sha256:
            return "is damaged: its sha256 is not the one that was written"
        return None


class StoredCase(_Stored):
    case: int
    status: Status
    reason: str = ""


class Sidecar(_Stored):
    """The receipt of a finished shard."""

    schema_version: int
    shard: str
    split: str
    key: str
    """Hash of the configuration that made it."""
    cases: tuple[StoredCase, ...]
    files: tuple[StoredFile, ...]
    sha256: str
    """Hash of what is reproducible: the files, and which cases are ok or rejected."""
    seconds: float

    @classmethod
    def make(cls, shard: Shard, key: str, product: Product, files: Sequence[StoredFile], seconds: float) -> Sidecar:
        cases = tuple(StoredCase(case=r.case, status=r.status, reason=r.reason) for r in product)
        return cls(
            schema_version=SCHEMA_VERSION,
            shard=shard.id,
            split=shard.split,
            key=key,
            cases=cases,
            files=tuple(files),
            sha256=_content_hash(cases, files),
            seconds=round(seconds, 4),
        )

    @property
    def intact(self) -> bool:
        """Whether the sidecar still says what it said when it was written."""
        return self.sha256 == _content_hash(self.cases, self.files)

    def count(self, status: Status) -> int:
        return sum(case.status == status for case in self.cases)

    def outcome(self, shard: Shard) -> ShardOutcome:
        return ShardOutcome(shard, self.count("ok"), self.count("rejected"), self.count("failed"), self.seconds)


def _content_hash(cases: Sequence[StoredCase], files: Sequence[StoredFile]) -> str:
    settled = sorted((case.case, case.status) for case in cases if case.status != "failed")
    return hash_value([settled, sorted((file.path, file.sha256) for file in files)])


def shard_folder(root: Path, passes: Sequence[str], shard: Shard) -> Path:
    """Where the files of a shard lie in a run: those of the last pass in the folder of their split, those of a pass
    before it in a folder of that pass."""
    return root / (shard.split if shard.pass_ == passes[-1] else shard.pass_)


@dataclass(frozen=True)
class Store:
    """The shards below one split's folder."""

    folder: Path

    @property
    def is_ours(self) -> bool:
        """Whether emulant made (or began) this folder; a tree that was made elsewhere has no sidecars."""
        return (self.folder / SIDECARS).is_dir()

    def begin(self) -> None:
        """Mark the folder as ours before the first file is written into it, and sweep out what kills have left."""
        try:
            (self.folder / SIDECARS).mkdir(parents=True, exist_ok=True)
            for path in self.folder.rglob(f"*{PARTIAL}"):
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def receipt(self, shard_id: str) -> Path:
        """Where the sidecar of a shard is."""
        return self.folder / SIDECARS / f"{shard_id}.json"

    def sidecar(self, shard_id: str) -> Sidecar | None:
        """The receipt of a shard; None if there is none. One that cannot be read counts as none."""
        try:
            sidecar = Sidecar.model_validate_json(self.receipt(shard_id).read_bytes())
        except (OSError, ValidationError):
            return None
        return sidecar if sidecar.intact else None

    def sidecars(self) -> Iterator[Sidecar]:
        """All receipts, by shard."""
        for path in sorted((self.folder / SIDECARS).glob("*.json")):
            sidecar = self.sidecar(path.stem)
            if sidecar is not None:
                yield sidecar

    def is_done(self, shard: Shard, key: str, *, read: bool = True, retry_failed: bool = False) -> bool:
        """Whether the shard needs no more work.

        Args:
            shard: The shard as the study now asks for it.
            key: Hash of the configuration that must have made it.
            read: Hash the files; otherwise look at their sizes only.
            retry_failed: A shard with failed cases is not done.
        """
        sidecar = self.sidecar(shard.id)
        return (
            sidecar is not None
            and sidecar.key == key
            and tuple(case.case for case in sidecar.cases) == shard.cases
            and not (retry_failed and sidecar.count("failed"))
            and not any(file.fault(self.folder, read=read) for file in sidecar.files)
        )

    def commit(self, shard: Shard, key: str, product: Product, files: Sequence[Path], seconds: float) -> Sidecar:
        """Write the sidecar: from here on the shard is done."""
        stored = [StoredFile.of(path, self.folder) for path in sorted(files)]
        sidecar = Sidecar.make(shard, key, product, stored, seconds)
        write_json(self.receipt(shard.id), sidecar.model_dump())
        return sidecar

    def digest(self, fields: Mapping[str, Field], shards: Sequence[Shard]) -> str:
        """`dataset_sha256`: hash of the schema and of the shards that are there."""
        hashes = [sidecar.sha256 for shard in shards if (sidecar := self.sidecar(shard.id)) is not None]
        return hash_value([{name: field.described() for name, field in fields.items()}, sorted(hashes)])

    def write_manifest(
        self,
        system: str,
        split: str,
        key: str,
        fields: Mapping[str, Field],
        shards: Sequence[Shard],
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Derive `manifest.json` from the sidecars of `shards` and what the system adds; its `dataset_sha256`.

        Any process can do it at any time, and two that do so write the same bytes.
        """
        sidecars = [sidecar for shard in shards if (sidecar := self.sidecar(shard.id)) is not None]
        schema = {name: field.described() for name, field in fields.items()}
        digest = self.digest(fields, shards)
        write_json(
            self.folder / MANIFEST,
            {
                **(extra or {}),
                "schema_version": SCHEMA_VERSION,
                "system": system,
                "split": split,
                "study_sha256": key,
                "fields": schema,
                "complete": len(sidecars) == len(shards),
                "cases": {status: sum(s.count(status) for s in sidecars) for status in ("ok", "rejected", "failed")},
                "shards": [sidecar.model_dump(exclude={"schema_version", "split", "key"}) for sidecar in sidecars],
                "dataset_sha256": digest,
            },
        )
        return digest


class Manifest(_Stored):
    """What `manifest.json` says. Older readers refuse newer files by `schema_version`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    system: str
    split: str
    study_sha256: str
    complete: bool
    cases: dict[str, int]
    fields: dict[str, Any]
    dataset_sha256: str

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a split's folder, None if it has none.

        Raises:
            DataError: It is damaged, or was written by a newer emulant.
        """
        path = folder / MANIFEST
        try:
            manifest = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise DataError(
                f"{path}: is not a manifest.", "`emulant generate` writes it anew from the shards."
            ) from error
        if manifest.schema_version > SCHEMA_VERSION:
            raise DataError(
                f"{path}: has schema version {manifest.schema_version}; this emulant reads {SCHEMA_VERSION}.",
                "Update emulant.",
            )
        return manifest

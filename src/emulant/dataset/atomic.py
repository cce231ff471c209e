"""Files that are either whole or not there.

Protocol: write `NAME.<random>.partial` in the same folder, flush and fsync it, rename it over NAME, fsync the folder.
Whatever is killed at whatever moment, a reader sees the old file, the new file or none. Readers ignore `*.partial`.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from emulant.errors import DataError

PARTIAL = ".partial"

_MENDS = {
    errno.ENOSPC: "Free some space; the same command then goes on where it was.",
    errno.EDQUOT: "Your quota is used up; free some space, and the same command then goes on where it was.",
    errno.EROFS: "The file system is read-only; choose another folder.",
    errno.EACCES: "You may not write there; choose another folder or change its permissions.",
    errno.EPERM: "You may not write there; choose another folder or change its permissions.",
    errno.ENOTDIR: "A part of that path is a file; choose another folder.",
}


def storage_error(path: Path, error: OSError) -> DataError:
    """The error that a person reads when the operating system refuses to write `path`."""
    mend = _MENDS.get(error.errno or 0, "Nothing that was finished before is lost.")
    return DataError(f"{path}: cannot be written: {error.strerror or error}.", mend)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a partial path to write to; on success it becomes `path`, on any error it is removed.

    Args:
        path: The file to be.
        durable: Wait until the bytes are on the disk. Without it a power cut, though no kill, may leave a torn file:
            for files that are checked by their hash before use and cheap to make again.

    Raises:
        DataError: The operating system refused (disk full, read-only, no permission).
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if durable:
            sync(partial)
        partial.replace(path)
        if durable:
            sync(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):  # gone already when it was renamed; on a dead disk there is nothing to tidy
            partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> Path:
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    return write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> Path:
    """JSON with sorted keys and two spaces: the same value gives the same bytes. NaN and inf become null."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return write_bytes(path, orjson.dumps(value, option=options))


def write_npz(path: Path, arrays: Mapping[str, Any], *, durable: bool = True) -> Path:
    """An uncompressed NPZ. numpy gives every entry the same date, so equal arrays give equal bytes.

    Raises:
        TypeError: An array has Python objects in it and would need pickle.
    """
    values = {name: np.asarray(array) for name, array in arrays.items()}
    objects = [name for name, array in values.items() if array.dtype.hasobject]
    if objects:
        raise TypeError(f"{path}: {', '.join(objects)} would need pickle, which emulant never writes")
    with replacing(path, durable=durable) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **values)
    return path

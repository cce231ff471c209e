"""Hashes of files and of plain values."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson


def hash_file(path: Path) -> str:
    """sha256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_value(value: Any) -> str:
    """sha256 of a value made of JSON types, as hex; the order of keys does not matter."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()

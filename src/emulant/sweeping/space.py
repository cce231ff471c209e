"""What a sweep goes over: `--over key=a,b,c` names values, `--over key=LOW..HIGH` a range for a search."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from emulant.dataset.hashing import hash_value
from emulant.errors import UsageError
from emulant.study import value_of


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if both ends are whole."""

    low: float
    high: float
    log: bool = False
    """Equal factors count alike, not equal differences."""

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


Space: TypeAlias = Mapping[str, Sequence[Any] | Range]
"""Dotted key of the study -> the values it takes, or their range."""
Values: TypeAlias = Mapping[str, Any]
"""Dotted key -> the value of one point."""

_RANGE = re.compile(r"\s*(?P<low>[^,\s]+?)\.\.(?P<high>[^,\s:]+)(?P<log>:log)?\s*")
_LONGEST_NAME = 120


def read(over: Sequence[str]) -> Space:
    """The space of `key=a,b,c` and `key=LOW..HIGH[:log]`; values as TOML, commas within brackets separate nothing.

    Raises:
        UsageError: One is not of that form, or names a key or a value twice.
    """
    space: dict[str, Sequence[Any] | Range] = {}
    for text in over:
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals or not key or not values.strip():
            raise UsageError(f"--over {text}: is not of the form key=a,b,c or key=LOW..HIGH.")
        if key in space:
            raise UsageError(f"--over {text}: `{key}` stands there twice.")
        space[key] = _range(text, values) or [value_of(part) for part in _parts(values)]
    return checked(space)


def checked(space: Space) -> Space:
    """The space, if no value comes twice.

    Raises:
        UsageError: One does, or there is nothing to go over.
    """
    if not space:
        raise UsageError("a sweep needs something to go over.", "Such as --over training.learning_rate=1e-3,1e-4.")
    for key, values in space.items():
        if isinstance(values, Range):
            continue
        texts = [_text(value) for value in values]
        if not texts or len(set(texts)) < len(texts):
            raise UsageError(f"--over {key}: {'the same value stands there twice' if texts else 'has no value'}.")
    return space


def grid(space: Space) -> Iterator[Values]:
    """All combinations, the last key fastest.

    Raises:
        UsageError: One of the keys has a range.
    """
    lists: list[Sequence[Any]] = []
    for key, values in space.items():
        if isinstance(values, Range):
            raise UsageError(f"--over {key}: a range is for a search.", "Name values, or add --optimize METRIC.")
        lists.append(values)
    for combination in product(*lists):
        yield dict(zip(space, combination, strict=True))


def name(values: Values) -> str:
    """A folder's name, `key=value,key=value`: of equal values always the same, of others another."""
    plain = ",".join(f"{key}={_text(value)}" for key, value in values.items())
    safe = re.sub(r"[^\w.,=+-]", "_", plain)
    if safe == plain and len(safe) <= _LONGEST_NAME:
        return safe
    return f"{safe[:_LONGEST_NAME]}-{hash_value(json.dumps(dict(values), default=str))[:8]}"


def _range(text: str, values: str) -> Range | None:
    found = _RANGE.fullmatch(values)
    if found is None:
        return None
    low, high, log = value_of(found["low"]), value_of(found["high"]), bool(found["log"])
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        return None
    if not low < high or (log and low <= 0):
        raise UsageError(f"--over {text}: a range needs LOW < HIGH, and with :log 0 < LOW.")
    return Range(low, high, log)


def _parts(values: str) -> list[str]:
    """The text cut at its commas, but for those within brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in values:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += (letter in "[{") - (letter in "]}") if not quote else 0
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)

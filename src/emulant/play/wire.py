"""How an answer travels: a JSON head, then the numbers as they lie in memory, so that a page reads them without a copy.

uint32      bytes of the head, filled up with blanks so that the arrays begin at a multiple of 8
head        {"facts": {...}, "arrays": {name: {"dtype", "shape", "offset"}}}; offsets count from the head's end
arrays      little-endian float32, int32 or uint8, each at a multiple of 8
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson

from emulant.play.parts import Answer

ALIGNED = 8
_AS_THEY_ARE = ("uint8", "int32")


def encoded(answer: Answer) -> bytes:
    """An answer as bytes. What is too large for float32 becomes infinite; facts that are not finite become null."""
    head: dict[str, Any] = {}
    parts: list[bytes] = []
    offset = 0
    for name, array in answer.arrays.items():
        plain = _plain(array)
        head[name] = {"dtype": plain.dtype.name, "shape": plain.shape, "offset": offset}
        parts.append(_filled(plain.tobytes(), b"\0"))
        offset += len(parts[-1])
    text = orjson.dumps({"facts": answer.facts, "arrays": head}, option=orjson.OPT_SERIALIZE_NUMPY)
    text += b" " * (-(len(text) + 4) % ALIGNED)
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def _plain(array: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(array)
    dtype = array.dtype if array.dtype.name in _AS_THEY_ARE else np.dtype(np.float32)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype.newbyteorder("<"))


def _filled(content: bytes, by: bytes) -> bytes:
    return content + by * (-len(content) % ALIGNED)

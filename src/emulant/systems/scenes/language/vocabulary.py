"""The tokens of the scene language and how numbers are spelled. The names of all tokens are the tokenizer's identity.

A number is a whole number of quanta. Up to `REACH` it is one token; beyond, ESCAPE and three digits to the base 128.
Places on the canvas, which are never small, are two digits at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Array
from emulant.errors import SurrogateError

BASE, REACH, OBJECTS = 128, 1023, 1024
NAMES = (
    *("padding", "free", "still", "escape", "world", "scene", "gravity"),
    *("disc", "box", "segment", "circle", "polygon", "pin", "pivot", "central", "mutual", "first"),
)
"""Tokens that are words. `free`: it flies on; `still`: it stays where it is. Both stand for six numbers."""
PADDING, FREE, STILL, ESCAPE, WORLD = range(5)
WORDS = {name: number for number, name in enumerate(NAMES)}
DIGIT = len(NAMES)
ZERO = DIGIT + BASE + REACH
"""The number 0; n is at ZERO + n."""
OBJECT = ZERO + REACH + 1
SIZE = OBJECT + OBJECTS
IDENTITY = hash_value([*NAMES, BASE, REACH, OBJECTS])
"""Weights that were trained with tokens of another identity are refused."""

WIDTH = 4
"""Tokens that the longest number takes."""
NOTHING = -1
"""In arrays of spelled numbers, where a number has no further token."""
_HALF = BASE**3 // 2
_ORIGIN = 4096
"""Quanta left of and below the canvas that a place can be spelled at."""
_SIGNED = np.array([BASE**2, BASE, 1])

OPENING, NUMBER, DIGITS = 0, 1, 2
"""What may come where: the opening of a body's entry, a number, a digit."""


def allowed() -> Array:
    """(3, SIZE) bool: the tokens that the grammar allows at an opening, for a number, for a digit."""
    legal = np.zeros((3, SIZE), dtype=bool)
    legal[: NUMBER + 1, ESCAPE] = True
    legal[: NUMBER + 1, ZERO - REACH : ZERO + REACH + 1] = True
    legal[OPENING, [FREE, STILL]] = True
    legal[DIGITS, DIGIT : DIGIT + BASE] = True
    return legal


def spelled(numbers: Array) -> Array:
    """(...) whole numbers -> (..., WIDTH) tokens, `NOTHING` where a number is shorter.

    Raises:
        SurrogateError: A number is too large to be spelled, or not finite.
    """
    if not ((numbers >= -_HALF) & (numbers < _HALF)).all():
        raise SurrogateError("scenes: a number is too large for the scene language.", "Is the scene out of bounds?")
    whole = np.asarray(numbers).astype(np.int64)[..., None]
    long = np.abs(whole) > REACH
    digits = DIGIT + (whole + _HALF) // _SIGNED % BASE
    opening = np.where(long, ESCAPE, ZERO + whole)
    return np.concatenate([opening, np.where(long, digits, NOTHING)], axis=-1)


def placed(quanta: Array) -> Array:
    """(...) -> (..., 2) tokens of places on the canvas.

    Raises:
        SurrogateError: A place is too far off the canvas.
    """
    shifted = np.asarray(quanta) + _ORIGIN
    if not ((shifted >= 0) & (shifted < BASE**2)).all():
        raise SurrogateError("scenes: a place is too far off the canvas for the scene language.")
    whole = shifted.astype(np.int64)
    return np.stack([DIGIT + whole // BASE, DIGIT + whole % BASE], axis=-1)


def number_of(tokens: Sequence[int]) -> int:
    """What `spelled` has spelled; the tokens of one number."""
    if tokens[0] != ESCAPE:
        return tokens[0] - ZERO
    return int(np.dot(np.array(tokens[1:WIDTH]) - DIGIT, _SIGNED)) - _HALF


def place_of(tokens: Sequence[int]) -> int:
    """What `placed` has spelled."""
    return (tokens[0] - DIGIT) * BASE + tokens[1] - DIGIT - _ORIGIN


def joined(slots: Array) -> Array:
    """The tokens of an array in order, without those that are `NOTHING`."""
    return np.asarray(slots[slots != NOTHING])

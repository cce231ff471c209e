"""The tokens of the scene language and how numbers are spelled. The names of all tokens are the tokenizer's identity.

A number is a whole number of quanta. Small ones are one token each; up to a thousand or so it takes two, how many times
64 and what is over, so that a model meets each token often; beyond, ESCAPE and three digits to the base 128. Places on
the canvas, which are never small, are two digits at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Array
from emulant.errors import SurrogateError

BASE, FINE, COARSE, OBJECTS = 128, 64, 16, 1024
SMALL = FINE // 2 - 1
REACH = FINE * COARSE + SMALL
"""The largest numbers that one token spells, and two."""
NAMES = (
    *("padding", "on", "fall", "still", "escape", "world", "scene", "gravity"),
    *("disc", "box", "segment", "circle", "polygon", "pin", "pivot", "central", "mutual", "first"),
)
"""Tokens that are words. `on`: a body goes on as it went; `fall`: it flies freely from now on; `still`: it stays where
it is. Each stands for six numbers."""
PADDING, ON, FALL, STILL, ESCAPE, WORLD = range(6)
WORDS = {name: number for number, name in enumerate(NAMES)}
DIGIT = len(NAMES)
ZERO = DIGIT + BASE + SMALL
"""The number 0; n is at ZERO + n."""
TIMES = ZERO + SMALL + 1 + COARSE
"""No times 64; k times 64 is at TIMES + k."""
NUMBERS_IN_ORDER = (
    *range(TIMES - COARSE, TIMES),
    *range(ZERO - SMALL, ZERO + SMALL + 1),
    *range(TIMES + 1, TIMES + COARSE + 1),
)
"""The tokens that a number may begin with, but for ESCAPE, by the number."""
OBJECT = TIMES + COARSE + 1
SIZE = OBJECT + OBJECTS
IDENTITY = hash_value([*NAMES, BASE, FINE, COARSE, OBJECTS])
"""Weights that were trained with tokens of another identity are refused."""

WIDTH = 4
"""Tokens that the longest number takes."""
NOTHING = -1
"""In arrays of spelled numbers, where a number has no further token."""
_HALF = BASE**3 // 2
_ORIGIN = 4096
"""Quanta left of and below the canvas that a place can be spelled at."""
_SIGNED = np.array([BASE**2, BASE, 1])
PLACES = (1 - _ORIGIN, BASE**2 - _ORIGIN - 1)
NUMBERS = (-_HALF // 2, _HALF // 2)
"""The quanta that places and other numbers of a scene are kept within, so that they can be told."""

OPENING, NUMBER, REST, DIGITS = range(4)
"""What may come where: the opening of a body's entry, a number, what is over 64s, a digit."""


def allowed() -> Array:
    """(4, SIZE) bool: the tokens that the grammar allows at each kind of place."""
    legal = np.zeros((4, SIZE), dtype=bool)
    legal[: NUMBER + 1, ESCAPE] = True
    legal[: NUMBER + 1, ZERO - SMALL : OBJECT] = True
    legal[: NUMBER + 1, TIMES] = False
    legal[OPENING, [ON, FALL, STILL]] = True
    legal[REST, DIGIT : DIGIT + FINE] = True
    legal[DIGITS, DIGIT : DIGIT + BASE] = True
    return legal


def rest_of(opening: int) -> tuple[int, ...]:
    """The kinds of places that follow the first token of a number."""
    if opening == ESCAPE:
        return (DIGITS,) * (WIDTH - 1)
    return (REST,) if opening > ZERO + SMALL else ()


def spelled(numbers: Array) -> Array:
    """(...) whole numbers -> (..., WIDTH) tokens, `NOTHING` where a number is shorter.

    Raises:
        SurrogateError: A number is too large to be spelled, or not finite.
    """
    if not ((numbers >= -_HALF) & (numbers < _HALF)).all():
        raise SurrogateError("scenes: a number is too large for the scene language.", "Is the scene out of bounds?")
    whole = np.asarray(numbers).astype(np.int64)[..., None]
    times = (whole + FINE // 2) // FINE
    long, two = np.abs(times) > COARSE, times != 0
    opening = np.where(long, ESCAPE, np.where(two, TIMES + times, ZERO + whole))
    over = np.where(two, DIGIT + whole + FINE // 2 - FINE * times, NOTHING)
    digits = DIGIT + (whole + _HALF) // _SIGNED % BASE
    short = np.concatenate([over, np.full((*over.shape[:-1], WIDTH - 2), NOTHING)], axis=-1)
    return np.concatenate([opening, np.where(long, digits, short)], axis=-1)


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
    if len(tokens) == 1:
        return tokens[0] - ZERO
    if len(tokens) == 2:
        return FINE * (tokens[0] - TIMES) + tokens[1] - DIGIT - FINE // 2
    return int(np.dot(np.array(tokens[1:WIDTH]) - DIGIT, _SIGNED)) - _HALF


def place_of(tokens: Sequence[int]) -> int:
    """What `placed` has spelled."""
    return (tokens[0] - DIGIT) * BASE + tokens[1] - DIGIT - _ORIGIN


def joined(slots: Array) -> Array:
    """The tokens of an array in order, without those that are `NOTHING`."""
    return np.asarray(slots[slots != NOTHING])

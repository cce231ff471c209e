"""The inverse of `documents`: tokens back to the whole numbers that they spell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from emulant.dataset.seams import Array, Fields
from emulant.errors import SurrogateError
from emulant.systems.scenes.language.residuals import QUANTA, expected, flying, moved
from emulant.systems.scenes.language.vocabulary import (
    DIGIT,
    FALL,
    NAMES,
    OBJECT,
    ON,
    STILL,
    WORDS,
    number_of,
    place_of,
    rest_of,
)

PLACES = {"segment": 2, "circle": 1, "polygon": 4, "central": 1, "mutual": 1}
NUMBERS = {"gravity": 3, "segment": 5, "circle": 5, "polygon": 5, "central": 2, "mutual": 2, "pin": 5, "pivot": 5}
BODY_NUMBERS = 5


class Read(NamedTuple):
    """What a document says."""

    header: list[tuple[str, list[int]]]
    """Word by word, the numbers after it: quanta, and in joints first the tokens of what is tied."""
    states: Array
    """(T, N, 6): the first frame and all after it, decoded."""


def read(tokens: Array, static: Fields, row: int) -> Read:
    """Decode a document of *all* bodies of scene `row`, in their order; the fields say what acts on them.

    Raises:
        SurrogateError: The tokens are no document.
    """
    try:
        return _read(_Cursor([int(token) for token in tokens]), static, row)
    except (IndexError, KeyError) as error:
        raise SurrogateError("scenes: these tokens are no document of the scene language.") from error


class _Cursor:
    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.place = tokens, 0

    @property
    def left(self) -> bool:
        return self.place < len(self.tokens)

    def take(self, count: int = 1) -> list[int]:
        if self.place + count > len(self.tokens):
            raise IndexError(self.place)
        self.place += count
        return self.tokens[self.place - count : self.place]

    def number(self) -> int:
        opening = self.take()
        return number_of([*opening, *self.take(len(rest_of(opening[0])))])

    def numbers(self, count: int) -> list[int]:
        return [self.number() for _ in range(count)]

    def places(self, count: int) -> list[int]:
        return [place_of(self.take(2)) for _ in range(2 * count)]


def _read(cursor: _Cursor, static: Fields, row: int) -> Read:
    header = list(_header(cursor))
    bodies = sum(word in ("disc", "box") for word, _ in header)
    one = {name: array[row : row + 1] for name, array in static.items()}
    padding = one["body_kind"].shape[1] - bodies
    first = np.zeros((1, bodies + padding, 6))
    for body in range(bodies):
        cursor.take()
        x, y = cursor.places(1)
        vx, vy, angle, omega = cursor.numbers(4)
        first[0, body] = x, y, angle, vx, vy, omega
    states = [first * QUANTA]
    aloft = np.ones(first.shape[:2], dtype=bool)
    while cursor.left:
        likely, words = expected(states[-1], aloft, one)
        changes = np.zeros_like(likely)
        for body in range(bodies):
            changes[0, body] = _entry(cursor, words[0, :, body])
        states.append(moved(likely, changes, one))
        aloft = flying(changes, words)
    return Read(header, np.concatenate(states)[:, :bodies])


def _header(cursor: _Cursor) -> Iterator[tuple[str, list[int]]]:
    """Up to the word `first`."""
    if cursor.take() != [WORDS["scene"]]:
        raise KeyError("scene")
    while True:
        (token,) = cursor.take()
        if token >= OBJECT:
            (kind,) = cursor.take()
            yield NAMES[kind], cursor.numbers(BODY_NUMBERS)
            continue
        if token >= DIGIT:
            raise KeyError(token)
        word = NAMES[token]
        if word == "first":
            return
        ends = cursor.take(2) if word in ("pin", "pivot") else []
        yield word, [*ends, *cursor.places(PLACES.get(word, 0)), *cursor.numbers(NUMBERS[word])]


def _entry(cursor: _Cursor, words: Array) -> Array:
    """(6,) changes; `words` (2, 6) are those that FALL and STILL stand for."""
    cursor.take()
    if cursor.tokens[cursor.place] in (ON, FALL, STILL):
        (word,) = cursor.take()
        return np.zeros(6) if word == ON else words[0 if word == FALL else 1]
    return np.array(cursor.numbers(6))

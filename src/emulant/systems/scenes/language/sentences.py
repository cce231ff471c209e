"""Plain text as a language of scenes: what `emulant export --format text` writes, in a language model's own tokens.

The document is the setting and then a line for each frame. Words are given, a model says the numbers, all six of each
body; the grammar of decimal numbers leaves no body and no number out. A number is told character by character, so that
any tokenizer that has the ten digits, point and minus serves.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Hashable
from functools import lru_cache
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Array, Fields
from emulant.errors import SurrogateError
from emulant.systems.scenes.language.residuals import QUANTA, bounded
from emulant.systems.scenes.language.tongues import Document, Row, Talk, room_of
from emulant.systems.scenes.text import SLOTS, Slot, frame_parts, openings, setting_text

DIGITS = "0123456789"
LETTERS = DIGITS + ".-"
END = "|"
"""Stands for the end of a number that has no decimals: the first token of the words after it."""
LONGEST = 5
"""Digits before the point that a model may say."""
_ENTRY = "; object 100 rectangle at (123.4, 123.4) angle -12.34 moving (-1234, -123) turning -12.35"
"""As long as entries usually are at most."""


class Spelling(Protocol):
    """A tokenizer."""

    size: int
    start: list[int]
    """What a text begins with."""

    def encode(self, text: str) -> list[int]:
        """Its tokens."""


class Bytes:
    """Each byte a token: for networks that know no language yet."""

    size = 256
    start: list[int] = []  # noqa: RUF012

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


class Shown(NamedTuple):
    """States as they are written."""

    decoded: Array
    """(C, T, N, 6), multiples of `QUANTA`."""


class Sentences:
    """Scenes in sentences."""

    def __init__(self, spelling: Spelling) -> None:
        """Raises SurrogateError: The tokenizer lacks a digit, the point or the minus."""
        self.spelling, self.size = spelling, spelling.size
        self.words = lru_cache(maxsize=4096)(lambda text: tuple(spelling.encode(text)))
        """The tokens of some words."""
        spelled = {letter: spelling.encode(letter) for letter in LETTERS}
        if any(len(tokens) != 1 for tokens in spelled.values()):
            raise SurrogateError("lfm2: its tokenizer has no token for each digit, the point and the minus.")
        self.tokens = {letter: token for letter, (token,) in spelled.items()}
        self.letters = {token: letter for letter, token in self.tokens.items()}
        self.legal = lru_cache(maxsize=64)(self._legal)

    @property
    def identity(self) -> str:
        return hash_value([self.size, *self.spelling.start, *self.spelling.encode(_ENTRY), *self.letters])

    def first(self, vocabulary: int) -> int:
        return 0

    def tell(self, states: Array, static: Fields) -> Shown:
        return Shown(bounded(np.rint(states / QUANTA) * QUANTA))

    def document(self, static: Fields, told: Shown, row: int, bodies: Array, own: int, first_said: int) -> Document:
        """See `documents.document`."""
        fields = {name: array[row] for name, array in static.items()}
        tokens = [*self.spelling.start, *self.words(setting_text(fields, bodies))]
        said, ends = [False] * len(tokens), False
        kinds = fields["body_kind"][bodies].tolist()
        for number, state in enumerate(told.decoded[row], 1):
            for place, (before, spoken) in enumerate(frame_parts(kinds, state[bodies], number)):
                given, letters = self.words(_line(before, place)), [self.tokens[letter] for letter in spoken]
                speaks = number > first_said and place < own * len(SLOTS)
                tokens += [*given, *letters]
                said += [ends, *[False] * (len(given) - 1), *[speaks] * len(letters)]
                ends = speaks and not SLOTS[place % len(SLOTS)].decimals
        return Document(np.array(tokens), np.array(said))

    def room(self, scene: Fields, frames: int, context_tokens: int) -> int:
        bodies = np.flatnonzero(scene["body_kind"])
        shared = len(self.words(setting_text(scene, bodies[:0])))
        setting = len(self.words(setting_text(scene, bodies))) - shared
        entry = sum(len(self.words(part)) for part in re.split(r"([-.\d])", _ENTRY))
        return room_of(context_tokens, shared, -(-setting // len(bodies)) + entry * frames)

    def turns(self, told: Shown, chosen: Array, static: Fields) -> SentenceTurns:
        return SentenceTurns(self, told.decoded[chosen, -1], static, told.decoded.shape[1])

    def decided(self, likely: Tensor) -> Tensor:
        """The likeliest ones."""
        return likely.argmax(dim=1)

    def _legal(self, kind: Hashable) -> Tensor:
        """`kind` is of `SentenceTurns.number`: the letters that may come, and the words after the number."""
        letters, after = cast(tuple[str, str], kind)
        legal = torch.zeros(self.size, dtype=torch.bool)
        legal[[self.words(after)[0] if letter == END else self.tokens[letter] for letter in letters]] = True
        return legal


class SentenceTurns:
    """States that are said outright."""

    def __init__(self, tongue: Sentences, state: Array, static: Fields, number: int) -> None:
        self.tongue, self.said, self.static, self.number = tongue, state.copy(), static, number

    def begin(self) -> None:
        self.number += 1

    def talk(self, row: Row, place: int) -> Talk:
        kinds = self.static["body_kind"][place]
        for name, body in enumerate(row.group.bodies[: row.group.own]):
            words = openings(kinds[body], name, self.number)
            for slot, before, after in zip(SLOTS, words, [*words[1:], ""], strict=True):
                row.unread = [*row.unread, *self.tongue.words(_line(before, name or slot.axis))]
                spoken = yield from self._number(row, slot, after)
                self.said[place, body, slot.axis] = float(spoken)

    def _number(self, row: Row, slot: Slot, after: str) -> Generator[tuple[list[int], Hashable], int, str]:
        """What a model says of a number; `after` are the words that follow it."""
        spoken = ""
        while letters := following(spoken, slot):
            letter = letters
            if len(letters) > 1:
                token = yield row.unread, (letters, after)
                row.unread, letter = [], self.tongue.letters.get(token, END)
            if letter == END:  # the token of an end is the first one of the words after it
                break
            spoken += letter
            row.unread = [*row.unread, self.tongue.tokens[letter]]
        return spoken

    def overheard(self, row: Row, place: int) -> list[int]:
        bodies = row.group.bodies
        parts = frame_parts(self.static["body_kind"][place, bodies].tolist(), self.said[place, bodies], self.number)
        others = list(parts)[row.group.own * len(SLOTS) :]
        return [
            token
            for before, spoken in others
            for token in (*self.tongue.words(before), *(self.tongue.tokens[letter] for letter in spoken))
        ]

    def end(self) -> Array:
        self.said = bounded(self.said)
        return self.said.copy()


def _line(before: str, place: int) -> str:
    """The words before a number; those of a frame's first one are on a new line."""
    return before if place else f"\n{before}"


def following(spoken: str, slot: Slot) -> str:
    """The letters that may follow what has been spoken of a number; none if it is complete."""
    whole, point, decimals = spoken.removeprefix("-").partition(".")
    if not whole:
        return DIGITS if spoken else f"-{DIGITS}"
    if point:
        return {0: "", 1: slot.last}.get(slot.decimals - len(decimals), DIGITS)
    more = "" if whole == "0" or len(whole) == LONGEST else DIGITS
    return more + ("." if slot.decimals else END)

"""What a language for scenes is: how documents are written in it, and how a model is let speak it.

There are two: `compact`, of tokens of our own, and `sentences`, plain text in the tokens of a language model.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from torch import Tensor

from emulant.dataset.seams import Array, Fields
from emulant.errors import SurrogateError
from emulant.systems.scenes.language.groups import Group

Talk: TypeAlias = Generator[tuple[list[int], Hashable], int, None]
"""Yields tokens to be read and what kind of token is to follow; is sent that token."""


class Document(NamedTuple):
    """Tokens, and which of them a model has to say."""

    tokens: Array
    """(L,)"""
    said: Array
    """(L,) bool"""


@dataclass
class Row:
    """A group of bodies that is being continued, and what its model has not yet read."""

    scene: int
    group: Group
    unread: list[int] = field(default_factory=list)


class Turns(Protocol):
    """Some scenes, spoken of frame by frame: begun, each row's own bodies, what others hear of them, ended."""

    def begin(self) -> None: ...

    def talk(self, row: Row, place: int) -> Talk:
        """The entries of a row's own bodies; `place` is that of its scene."""

    def overheard(self, row: Row, place: int) -> list[int]:
        """The entries of the bodies that a row is only shown."""

    def end(self) -> Array:
        """(C, N, 6): the states that were said."""


class Tongue(Protocol):
    """A language for scenes."""

    size: int
    """Tokens."""

    @property
    def identity(self) -> str:
        """Weights that were trained with tokens of another identity are refused."""

    def first(self, vocabulary: int) -> int:
        """Where its tokens begin among those of a language model."""

    def tell(self, states: Array, static: Fields) -> Any:
        """States (C, T, N, 6) as `document` wants them; `decoded` are those that are read out of it again."""

    def document(self, static: Fields, told: Any, row: int, bodies: Array, own: int, first_said: int) -> Document:
        """See `documents.document`."""

    def room(self, scene: Fields, frames: int, context_tokens: int) -> int:
        """How many bodies of a scene a context holds for that many frames."""

    def turns(self, told: Any, chosen: Array, static: Fields) -> Turns:
        """To go on with some of the scenes that were told; `static` are the fields of those alone."""

    def legal(self, kind: Hashable) -> Tensor:
        """(size,) bool: what the grammar allows at a kind of place."""

    def decided(self, likely: Tensor) -> Tensor:
        """(B,) tokens for probabilities (B, size)."""


def room_of(context_tokens: int, shared: int, body: int) -> int:
    """How many bodies a context holds, at so many tokens that all share and so many a body.

    Raises:
        SurrogateError: It does not even hold one.
    """
    if context_tokens < shared + body:
        raise SurrogateError(
            f"scenes: a context of {context_tokens} tokens does not hold one body of such a scene.",
            f"Raise context_tokens to at least {shared + body}.",
        )
    return (context_tokens - shared) // body

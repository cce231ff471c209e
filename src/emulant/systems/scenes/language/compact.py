"""The compact language as it is spoken: a model says changes of velocity, code does the rest."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Fields
from emulant.systems.scenes.language.documents import document, entries, header
from emulant.systems.scenes.language.residuals import Told, bounded, expected, flying, moved, tell
from emulant.systems.scenes.language.tongues import Row, Talk, room_of
from emulant.systems.scenes.language.vocabulary import (
    BASE,
    DIGIT,
    FALL,
    IDENTITY,
    NUMBER,
    NUMBERS_IN_ORDER,
    OBJECT,
    ON,
    OPENING,
    SIZE,
    STILL,
    ZERO,
    allowed,
    joined,
    number_of,
    rest_of,
)

FRAME_TOKENS = 7
"""Of a body's entry, without escapes."""
BODY_TOKENS = 24
"""Of a body in the header and in the first frame, with a few escapes."""


class Compact:
    """See `documents` and `vocabulary`."""

    size = SIZE
    identity = IDENTITY
    tell = staticmethod(tell)
    document = staticmethod(document)

    def __init__(self) -> None:
        self._legal = torch.from_numpy(allowed())

    def first(self, vocabulary: int) -> int:
        """The last ones, which usual text hardly ever needs."""
        return vocabulary - SIZE

    def room(self, scene: Fields, frames: int, context_tokens: int) -> int:
        shared = len(joined(header(scene, np.zeros(0, dtype=np.int64))))
        return room_of(context_tokens, shared, BODY_TOKENS + FRAME_TOKENS * (frames - 1))

    def turns(self, told: Told, chosen: Array, static: Fields) -> CompactTurns:
        return CompactTurns(told.decoded[chosen, -1], told.aloft[chosen], static)

    def legal(self, kind: Hashable) -> Tensor:
        return self._legal[kind]  # type: ignore[index]

    def decided(self, likely: Tensor) -> Tensor:
        """The likeliest word, or if numbers together are likelier, their median.

        A number is one of many, so each by itself is seldom the likeliest answer even where some number is sure to be.
        """
        words, digits, ordered = likely.clone(), slice(DIGIT, DIGIT + BASE), torch.tensor(NUMBERS_IN_ORDER)
        words[:, ordered], words[:, digits] = 0, 0
        best, answer = words.max(dim=1)
        for tokens in (ordered, torch.arange(DIGIT, DIGIT + BASE)):
            mass = likely[:, tokens].cumsum(dim=1)
            total = mass[:, -1]
            median = tokens[(mass < 0.5 * total[:, None]).sum(dim=1).clamp_max(len(tokens) - 1)]
            answer, best = torch.where(total > best, median, answer), torch.maximum(total, best)
        return answer


class CompactTurns:
    """States that go on as expected, but for what is said."""

    def __init__(self, state: Array, aloft: Array, static: Fields) -> None:
        self.state, self.aloft, self.static = state, aloft, static

    def begin(self) -> None:
        self.likely, self.words = expected(self.state, self.aloft, self.static)
        self.said = np.zeros_like(self.likely)

    def talk(self, row: Row, place: int) -> Talk:
        said, words = self.said[place], self.words[place]
        meant = {ON: np.zeros_like(said), FALL: words[0], STILL: words[1]}
        for name, body in enumerate(row.group.bodies[: row.group.own]):
            token = yield [*row.unread, OBJECT + name], OPENING
            row.unread = [token]
            if token in meant:
                said[body] = meant[token][body]
                continue
            for axis in range(3):
                if axis:
                    token = yield row.unread, NUMBER
                    row.unread = [token]
                word = [token]
                for kind in rest_of(token):
                    word.append((yield row.unread, kind))
                    row.unread = word[-1:]
                said[body, axis] = number_of(word)
            row.unread = [*row.unread, ZERO, ZERO, ZERO]  # places follow from velocities

    def overheard(self, row: Row, place: int) -> list[int]:
        others = row.group.bodies[row.group.own :]
        spoken = entries(self.said[place, others], self.words[place][:, others])
        spoken[:, 0] += row.group.own
        found: list[int] = joined(spoken).tolist()
        return found

    def end(self) -> Array:
        self.state, self.aloft = bounded(moved(self.likely, self.said, self.static)), flying(self.said, self.words)
        return self.state


COMPACT = Compact()

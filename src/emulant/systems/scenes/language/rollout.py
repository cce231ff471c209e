"""A language model continues scenes: it says changes of velocity, code does the rest.

The grammar leaves it no way out: every object of every frame is spoken of. Rows of a batch are groups of bodies; those
of one scene wait for each other at the end of a frame, and are then shown what has become of their neighbours.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Context, Fields
from emulant.surrogates.language_tables import LanguageTable
from emulant.systems.scenes.language.documents import document, entries
from emulant.systems.scenes.language.groups import Group, groups
from emulant.systems.scenes.language.residuals import Told, bounded, expected, flying, moved, tell
from emulant.systems.scenes.language.vocabulary import (
    BASE,
    DIGIT,
    FALL,
    NUMBER,
    NUMBERS_IN_ORDER,
    OBJECT,
    ON,
    OPENING,
    STILL,
    ZERO,
    allowed,
    joined,
    number_of,
    rest_of,
)
from emulant.systems.scenes.layout import STATIC_FIELDS
from emulant.training.process import threads

ROWS = 48
"""Documents that are continued side by side."""
Talk: TypeAlias = Generator[tuple[list[int], int], int, None]
"""Yields tokens to be read and what kind of token is to follow; is sent that token."""


class Reader(Protocol):
    """A language model that reads on where it has stopped, row by row."""

    def cache(self, rows: int, room: int) -> Any:
        """The memory of some rows."""

    def read(self, tokens: Tensor, counts: Tensor, cache: Any) -> Tensor:
        """Read (B, n) tokens, `counts` (B,) of them in each row; logits (B, V) after the last."""


@dataclass
class _Row:
    scene: int
    group: Group
    unread: list[int] = field(default_factory=list)


def forecast(reader: Reader, context: Context, horizon: int, table: LanguageTable) -> tuple[Array, int]:
    """The `horizon` frames after a context, (C, horizon, N, 6), and how many scenes had to be cut into groups."""
    static = {name: context.static[name] for name in STATIC_FIELDS}
    with threads(1):
        return continued(reader, context.fields["state"], static, horizon, table)


def continued(reader: Reader, states: Array, static: Fields, horizon: int, table: LanguageTable) -> tuple[Array, int]:
    """The `horizon` frames after states (C, K, N, 6), and how many scenes had to be cut into groups.

    A document ends where those of training do; the next one begins with the last frames of this one, told anew. What
    lies further back than `prompt_frames` is not shown: the model was never taught to look there.
    """
    known, cut = states[:, -table.prompt_frames :], 0
    end = known.shape[1] + horizon
    while known.shape[1] < end:
        shown = known[:, -table.prompt_frames :]
        ahead = min(table.example_frames - shown.shape[1], end - known.shape[1])
        frames, some = _document(reader, shown, static, ahead, table.context_tokens)
        known, cut = np.concatenate([known, frames], axis=1), max(cut, some)
    return known[:, -horizon:], cut


def _document(reader: Reader, states: Array, static: Fields, horizon: int, context_tokens: int) -> tuple[Array, int]:
    """The frames that one document holds after those that are shown."""
    told = tell(states, static)
    rows, cut = _rows(told, static, states.shape[1], horizon, context_tokens)
    frames = np.zeros((len(states), horizon, *states.shape[2:]))
    for part in _parts(rows):
        _continue(reader, part, told, static, frames)
    return frames, cut


def _rows(told: Told, static: Fields, shown: int, horizon: int, context_tokens: int) -> tuple[list[_Row], int]:
    """A row per group, with its prompt to be read."""
    rows, cut = [], 0
    for scene in range(len(told.first)):
        fields = {name: array[scene] for name, array in static.items()}
        parts = groups(fields, told.decoded[scene, -1], shown + horizon, context_tokens)
        cut += len(parts) > 1
        for group in parts:
            prompt = document(static, told, scene, group.bodies, group.own, shown)
            rows.append(_Row(scene, group, prompt.tokens.tolist()))
    return rows, cut


def _parts(rows: Sequence[_Row]) -> list[list[_Row]]:
    """At most `ROWS` documents at once, or those of one scene; scenes of like length together, so that few wait."""
    scenes = [list(own) for _, own in groupby(rows, key=lambda row: row.scene)]
    parts: list[list[_Row]] = [[]]
    for own in sorted(scenes, key=lambda own: max(len(row.unread) for row in own)):
        if parts[-1] and len(parts[-1]) + len(own) > ROWS:
            parts.append([])
        parts[-1] += own
    return parts


def _continue(reader: Reader, rows: Sequence[_Row], told: Told, static: Fields, frames: Array) -> None:
    """Fill `frames` for the scenes of some rows."""
    chosen = np.array(sorted({row.scene for row in rows}))
    one = {name: array[chosen] for name, array in static.items()}
    place = {scene: number for number, scene in enumerate(chosen.tolist())}
    state, aloft = told.decoded[chosen, -1], told.aloft[chosen]
    cache = reader.cache(len(rows), max(len(row.unread) for row in rows) + 64)
    for frame in range(frames.shape[1]):
        likely, words = expected(state, aloft, one)
        said = np.zeros_like(likely)
        talks = [_talk(row, said[place[row.scene]], words[place[row.scene]]) for row in rows]
        _converse(reader, rows, talks, cache)
        for row in rows:
            others = row.group.bodies[row.group.own :]
            if len(others):
                spoken = entries(said[place[row.scene], others], words[place[row.scene]][:, others])
                spoken[:, 0] += row.group.own
                row.unread += joined(spoken).tolist()
        state, aloft = bounded(moved(likely, said, one)), flying(said, words)
        frames[chosen, frame] = state


def _talk(row: _Row, said: Array, words: Array) -> Talk:
    """A frame's entries of a group's own bodies; what is said is written into `said` (N, 6)."""
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


def _converse(reader: Reader, rows: Sequence[_Row], talks: Sequence[Talk], cache: Any) -> None:
    """Let all rows talk until each has said its frame, one token of each at a time."""
    legal = torch.from_numpy(allowed())
    waiting = [next(talk, None) for talk in talks]
    while any(waiting):
        chunks, kinds = zip(*(asked or ([], OPENING) for asked in waiting), strict=True)
        tokens = torch.zeros(len(rows), max(map(len, chunks)), dtype=torch.long)
        for row, chunk in enumerate(chunks):
            tokens[row, : len(chunk)] = torch.tensor(chunk)
        with torch.no_grad():
            logits = reader.read(tokens, torch.tensor([len(chunk) for chunk in chunks]), cache).float().cpu()
        likely = logits.masked_fill(~legal[list(kinds)], -torch.inf).softmax(dim=1)
        answers = decided(likely).tolist()
        waiting = [_send(talk, asked, token) for talk, asked, token in zip(talks, waiting, answers, strict=True)]


def decided(likely: Tensor) -> Tensor:
    """(B,) tokens for probabilities (B, V): the likeliest word, or if numbers together are likelier, their median.

    A number is one of many, so each by itself is seldom the likeliest answer even where some number is sure to be it.
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


def _send(talk: Talk, asked: tuple[list[int], int] | None, token: int) -> tuple[list[int], int] | None:
    if asked is None:
        return None
    try:
        return talk.send(token)
    except StopIteration:
        return None

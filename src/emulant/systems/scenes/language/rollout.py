"""A language model continues scenes, in one of the languages for them.

The grammar leaves it no way out: every object of every frame is spoken of. Rows of a batch are groups of bodies; those
of one scene wait for each other at the end of a frame, and are then shown what has become of their neighbours.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Context, Fields
from emulant.surrogates.language_tables import LanguageTable
from emulant.systems.scenes.language.compact import COMPACT
from emulant.systems.scenes.language.groups import groups
from emulant.systems.scenes.language.tongues import Row, Talk, Tongue
from emulant.systems.scenes.layout import STATIC_FIELDS
from emulant.training.process import threads

ROWS = 48
"""Documents that are continued side by side."""


class Reader(Protocol):
    """A language model that reads on where it has stopped, row by row."""

    def cache(self, rows: int, room: int) -> Any:
        """The memory of some rows."""

    def read(self, tokens: Tensor, counts: Tensor, cache: Any) -> Tensor:
        """Read (B, n) tokens, `counts` (B,) of them in each row; logits (B, V) after the last."""


def forecast(
    reader: Reader, context: Context, horizon: int, table: LanguageTable, tongue: Tongue = COMPACT
) -> tuple[Array, int]:
    """The `horizon` frames after a context, (C, horizon, N, 6), and how many scenes had to be cut into groups."""
    static = {name: context.static[name] for name in STATIC_FIELDS}
    with threads(1):
        return continued(reader, context.fields["state"], static, horizon, table, tongue)


def continued(
    reader: Reader, states: Array, static: Fields, horizon: int, table: LanguageTable, tongue: Tongue = COMPACT
) -> tuple[Array, int]:
    """The `horizon` frames after states (C, K, N, 6), and how many scenes had to be cut into groups.

    A document ends where those of training do; the next one begins with the last frames of this one, told anew. What
    lies further back than `prompt_frames` is not shown: the model was never taught to look there.
    """
    known, cut = states[:, -table.prompt_frames :], 0
    end = known.shape[1] + horizon
    while known.shape[1] < end:
        shown = known[:, -table.prompt_frames :]
        ahead = min(table.example_frames - shown.shape[1], end - known.shape[1])
        frames, some = _document(reader, shown, static, ahead, table.context_tokens, tongue)
        known, cut = np.concatenate([known, frames], axis=1), max(cut, some)
    return known[:, -horizon:], cut


def _document(
    reader: Reader, states: Array, static: Fields, horizon: int, context_tokens: int, tongue: Tongue
) -> tuple[Array, int]:
    """The frames that one document holds after those that are shown."""
    told, shown = tongue.tell(states, static), states.shape[1]
    rows, cut = list[Row](), 0
    for scene in range(len(states)):
        fields = {name: array[scene] for name, array in static.items()}
        parts = groups(fields, told.decoded[scene, -1], tongue.room(fields, shown + horizon, context_tokens))
        cut += len(parts) > 1
        for group in parts:
            prompt = tongue.document(static, told, scene, group.bodies, group.own, shown)
            rows.append(Row(scene, group, prompt.tokens.tolist()))
    frames = np.zeros((len(states), horizon, *states.shape[2:]))
    for part in _parts(rows):
        _continue(reader, part, told, static, frames, tongue)
    return frames, cut


def _parts(rows: Sequence[Row]) -> list[list[Row]]:
    """At most `ROWS` documents at once, or those of one scene; scenes of like length together, so that few wait."""
    scenes = [list(own) for _, own in groupby(rows, key=lambda row: row.scene)]
    parts: list[list[Row]] = [[]]
    for own in sorted(scenes, key=lambda own: max(len(row.unread) for row in own)):
        if parts[-1] and len(parts[-1]) + len(own) > ROWS:
            parts.append([])
        parts[-1] += own
    return parts


def _continue(reader: Reader, rows: Sequence[Row], told: Any, static: Fields, frames: Array, tongue: Tongue) -> None:
    """Fill `frames` for the scenes of some rows."""
    chosen = np.array(sorted({row.scene for row in rows}))
    place = {scene: number for number, scene in enumerate(chosen.tolist())}
    turns = tongue.turns(told, chosen, {name: array[chosen] for name, array in static.items()})
    cache = reader.cache(len(rows), max(len(row.unread) for row in rows) + 64)
    for frame in range(frames.shape[1]):
        turns.begin()
        _converse(reader, rows, [turns.talk(row, place[row.scene]) for row in rows], cache, tongue)
        for row in rows:
            if row.group.own < len(row.group.bodies):
                row.unread = [*row.unread, *turns.overheard(row, place[row.scene])]
        frames[chosen, frame] = turns.end()


def _converse(reader: Reader, rows: Sequence[Row], talks: Sequence[Talk], cache: Any, tongue: Tongue) -> None:
    """Let all rows talk until each has said its frame, one token of each at a time."""
    waiting = [next(talk, None) for talk in talks]
    silent = torch.ones(tongue.size, dtype=torch.bool)
    while any(waiting):
        chunks = [[] if asked is None else asked[0] for asked in waiting]
        legal = torch.stack([silent if asked is None else tongue.legal(asked[1]) for asked in waiting])
        tokens = torch.zeros(len(rows), max(map(len, chunks)), dtype=torch.long)
        for row, chunk in enumerate(chunks):
            tokens[row, : len(chunk)] = torch.tensor(chunk)
        with torch.no_grad():
            logits = reader.read(tokens, torch.tensor([len(chunk) for chunk in chunks]), cache).float().cpu()
        answers = tongue.decided(logits.masked_fill(~legal, -torch.inf).softmax(dim=1)).tolist()
        waiting = [_send(talk, asked, token) for talk, asked, token in zip(talks, waiting, answers, strict=True)]


def _send(talk: Talk, asked: tuple[list[int], Hashable] | None, token: int) -> tuple[list[int], Hashable] | None:
    if asked is None:
        return None
    try:
        return talk.send(token)
    except StopIteration:
        return None

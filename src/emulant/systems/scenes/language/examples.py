"""What a language model is trained on: documents of short stretches of frames, made as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from emulant.dataset.seams import Array, Dataset
from emulant.dataset.seeds import stream
from emulant.surrogates.language_tables import LanguageTable
from emulant.systems.scenes.language.compact import COMPACT
from emulant.systems.scenes.language.groups import groups
from emulant.systems.scenes.language.tongues import Document, Tongue
from emulant.systems.scenes.language.vocabulary import PADDING
from emulant.systems.scenes.layout import STATIC_FIELDS
from emulant.training.batches import Batch, shuffled

POOL = 16
"""Batches whose scenes are sorted by size before they are cut, so that little of a batch is padding."""
VALIDATION = 64
"""Scenes that the validation loss is the mean of, at most."""


@dataclass(frozen=True)
class Corpus:
    """The documents of a dataset."""

    dataset: Dataset
    table: LanguageTable
    seed: int
    tongue: Tongue = COMPACT
    reading: Lock = field(default_factory=Lock)
    """Batches are made by several threads, and an open Parquet file serves one at a time."""

    def batches(self, epoch: int, epochs: int, size: int, length: int) -> Iterator[Callable[[], Batch]]:
        """What makes `length` batches of `size` documents, each pure in (seed, epoch, its number)."""
        order = stream(self.seed, "training", epoch, 4)
        rows, objects = self._drawn(epoch, epochs, size * length), self.dataset.cases["objects"].to_numpy()
        cases = self.dataset.cases["case"].to_numpy()
        for first in range(0, length, POOL):
            pool = rows[first * size : (first + POOL) * size]
            pool = pool[np.argsort(objects[pool], kind="stable")].reshape(-1, size)
            for number, batch in enumerate(order.permutation(len(pool)), first):
                yield partial(self._batch, cases[pool[batch]], epoch, number)

    def _batch(self, cases: Sequence[int], epoch: int, number: int) -> Batch:
        return batched(self.documents(cases, stream(self.seed, "training", epoch, 1, number)))

    def validation(self, size: int) -> list[Batch]:
        """Of some scenes, evenly chosen, always the same stretches."""
        cases = self.dataset.cases["case"].to_numpy()
        chosen = cases[np.unique(np.linspace(0, len(cases) - 1, VALIDATION).astype(int))]
        rng = stream(self.seed, "training", 0, 2)
        return [batched(self.documents(chosen[i : i + size], rng)) for i in range(0, len(chosen), size)]

    def documents(self, cases: Sequence[int], rng: Generator) -> list[Document]:
        """One of each case: from a random frame on, bodies in random order; a random group of bodies if it is long."""
        table = self.table
        with self.reading:
            read = self.dataset.read(["state", *STATIC_FIELDS], [int(case) for case in cases])
        states, static = read.pop("state"), read
        frames = min(table.example_frames, states.shape[1])
        starts = rng.integers(0, states.shape[1] - frames + 1, len(states))
        told = self.tongue.tell(
            np.stack([each[k : k + frames] for each, k in zip(states, starts, strict=True)]), static
        )
        found = []
        for row in range(len(states)):
            scene = {name: array[row] for name, array in static.items()}
            several = groups(scene, told.decoded[row, 0], self.tongue.room(scene, frames, table.context_tokens))
            bodies, own = several[rng.integers(len(several))]
            bodies = np.concatenate([rng.permutation(bodies[:own]), rng.permutation(bodies[own:])])
            found.append(self.tongue.document(static, told, row, bodies, own, table.prompt_frames))
        return found

    def _drawn(self, epoch: int, epochs: int, count: int) -> Array:
        """Rows of `dataset.cases`, each once before any comes again; of the curriculum's stage if there are several."""
        stages, total = self.table.curriculum_stages, len(self.dataset)
        if stages == 1:
            return shuffled(total, 1, count, self.seed, epoch).ravel()
        difficulty = self.dataset.cases["difficulty"].to_numpy()
        levels = np.unique(difficulty)
        stage_of = np.searchsorted(levels, difficulty) * stages // len(levels)
        stage = min(epoch * stages // epochs, stage_of.max())
        present, easier = np.flatnonzero(stage_of == stage), np.flatnonzero(stage_of < stage)
        drawn = present[shuffled(len(present), 1, count, self.seed, epoch).ravel()]
        if len(easier):
            rng = stream(self.seed, "training", epoch, 3)
            again = rng.random(count) < self.table.replay
            drawn[again] = rng.choice(easier, int(again.sum()))
        return drawn


def batched(documents: Sequence[Document]) -> tuple[Tensor, Tensor]:
    """Tokens (B, L), padded at the end, and which of them are to be said (B, L)."""
    longest = max(len(each.tokens) for each in documents)
    tokens, said = np.full((len(documents), longest), PADDING), np.zeros((len(documents), longest), dtype=bool)
    for row, each in enumerate(documents):
        tokens[row, : len(each.tokens)], said[row, : len(each.tokens)] = each
    return torch.from_numpy(tokens), torch.from_numpy(said)

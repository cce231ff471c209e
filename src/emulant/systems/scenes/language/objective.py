"""The loss of a language model, and its speed beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from emulant.surrogates.language_tables import LanguageTable
from emulant.systems.scenes.language.examples import Corpus
from emulant.training.ahead import ahead
from emulant.training.batches import Batch, Loss, TrainingData
from emulant.training.table import TrainingTable

PEAKS = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12, "L40": 181e12, "RTX 4090": 165e12, "RTX 3090": 71e12}
"""Dense bf16 operations per second of graphics cards, from their data sheets."""


def staged(config: LanguageTable) -> TrainingTable:
    """The schedule, stage by stage of the curriculum, with weights kept at the end of each."""
    table, stages = config.schedule(), config.curriculum_stages
    if stages == 1:
        return table
    kept = max(1, table.max_epochs // stages)
    return table.model_copy(update={"keep_every": kept, "stages": stages, "stage_factor": config.stage_factor})


def objective(
    train: Corpus, validation: Corpus | None, table: TrainingTable, flops_per_token: Callable[[int], int]
) -> TrainingData:
    """Cross-entropy over the tokens that are to be said. Documents are made while the network computes."""
    length = table.epoch_batches or max(1, len(train.dataset) // table.batch_size)
    speed = _Speed(flops_per_token)

    def batches(epoch: int) -> Iterator[Batch]:
        speed.start()
        return ahead(train.batches(epoch, table.epochs(length), table.batch_size, length), table.loader_workers)

    def loss(network: nn.Module, batch: Batch) -> Loss:
        tokens, said = batch[0][:, :-1], batch[1][:, 1:]
        found = cross_entropy(network(tokens, said), batch[0][:, 1:][said])
        return found, speed.of(tokens) if network.training else speed.unknown(tokens)

    held = [] if validation is None else validation.validation(table.batch_size)
    return TrainingData(loss, batches, length, held, parts=dict.fromkeys(speed.names, "mean"))


@dataclass
class _Speed:
    """Tokens per second, padding included, and what share of the card's operations they are."""

    flops_per_token: Callable[[int], int]
    peak: float | None = None
    last: float = field(default=0.0)

    def __post_init__(self) -> None:
        if torch.cuda.is_available():
            device = torch.cuda.get_device_name()
            self.peak = next((peak for name, peak in PEAKS.items() if name in device), None)

    @property
    def names(self) -> tuple[str, ...]:
        return ("tokens_per_second",) if self.peak is None else ("tokens_per_second", "mfu")

    def start(self) -> None:
        self.last = time.perf_counter()

    def of(self, tokens: Tensor) -> dict[str, Tensor]:
        """Since the last batch."""
        now = time.perf_counter()
        rate = tokens.numel() / max(now - self.last, 1e-9)
        self.last = now
        found = {"tokens_per_second": torch.tensor(rate)}
        if self.peak is not None:
            found["mfu"] = torch.tensor(rate * self.flops_per_token(tokens.shape[1]) / self.peak)
        return found

    def unknown(self, tokens: Tensor) -> dict[str, Tensor]:
        """In validation nobody looks at the clock."""
        return {name: torch.full((), torch.nan) for name in self.names}

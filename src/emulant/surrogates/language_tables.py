"""The tables of the language models, apart from them: reading a study must import neither torch nor transformers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from emulant.training.table import TrainedTable, TrainingTable

Positive = Annotated[int, Field(ge=1)]


class Shape(NamedTuple):
    """Of a transformer."""

    layers: int
    width: int
    heads: int


SHAPES = {
    "tiny": Shape(2, 128, 4),
    "125M": Shape(12, 768, 12),
    "350M": Shape(24, 1024, 16),
    "760M": Shape(24, 1536, 16),
}
"""The names are those of usual vocabularies; with ours the models are a little smaller."""


class LanguageTable(TrainedTable):
    """What language models have in common."""

    context_tokens: Annotated[int, Field(ge=128)] = 8192
    """The longest document. What is longer is cut into groups of bodies."""
    prompt_frames: Positive = 2
    """Frames of a document that are shown; all after them are to be said. The first of them is told in full."""
    example_frames: Annotated[int, Field(ge=2)] = 12
    """Frames of a document, in training and in forecasts; a longer forecast goes on in a new one."""
    curriculum_stages: Annotated[int, Field(ge=1, le=5)] = 1
    """Training begins with the easiest scenes, and each stage adds harder ones; its weights are kept."""
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """The share of easier scenes in the later stages."""
    stage_factor: Annotated[float, Field(gt=0, le=1)] = 0.9
    """What the learning rate is multiplied by from stage to stage; each has its warm-up and its cosine."""

    @model_validator(mode="after")
    def _something_to_say(self) -> Self:
        if self.prompt_frames >= self.example_frames:
            raise ValueError(f"prompt_frames: must be below example_frames, {self.example_frames}")
        return self


class GPTTable(LanguageTable):
    """`[surrogates.gpt]`."""

    size: Literal["tiny", "125M", "350M", "760M"] = "tiny"
    compile: bool = False
    """Compile the network for training; worth its minute on a graphics card."""
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=100,
        epoch_batches=100,
        max_steps=100_000,
        batch_size=8,
        gradient_accumulation=4,
        optimizer="adamw",
        learning_rate=3e-4,
        weight_decay=0.1,
        gradient_clip=1.0,
        scheduler="cosine",
        warmup=0.02,
        monitor="loss",
    )


class LoRATable(LanguageTable):
    """`[surrogates.lfm2]`: a pretrained language model with low-rank adapters."""

    weights: str = "LiquidAI/LFM2-350M"
    """A hub id, a folder, or "random": a small random network of the same kind, for tests."""
    prompt: Literal["compact", "text"] = "compact"
    """Scenes in tokens of our own, or in plain text: readable, and many times as long."""
    lora_rank: Positive = 32
    lora_alpha: Positive = 64
    gradient_checkpointing: bool = True
    """Activations are computed twice and kept once."""
    prompt_frames: Positive = 10
    example_frames: Annotated[int, Field(ge=2)] = 30
    curriculum_stages: Annotated[int, Field(ge=1, le=5)] = 5
    recipe: ClassVar[TrainingTable] = TrainingTable(
        max_epochs=5,
        batch_size=4,
        gradient_accumulation=8,
        optimizer="adamw",
        learning_rate=2e-4,
        gradient_clip=1.0,
        scheduler="cosine",
        warmup=0.1,
        monitor="loss",
    )

"""The tables of a scenes study. Their defaults are the preset `scenes`."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from emulant.dataset.tables import DataConfig, DatasetTable, SplitsTable, Table
from emulant.evaluation.table import EvaluationTable
from emulant.systems.scenes.catalogue import BIG, HELDOUT, TYPES

Count = Annotated[int, Field(ge=0, le=10_000_000)]
EASIEST, HARDEST = 1, 5
"""Difficulties of all splits but `test_ood`, which goes on from there as far as a type's geometry fits."""


class SystemTable(Table):
    """Which scenes, how hard, how long, and how finely the engine steps."""

    name: Literal["scenes"] = "scenes"
    types: Annotated[tuple[str, ...], Field(min_length=1)] = TYPES
    heldout: tuple[str, ...] = HELDOUT
    """Types that fill `test_heldout` and nothing else."""
    difficulty: tuple[int, int] = (EASIEST, HARDEST)
    """Lowest and highest; scene k of a type has the lowest + k mod their number, so every one is equally frequent."""
    frames: Annotated[int, Field(ge=2, le=100_000)] = 200
    substeps: Annotated[int, Field(ge=1, le=64)] = 8
    """Steps of the engine per frame of 1/60 s. Fewer let fast bodies tunnel and stacks gain energy."""
    iterations: Annotated[int, Field(ge=1, le=200)] = 10
    """Of the contact solver, per step."""

    @field_validator("types", "heldout")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in TYPES:
                near = get_close_matches(name, TYPES, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(TYPES)}"
                raise ValueError(f"there is no type of scene {name!r}: {hint}")
        if len(set(names)) < len(names):
            raise ValueError("names a type twice")
        return names

    @field_validator("difficulty")
    @classmethod
    def _range(cls, pair: tuple[int, int]) -> tuple[int, int]:
        if not EASIEST <= pair[0] <= pair[1] <= HARDEST:
            raise ValueError(f"must be [lowest, highest] within {EASIEST} to {HARDEST}, is {list(pair)}")
        return pair

    @property
    def ordinary(self) -> tuple[str, ...]:
        return tuple(name for name in self.types if name not in self.heldout)

    @property
    def kept_out(self) -> tuple[str, ...]:
        return tuple(name for name in self.types if name in self.heldout)


class ScenesSplits(SplitsTable):
    """Scenes *per type*; 0: there is no such split."""

    training: Count = 120
    training_big: Count | None = 40
    """Of types of a hundred bodies and more; unset: as many as of the others."""
    validation: Count = 10
    test: Count = 10
    test_heldout: Count = 20
    """Of the held-out types."""
    test_ood: Count = 20
    """Of the ordinary types, harder than `system.difficulty` and under another gravity."""

    def of(self, split: str, type_: str) -> int:
        """Scenes of a type that belongs to the split."""
        if split == "training" and type_ in BIG and self.training_big is not None:
            return min(self.training_big, self.training)
        return int(getattr(self, split))


class ScenesDataset(DatasetTable):
    """How scenes are cut into files: a shard holds scenes of one type."""

    shard_cases: Annotated[int, Field(ge=1)] = 50


class ScenesConfig(DataConfig):
    """Everything that decides the bytes of a dataset of scenes."""

    system: SystemTable = SystemTable()
    splits: ScenesSplits = ScenesSplits()
    dataset: ScenesDataset = ScenesDataset()

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Self:
        if not self.system.ordinary and any(getattr(self.splits, name) for name in ("training", "validation", "test")):
            raise ValueError(
                f"all of system.types are held out ({', '.join(self.system.types)}), so there is nothing to train on: "
                "add other types, set system.heldout = [], or set splits.training, validation and test to 0"
            )
        return self

    def types_of(self, split: str) -> tuple[str, ...]:
        """The types that a split has scenes of."""
        chosen = self.system.kept_out if split == "test_heldout" else self.system.ordinary
        return tuple(name for name in chosen if self.splits.of(split, name))


class ScenesEvaluation(EvaluationTable):
    """The common table, and how much of a dataset is looked at."""

    context_frames: Annotated[int, Field(ge=2)] | None = 10
    warm_starts: tuple[Annotated[float, Field(gt=0)], ...] = ()
    horizons: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] | None = (1, 5, 10, 20)
    """In frames."""
    rollout_frames: Annotated[int, Field(ge=1)] = 20
    max_scenes_per_type: Annotated[int, Field(ge=1)] = 100
    """The first ones of each type by number."""
    render: bool = True
    """Draw films of truth beside prediction for the report, unless `report.films` is off."""

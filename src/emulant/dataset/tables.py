"""The tables of a study that every system shares, and the base that all tables have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """One table of a study file: frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class SplitsTable(Table):
    """How many cases each split has. Systems with further splits extend it."""

    training: Annotated[int, Field(ge=1)] = 100
    validation: Annotated[int, Field(ge=0)] = 0
    test: Annotated[int, Field(ge=0)] = 20


class DatasetTable(Table):
    """How the data are cut into pieces and what may go wrong on the way."""

    shard_cases: Annotated[int, Field(ge=1)] = 5
    layout: Literal["shards", "files"] = "shards"
    timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds that one case may take; unset: any time."""
    allowed_failures: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of cases that may fail before a run stops."""


class DataConfig(Table):
    """Everything that decides the bytes of a dataset. A system extends it by its own tables."""

    seed: Annotated[int, Field(ge=0)] = 0
    system: Table
    splits: SplitsTable = SplitsTable()
    dataset: DatasetTable = DatasetTable()

"""The tables of a flavor study. Their defaults are the preset `flavor`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from emulant.dataset.tables import DataConfig, DatasetTable, SplitsTable, Table
from emulant.evaluation.table import EmulationTable

Count = Annotated[int, Field(ge=0)]
Files = tuple[str, ...]

PORTIONS = {"training": 0.65, "validation": 0.10, "test": 0.15, "test_ood": 0.10}
"""How `splits.labels_only` is divided: fixed, so that a larger split takes no cell from another."""


class SourceTable(Table):
    """The user's own files. With `asymptotic`, `stable` or `test_ood` given nothing is simulated."""

    asymptotic: Files = ()
    """HDF5 with start, final state and growth rate."""
    stable: Files = ()
    """HDF5 with start and `stable`."""
    test_ood: Files = ()
    """Files of either kind that make up the split `test_ood`, whole."""
    initial: str | None = None
    """HDF5 with starts that are to be simulated, in their order, instead of cells drawn by `system.sampler`."""
    initial_split: Literal["training", "validation", "test", "test_ood"] = "test"
    """The one split that they all belong to; the others are empty then."""
    samples_per_database: Count = 0
    """So many rows of every file, drawn at random; 0: all."""
    test_size: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the rows of every file that becomes `test`; unset: in proportion to the sizes in `[splits]`."""

    @property
    def rows_given(self) -> bool:
        """Whether labels come from files."""
        return bool(self.asymptotic or self.stable or self.test_ood)

    @property
    def files(self) -> Files:
        """All files that cases are made of."""
        return (*self.asymptotic, *self.stable, *self.test_ood, *((self.initial,) if self.initial else ()))

    @model_validator(mode="after")
    def _one_purpose(self) -> Self:
        if self.initial and self.rows_given:
            raise ValueError("`initial` is to be simulated, the other files hold results: give one or the other")
        names = (*self.asymptotic, *self.stable, *self.test_ood)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} is named twice: its rows would be in the data twice")
        return self


class SystemTable(Table):
    """One cell of a merger or supernova, and the box that it is simulated in."""

    name: Literal["flavor"] = "flavor"
    sampler: Literal["random", "nsm", "shallow", "edge", "stable", "mixed", "ood"] = "mixed"
    """Where starts come from; `test_ood` always uses `ood`."""
    n_cells: Annotated[int, Field(ge=16, multiple_of=16)] = 64
    """Points of the box."""
    n_directions: Literal[50, 74, 86, 110, 146, 170, 194, 302, 434] = 110
    """Lebedev directions of the box."""
    seeds: Annotated[int, Field(ge=1)] = 2
    """Simulations of every cell, from different seeds; their mean is stored, and its error beside it."""
    max_steps: Annotated[int, Field(ge=100)] = 4000
    """A cell that needs more keeps its growth rate and stability, but gets no final state."""
    source: SourceTable = SourceTable()


class FlavorSplits(SplitsTable):
    """How many cells each split has."""

    training: Annotated[int, Field(ge=1)] = 640
    validation: Count = 96
    test: Count = 160
    test_ood: Count = 96
    labels_only: Count = 4000
    """Further cells of all splits together, with growth rate and stability but no simulation."""

    @property
    def simulated(self) -> dict[str, int]:
        """Cells of every split whose final state is simulated."""
        return {name: getattr(self, name) for name in PORTIONS}

    @property
    def labelled(self) -> dict[str, int]:
        """Cells of every split that get labels of linear analysis alone; none for a split without others."""
        return {name: round(share * self.labels_only) * bool(getattr(self, name)) for name, share in PORTIONS.items()}


class FlavorDataset(DatasetTable):
    """How cells are cut into files: few that are simulated, many that are not."""

    shard_cases: Annotated[int, Field(ge=1)] = 16
    shard_rows: Annotated[int, Field(ge=1)] = 100_000
    """Rows to a file of what comes from files."""


class FlavorConfig(DataConfig):
    """Everything that decides the bytes of a flavor dataset."""

    system: SystemTable = SystemTable()
    splits: FlavorSplits = FlavorSplits()
    dataset: FlavorDataset = FlavorDataset()


class FlavorEvaluation(EmulationTable):
    """The common table, with more cells at once."""

    batch_cases: Annotated[int, Field(ge=1)] = 4096

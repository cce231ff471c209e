"""The tables of a halos study. Lengths in Mpc/h, masses in Msun/h."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from emulant.dataset.tables import DataConfig, DatasetTable, SplitsTable, Table
from emulant.evaluation.table import EmulationTable
from emulant.systems.halos.parameters import ASTROPHYSICS, RANGES

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class SpanTable(Table):
    """Simulations `start` to `end` - 1."""

    start: Annotated[int, Field(ge=0)] = 0
    end: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _has_some(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end = {self.end} must be above start = {self.start}")
        return self


class SourceTable(Table):
    """Where the simulations come from."""

    kind: Literal["embedded", "camels"] = "embedded"
    """`embedded`: emulant makes small boxes of its own; `camels`: files that lie somewhere."""
    nbody: str | None = None
    """Folder of the dark-matter-only `SB35_*`."""
    hydro: str | None = None
    """Folder of those with baryons."""
    fof: str | None = None
    """Folder of the dark-matter-only catalogues."""
    simulations: SpanTable | list[int] | None = None
    """Which of them; unset: all that lie below `nbody`."""
    snapshot: Annotated[int, Field(ge=0, le=999)] = 90
    params: str | None = None
    """File of parameters; unset: `CosmoAstroSeed_*.txt` beside the simulations."""
    wind: Literal["stars", "gas"] = "stars"
    """What wind particles count as."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        missing = [name for name in ("nbody", "hydro", "fof") if getattr(self, name) is None]
        if self.kind == "camels" and missing:
            raise ValueError(f"{' and '.join(missing)} must be given with kind = camels")
        return self


class SimulationTable(Table):
    """The embedded boxes."""

    particles: Annotated[int, Field(ge=16, le=1024, multiple_of=2)] = 128
    """Per side, as they move."""
    steps: Annotated[int, Field(ge=4)] = 30
    refine: Annotated[int, Field(ge=1, le=4)] = 1
    """Per side: particles of the files over particles that move, interpolated between them."""
    boxes: Annotated[int, Field(ge=2)] = 12
    """Initial conditions, each with a cosmology of its own, for training, validation and test."""
    astro_per_box: Annotated[int, Field(ge=1)] = 4
    """Vectors of feedback per box: simulations that share its dark matter."""
    ood_boxes: Annotated[int, Field(ge=0)] = 1
    """Boxes of `test_ood`, in a corner of cosmology that the others do not reach."""
    response_boxes: Annotated[int, Field(ge=0)] = 1
    """Boxes of `test_response`, where one parameter of feedback is moved at a time."""
    parameter_range: Mapping[str, tuple[float, float]] = {
        "Omega0": (0.2, 0.4),
        "sigma8": (0.7, 0.9),
        **{name: (RANGES[name].low, RANGES[name].high) for name in ASTROPHYSICS},
    }
    """Low and high; parameters that are not there keep their fiducial values."""
    ood_range: Mapping[str, tuple[float, float]] = {"Omega0": (0.4, 0.5)}
    """What differs in `test_ood`."""

    @field_validator("parameter_range", "ood_range")
    @classmethod
    def _known(cls, ranges: Mapping[str, tuple[float, float]]) -> Mapping[str, tuple[float, float]]:
        for name, (low, high) in ranges.items():
            if name not in RANGES:
                raise ValueError(f"`{name}` is none of {', '.join(RANGES)}")
            if not 0 < low <= high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] must be positive and ascend")
        return ranges


class SystemTable(Table):
    """Boxes and the cutouts that are taken of them."""

    name: Literal["halos"] = "halos"
    box_size: Positive = 50.0
    npix: Annotated[int, Field(ge=8)] = 512
    """Pixels of a full box, per side."""
    resolution: Annotated[int, Field(ge=4)] = 64
    """Pixels of a cutout, per side, at every scale."""
    scales: Annotated[tuple[float, ...], Field(min_length=2)] = (6.25, 12.5, 25.0, 50.0)
    """Sides of the cutouts; the first is that of condition and target."""
    num_rotations: Annotated[int, Field(ge=1, lt=1000)] = 1
    """Of every halo in training and validation."""
    test_rotations: Annotated[int, Field(ge=0, lt=1000)] = 0
    """Of every halo in test splits, beside the view along the z axis that they always have."""
    mass_threshold: Annotated[float, Field(ge=0)] = 1e13
    """Halos strictly above it, in M200c of the dark-matter-only run."""
    source: SourceTable = SourceTable()
    simulation: SimulationTable = SimulationTable()

    @property
    def pixel(self) -> float:
        """Side of a pixel of the full box, Mpc/h."""
        return self.box_size / self.npix

    @model_validator(mode="after")
    def _scales_fit(self) -> Self:
        if tuple(sorted(set(self.scales))) != self.scales:
            raise ValueError(f"scales = {self.scales} must ascend")
        if self.scales[-1] > self.box_size:
            raise ValueError(f"the largest scale, {self.scales[-1]:g}, must not exceed box_size = {self.box_size:g}")
        blocks = [scale / self.pixel / self.resolution for scale in self.scales]
        if abs(blocks[0] - 1) > 1e-9:
            raise ValueError(
                f"scales[0] has {self.scales[0] / self.pixel:g} pixels of the box and must have "
                f"resolution = {self.resolution}: npix = {self.resolution * self.box_size / self.scales[0]:g} fits"
            )
        if any(abs(block - round(block)) > 1e-9 for block in blocks):
            raise ValueError(f"scales = {self.scales} must be whole multiples of the first")
        return self


class HalosSplits(SplitsTable):
    """Shares of the boxes (or, of CAMELS files, of the initial conditions); each split gets one at the least."""

    training: Annotated[float, Field(gt=0, le=1)] = 0.8  # type: ignore[assignment]
    validation: Share = 0.1  # type: ignore[assignment]
    test: Share = 0.1  # type: ignore[assignment]

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if abs(self.training + self.validation + self.test - 1) > 1e-6:
            raise ValueError("training, validation and test must sum to 1")
        return self


class HalosConfig(DataConfig):
    """Everything that decides the bytes of a halos dataset."""

    system: SystemTable = SystemTable()
    splits: HalosSplits = HalosSplits()
    dataset: DatasetTable = DatasetTable(allowed_failures=0.0)


class HalosEvaluation(EmulationTable):
    """`[evaluation]`."""

    samples: Annotated[int, Field(ge=1)] = 39
    """Draws of a painter that draws. Ranks among 39 fill the central 95 % exactly."""
    batch_cases: Annotated[int, Field(ge=1)] = 32

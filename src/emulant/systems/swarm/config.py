"""The tables of a swarm study. Their defaults are the preset `swarm`; times in s, lengths in the unit of the box."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from emulant.dataset.tables import DataConfig, DatasetTable, SplitsTable, Table

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

NARROWEST = 0.25
"""Cells. Below it, a particle between four cell centres would all but vanish from the grid."""
SMOOTH = 1.2
"""Cells. From here on the sum over the grid is the integral, to 1e-12."""
CARRIED = 1.5
"""Cells. From here on `fft` stays within 1 % of the exact field."""


FAMILIES = ("uniform", "gaussian_cluster", "ring", "two_clusters")


def family(case: int) -> str:
    """The family that a case belongs to: they take turns."""
    return FAMILIES[case % len(FAMILIES)]


class Box(NamedTuple):
    """The domain [0, Lx) x [0, Ly), a torus or between walls. A plain tuple, so that compiled kernels take it."""

    Lx: float
    Ly: float
    periodic: bool


class NoiseTable(Table):
    """The random turn of every particle in every step (not scaled by the time step)."""

    kind: Literal["gaussian", "uniform"] = "gaussian"
    eta: NotNegative = 0.3
    """rad. Width of the uniform law on [-eta/2, eta/2]."""
    match_variance: bool = True
    """Give the gaussian law the variance eta²/12 of the uniform one; otherwise eta is its standard deviation."""

    @property
    def sd(self) -> float:
        """Standard deviation of the turn, rad."""
        matched = self.kind == "uniform" or self.match_variance
        return self.eta / math.sqrt(12) if matched else self.eta


class MorseTable(Table):
    """Pair forces f(r) = (Cr/lr) exp(-r/lr) - (Ca/la) exp(-r/la); positive repels."""

    kind: Literal["morse"] = "morse"
    Ca: NotNegative = 1.0
    la: Positive = 1.5
    Cr: NotNegative = 2.0
    lr: Positive = 0.5
    mu: NotNegative = 0.1
    """Mobility: how strongly the force acts beside the alignment."""
    mode: Literal["steer", "accelerate"] = "steer"
    rcut_factor: Positive = 5.0

    @property
    def cutoff(self) -> float:
        """The distance beyond which the force is zero."""
        return self.rcut_factor * max(self.lr, self.la)


class SystemTable(Table):
    """The swarm itself (Vicsek et al., Phys. Rev. Lett. 75, 1226 (1995))."""

    name: Literal["swarm"] = "swarm"
    N: Annotated[int, Field(ge=1)] = 40
    Lx: Positive = 15.0
    Ly: Positive = 15.0
    bc: Literal["periodic", "reflecting"] = "periodic"
    T: Positive = 2.0
    long_T: Positive | None = None
    """Duration of the cases of the split `test_long`, which asks for forecasts far beyond training; unset: 4 T."""
    dt: Positive = 0.1
    save_every: Annotated[int, Field(ge=1)] = 1
    speed: NotNegative = 1.0
    R: Positive = 2.0
    """Radius of interaction, inclusive."""
    noise: NoiseTable = NoiseTable()
    forces: MorseTable | None = None

    @model_validator(mode="after")
    def _short_steps(self) -> Self:
        if self.speed * self.dt > self.R / 2:
            raise ValueError(
                f"in one step a particle moves speed*dt = {self.speed * self.dt:g}, more than half the radius "
                f"R = {self.R:g}: lower system.dt or system.speed, or raise system.R"
            )
        return self

    @model_validator(mode="after")
    def _enough_steps(self) -> Self:
        if self.dt > self.T:
            raise ValueError(f"T = {self.T:g} is shorter than one step dt = {self.dt:g}: raise system.T")
        if self.save_every > self.steps:
            raise ValueError(
                f"save_every = {self.save_every} leaves no frame but the first of {self.steps} steps: "
                "lower system.save_every or raise system.T"
            )
        return self

    @property
    def box(self) -> Box:
        return Box(self.Lx, self.Ly, self.bc == "periodic")

    def duration(self, split: str) -> float:
        """How long a case of a split lasts, s."""
        return (self.long_T or 4 * self.T) if split == "test_long" else self.T

    @property
    def steps(self) -> int:
        """Steps of a case that lasts T."""
        return self.steps_in(self.T)

    @property
    def frames(self) -> int:
        """Stored frames of a case that lasts T, the initial state included."""
        return self.frames_in(self.T)

    @property
    def frame_step(self) -> float:
        """Time between two stored frames, s."""
        return self.save_every * self.dt

    def steps_in(self, duration: float) -> int:
        return round(duration / self.dt)

    def frames_in(self, duration: float) -> int:
        return self.steps_in(duration) // self.save_every + 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should be told, one sentence each."""
        half = min(self.Lx, self.Ly) / 2
        if self.forces is None or self.bc == "reflecting" or self.forces.cutoff <= half:
            return ()
        return (
            f"The forces reach {self.forces.cutoff:g}, beyond half the box ({half:g}): "
            "each pair acts once, at its shortest distance.",
        )


class DensityTable(Table):
    """The density field: a Gaussian kernel on the centres of a regular grid."""

    nx: Annotated[int, Field(ge=4)] = 64
    ny: Annotated[int, Field(ge=4)] = 64
    bandwidth: Positive = 2.0
    """Standard deviation of the kernel, in cells of each axis or as a length."""
    bandwidth_units: Literal["cells", "length"] = "cells"
    method: Literal["auto", "exact", "fft"] = "auto"
    """`exact` sums the kernels, `fft` spreads the particles on the grid; `auto` takes `fft` for many particles."""

    def widths(self, box: Box) -> tuple[float, float]:
        """Standard deviations (hx, hy) of the kernel as lengths."""
        if self.bandwidth_units == "length":
            return self.bandwidth, self.bandwidth
        return self.bandwidth * box.Lx / self.nx, self.bandwidth * box.Ly / self.ny

    def widths_in_cells(self, box: Box) -> tuple[float, float]:
        """Standard deviations of the kernel along x and y, in cells."""
        hx, hy = self.widths(box)
        return hx * self.nx / box.Lx, hy * self.ny / box.Ly

    def rescaled(self, box: Box) -> bool:
        """Whether the kernel is so narrow that each frame has to be rescaled to N particles."""
        return min(self.widths_in_cells(box)) < SMOOTH


class SwarmSplits(SplitsTable):
    """How many cases each split has."""

    test_long: Annotated[int, Field(ge=0)] = 4

    @field_validator("validation")
    @classmethod
    def _no_validation(cls, cases: int) -> int:
        if cases:
            raise ValueError("the swarm tunes on folds of the training cases: set splits.validation = 0")
        return cases


class SwarmConfig(DataConfig):
    """Everything that decides the bytes of a swarm dataset."""

    system: SystemTable = SystemTable()
    density: DensityTable = DensityTable()
    splits: SwarmSplits = SwarmSplits()
    dataset: DatasetTable = DatasetTable()

    @model_validator(mode="after")
    def _kernel_fits(self) -> Self:
        box, density = self.system.box, self.density
        cells = min(density.widths_in_cells(box))
        if cells < NARROWEST:
            raise ValueError(
                f"the kernel is {cells:.3g} cells wide and must have at least {NARROWEST}: raise density.bandwidth"
            )
        if self.hx > box.Lx or self.hy > box.Ly:
            raise ValueError("the kernel is wider than the box: lower density.bandwidth")
        if density.method == "fft" and cells < CARRIED:
            raise ValueError(
                f"the kernel is {cells:.3g} cells wide, too narrow for the grid to carry (at least {CARRIED}): "
                'raise density.bandwidth or set density.method = "exact"'
            )
        return self

    @model_validator(mode="after")
    def _long_is_long(self) -> Self:
        if self.splits.test_long and self.system.duration("test_long") < self.system.T:
            raise ValueError(
                f"long_T = {self.system.long_T:g} is shorter than T = {self.system.T:g}: "
                "raise system.long_T or set splits.test_long = 0"
            )
        return self

    @property
    def hx(self) -> float:
        """Standard deviation of the density kernel along x, a length."""
        return self.density.widths(self.system.box)[0]

    @property
    def hy(self) -> float:
        """Standard deviation of the density kernel along y, a length."""
        return self.density.widths(self.system.box)[1]


class SpectralTable(Table):
    """`[surrogates.spectral]`"""

    lag: Annotated[int, Field(ge=1)] = 4
    ridge: Annotated[float, Field(ge=0)] = 1e-6
    harmonics: Annotated[int, Field(ge=1, le=8)] = 3
    """Angular moments of the headings beside the density."""
    blend: bool = False
    """Fade into the climatology, see `emulant.surrogates.blending`."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of the training cases for `blend`."""

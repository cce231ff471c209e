"""The tables of a pendulum study. Their defaults are the preset `pendulum`; SI units, angles in rad from the downward
vertical, absolute (the second one too)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_serializer, model_validator

from emulant.dataset.tables import DataConfig, DatasetTable, SplitsTable, Table
from emulant.evaluation.table import EvaluationTable

Positive = Annotated[float, Field(gt=0)]
Pair = tuple[float, float]

STATE = ("theta1", "theta2", "theta1_dot", "theta2_dot")
PARAMETERS = ("l1", "l2", "m1", "m2", "g")
QUANTITIES = (*PARAMETERS, *STATE)
"""Everything that a case may vary, in the order in which it is drawn and in which grids are multiplied."""

WHOLE = 1e-6
"""How far from a whole number T / dt may be: `T = 0.3` and `dt = 0.1` are not exact in binary."""


class Quantity(Table):
    """A number, or the law that each case draws it from.

    ===================  ==============================================================================
    `1.0`                every case has it
    `{uniform=[a, b]}`   uniform on [a, b)
    `{normal=[m, sd]}`   normal; cut at zero where the quantity has to be positive
    `{choice=[...]}`     one of these, all equally likely
    `{grid=[a, b, n]}`   training: n values from a to b, both included; other splits: uniform on [a, b)
    ===================  ==============================================================================
    """

    constant: float | None = None
    uniform: Pair | None = None
    normal: Pair | None = None
    choice: tuple[float, ...] | None = None
    grid: tuple[float, float, int] | None = None

    @model_validator(mode="before")
    @classmethod
    def _number_or_law(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return {"constant": value}
        if isinstance(value, Quantity):
            return value
        if isinstance(value, Mapping):  # strict validation wants tuples here, TOML has lists
            return {law: tuple(given) if isinstance(given, list) else given for law, given in value.items()}
        raise ValueError(f"must be a number or a law such as {{uniform = [a, b]}}, is {value!r}")

    @model_validator(mode="after")
    def _one_law(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("must be a number or exactly one of uniform, normal, choice, grid")
        return self

    @field_validator("uniform", "grid")
    @classmethod
    def _rising(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(f"needs a < b, has {value[0]:g} and {value[1]:g}")
        return value

    @field_validator("grid")
    @classmethod
    def _two_points(cls, value: tuple[float, float, int] | None) -> tuple[float, float, int] | None:
        if value is not None and value[2] < 2:
            raise ValueError(f"needs n >= 2 points, has {value[2]}")
        return value

    @field_validator("normal")
    @classmethod
    def _spread(cls, value: Pair | None) -> Pair | None:
        if value is not None and not value[1] > 0:
            raise ValueError(f"needs a standard deviation > 0, has {value[1]:g}")
        return value

    @field_validator("choice")
    @classmethod
    def _something_to_choose(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not value:
            raise ValueError("is empty: give it at least one number")
        return value

    @model_serializer
    def _as_written(self) -> float | dict[str, list[Any]]:
        if self.constant is not None:
            return self.constant
        return {name: list(getattr(self, name)) for name in ("uniform", "normal", "choice", "grid") if self._is(name)}

    def _is(self, law: str) -> bool:
        return getattr(self, law) is not None

    @property
    def points(self) -> int:
        """Values of the grid; 1 for every other law."""
        return 1 if self.grid is None else self.grid[2]

    @property
    def lowest(self) -> float:
        """The least value that can be drawn; of a normal law its mean, which has to be positive where it is cut."""
        bounds = self.uniform or self.grid or self.normal
        if bounds is not None:
            return bounds[0]
        return min(self.choice or (self.constant or 0.0,))


class InitialTable(Table):
    """Where cases start: rad and rad/s."""

    theta1: Quantity = Quantity(uniform=(0.0, math.pi))
    theta2: Quantity = Quantity(uniform=(0.0, 2 * math.pi))
    theta1_dot: Quantity = Quantity(constant=0.0)
    theta2_dot: Quantity = Quantity(constant=0.0)
    states: tuple[tuple[float, ...], ...] | None = None
    """Starts of the test split, in order: rows (θ1, θ2, ω1, ω2), or (θ1, θ2) at rest."""

    @field_validator("states")
    @classmethod
    def _rows(cls, states: tuple[tuple[float, ...], ...] | None) -> tuple[tuple[float, ...], ...] | None:
        if states is None:
            return None
        if not states:
            raise ValueError("is empty: give it at least one row or leave it out")
        for number, row in enumerate(states):
            if len(row) not in (2, 4):
                raise ValueError(f"row {number} has {len(row)} numbers; it needs four, or two for a start at rest")
        return states


class SystemTable(Table):
    """Two point masses on massless rods, in a plane, without friction."""

    name: Literal["pendulum"] = "pendulum"
    l1: Quantity = Quantity(constant=1.0)
    l2: Quantity = Quantity(constant=1.0)
    m1: Quantity = Quantity(constant=1.0)
    m2: Quantity = Quantity(constant=1.0)
    g: Quantity = Quantity(constant=9.81)
    T: Positive = 10.0
    """s, a whole number of dt."""
    dt: Positive = 0.05
    """s between stored samples."""
    integrator: Literal["rk8", "dop853", "rk4", "rk45", "verlet", "heyoka"] = "rk8"
    tolerance: Annotated[float, Field(gt=0, lt=1e-2)] = 1e-9
    """rk8, rk4: bound on max|E - E0| / E_scale. dop853, rk45, heyoka: relative and absolute tolerance of a step.
    verlet: not used."""
    accelerations: bool = True
    """Store them, too."""
    initial: InitialTable = InitialTable()

    @field_validator(*PARAMETERS)
    @classmethod
    def _positive(cls, quantity: Quantity) -> Quantity:
        if not quantity.lowest > 0:
            what = "needs a mean > 0 (draws are cut at zero)" if quantity.normal else "must be > 0"
            raise ValueError(f"{what}, has {quantity.lowest:g}")
        return quantity

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if self.dt > self.T:
            raise ValueError(f"T = {self.T:g} is shorter than dt = {self.dt:g}: raise system.T or lower system.dt")
        ratio = self.T / self.dt
        if abs(ratio - round(ratio)) > WHOLE:
            raise ValueError(
                f"T = {self.T:g} is {ratio:.6g} times dt = {self.dt:g}, not a whole number of them: "
                f"set system.T = {round(ratio) * self.dt:.6g}, or change system.dt"
            )
        return self

    @property
    def steps(self) -> int:
        """Stored intervals of a case; it has one sample more."""
        return round(self.T / self.dt)

    def quantity(self, name: str) -> Quantity:
        """The law of one of `QUANTITIES`."""
        found: Quantity = getattr(self.initial if name in STATE else self, name)
        return found

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Points per quantity, in the order of `QUANTITIES`; 1 where there is no grid."""
        return tuple(self.quantity(name).points for name in QUANTITIES)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should be told, one sentence each."""
        if self.integrator == "verlet":
            return ("Velocity Verlet holds no tolerance here: the accelerations depend on the velocities.",)
        if self.integrator == "rk45":
            return ("RK45 drifts: its tolerance bounds the error of a step, not that of the energy.",)
        return ()


class PendulumSplits(SplitsTable):
    """How many cases each split has."""

    training: Annotated[int, Field(ge=1)] = 500
    validation: Annotated[int, Field(ge=0)] = 100
    test: Annotated[int, Field(ge=0)] = 200


class PendulumDataset(DatasetTable):
    """How simulations are cut into files: one row group each."""

    shard_cases: Annotated[int, Field(ge=1)] = 50
    dtype: Literal["float64", "float32"] = "float64"
    """Of the columns that change in time; t, dt, lengths and masses stay float64."""


class PendulumConfig(DataConfig):
    """Everything that decides the bytes of a pendulum dataset."""

    system: SystemTable = SystemTable()
    splits: PendulumSplits = PendulumSplits()
    dataset: PendulumDataset = PendulumDataset()

    @model_validator(mode="after")
    def _sizes_that_follow(self) -> Self:
        """A grid says how many training cases there are, a list of states how many test cases."""
        product, states = math.prod(self.system.grid_shape), self.system.initial.states
        follow = {"training": product} if product > 1 else {}
        if states is not None:
            follow["test"] = len(states)
        for split, cases in follow.items():
            written = getattr(self.splits, split)
            if split in self.splits.model_fields_set and written != cases:
                source = "the grids of [system]" if split == "training" else "system.initial.states"
                raise ValueError(
                    f"splits.{split} = {written}, but {source} give {cases} cases: leave splits.{split} out"
                )
        # a frozen table, completed before anybody has seen it
        object.__setattr__(self, "splits", self.splits.model_copy(update=follow))
        return self


class PendulumEvaluation(EvaluationTable):
    """The common table, and how chaos is measured."""

    warm_starts: tuple[Positive, ...] = ()
    context: Positive = 1.0
    """s that every model is shown; the rest of T is forecast."""
    lyapunov_time: Positive = 300.0
    """s of tangent integration for every test case."""
    chaotic_above: Annotated[float, Field(ge=0)] = 0.5
    """1/s. Cases whose largest exponent is above it are `chaotic`, the others `regular`, weak chaos included."""
    surrogate_lyapunov_cases: Annotated[int, Field(ge=0)] = 32
    """Test cases of each group, the first ones, whose exponent is measured along the surrogate's rollout."""
    surrogate_lyapunov_time: Positive = 50.0
    """s; the truth they are compared with has the same span."""

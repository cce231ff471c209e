"""The seams: what a system, a dataset, a surrogate, an oracle and an engine are to the rest of the program.

Nothing here computes. A new system needs the members of `System` and nothing else; `emulant.systems.base` has
defaults for most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.tables import DataConfig, Table
from emulant.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

Array: TypeAlias = NDArray[Any]
Fields: TypeAlias = Mapping[str, Array]
Status: TypeAlias = Literal["ok", "rejected", "failed"]


# -- the work ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """A fixed range of cases that is computed and written as one piece."""

    id: str
    split: str
    cases: tuple[int, ...]
    pass_: str = "cases"
    root: Path | None = None
    """The run folder, where a pass finds what the passes before it have written; known to those who work on it."""

    def only(self, cases: Iterable[int]) -> Shard:
        """This shard with just the given cases."""
        wanted = frozenset(cases)
        return replace(self, cases=tuple(case for case in self.cases if case in wanted))


@dataclass(frozen=True)
class CaseResult:
    """What came of one case.

    `ok` has arrays; `rejected` (out of tolerance, not converged) is deterministic and belongs to the data;
    `failed` (raised, NaN, timed out, crashed) does not, and has a reason.
    """

    case: int
    arrays: Fields = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    """What a reader wants to know about the case beside its arrays; JSON types only, no clock. Of it, `family`,
    `group_key` and the table `parameters` become columns of `Dataset.cases`; surrogates see the parameters."""
    status: Status = "ok"
    reason: str = ""


Product: TypeAlias = Sequence[CaseResult]


# -- the data ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One array of a dataset: `dims` without the leading case axis, `unit` as in the documents ("1" for none)."""

    dtype: str
    dims: tuple[str, ...]
    unit: str = "1"
    optional: bool = False
    """A case may be without it: NaN there says that there is no value. Nowhere else is a number not finite."""

    def described(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        plain = {"dtype": self.dtype, "dims": self.dims, "unit": self.unit}
        return {**plain, "optional": True} if self.optional else plain


class Dataset(Protocol):
    """The cases of one split that are `ok`, in order.

    `cases` has at least the columns case (int), split, group_key and family (str), status; then parameters.
    Everything that must not be torn apart by a split or a fold (windows of one simulation, cutouts of one box)
    shares a `group_key`.
    """

    @property
    def split(self) -> str: ...

    @property
    def cases(self) -> pl.DataFrame: ...

    @property
    def schema(self) -> Mapping[str, Field]: ...

    @property
    def targets(self) -> tuple[str, ...]:
        """The fields that a surrogate puts out; their first dimension is the time axis of all sequences."""

    @property
    def geometry(self) -> Mapping[str, Any]:
        """Constants that a surrogate may use: box, grid, `step` between frames (unless `times` is a field)."""

    def __len__(self) -> int: ...

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        """The named fields, first axis = cases (numbers as in `self.cases`; None: all)."""

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        """`read` in pieces of at most `size` cases; shuffled as a pure function of (seed, epoch) if seed is given."""

    def select(self, cases: Sequence[int]) -> Dataset:
        """The same dataset with just these cases."""


class WindowStream(Protocol):
    """Random windows of one field, dealt out in batches while only a part of the dataset is in memory."""

    @property
    def count(self) -> int:
        """Windows in an epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """The batches of an epoch from number `start` on: windows (B, W, ...) and their cases' parameters (B, P).

        A pure function of seed and epoch; every window comes once, the last batch may be smaller.
        """


@runtime_checkable
class Streamed(Protocol):
    """A dataset that need not be read as a whole to be trained on. Learners of sequences use this if it is there."""

    def stream(
        self, field: str, length: int, size: int, *, parameters: Sequence[str] = (), seed: int = 0
    ) -> WindowStream:
        """Windows of `length` frames of a field, none across two cases, in batches of `size`."""


@dataclass(frozen=True)
class Finding:
    """One thing that `emulant validate` has found to be wrong."""

    where: str
    check: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.check}: {self.what}"


# -- the learners -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Context:
    """What a forecaster may see: K frames that end where the forecast begins, and nothing after them."""

    fields: Fields
    """(C, K, ...) each."""
    times: Array
    """(K,) in the system's unit of time, evenly spaced by `step`."""
    step: float
    geometry: Mapping[str, Any] = field(default_factory=dict)
    parameters: Fields = field(default_factory=dict)
    """(C,) each."""
    static: Fields = field(default_factory=dict)
    """What does not change in time: the fields without the time axis, (C, ...) each."""
    mask: Array | None = None

    @property
    def frames(self) -> int:
        return len(self.times)

    def last(self, frames: int) -> Context:
        """The context cut to its last `frames` frames."""
        fields = {name: array[:, -frames:] for name, array in self.fields.items()}
        return replace(self, fields=fields, times=self.times[-frames:])


@runtime_checkable
class Forecaster(Protocol):
    """Continues a sequence in closed loop."""

    Config: ClassVar[type[Table]]
    lag: int
    """Frames of context that it needs."""

    def __init__(self, config: Any) -> None: ...

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None: ...

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The target fields of the next `horizon` frames, (C, horizon, ...) each.

        NaN means "not put out" and is an error; a rollout that has left every bound must put out inf.
        """

    def save(self, folder: Path) -> list[Path]:
        """Write the weights; the files written."""

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self: ...


@runtime_checkable
class Oracle(Protocol):
    """A score that uses the truth and so bounds what a surrogate can reach. Called by evaluation only."""

    Config: ClassVar[type[Table]]
    lag: int

    def __init__(self, config: Any) -> None: ...

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None: ...

    def forecast_with_truth(self, context: Context, truth: Fields) -> dict[str, Array]: ...

    def save(self, folder: Path) -> list[Path]: ...

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self: ...


@dataclass(frozen=True)
class Inputs:
    """What an emulator may see: everything of some cases but the targets."""

    fields: Fields
    """(C, ...) each."""
    geometry: Mapping[str, Any] = field(default_factory=dict)
    parameters: Fields = field(default_factory=dict)
    """(C,) each."""

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))


@runtime_checkable
class Emulator(Protocol):
    """Maps a state to a state."""

    Config: ClassVar[type[Table]]

    def __init__(self, config: Any) -> None: ...

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None: ...

    def predict(self, inputs: Inputs, *, samples: int = 1, seed: int = 0) -> dict[str, Array]:
        """The target fields, (C, S, ...) each: S draws, pure in (inputs, samples, seed). What is deterministic puts
        out one, however many are asked for. NaN means "not put out" and is an error."""

    def save(self, folder: Path) -> list[Path]: ...

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self: ...


@runtime_checkable
class EmulationOracle(Protocol):
    """What `Oracle` is to a forecaster, to an emulator."""

    Config: ClassVar[type[Table]]

    def __init__(self, config: Any) -> None: ...

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None: ...

    def predict_with_truth(self, inputs: Inputs, truth: Fields) -> dict[str, Array]: ...

    def save(self, folder: Path) -> list[Path]: ...

    @classmethod
    def load(cls, folder: Path, config: Any) -> Self: ...


def resolve(target: Any) -> Any:
    """What "module:name" names, imported now; anything that is not a text is itself."""
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


EXTRAS = {"llm": "peft", "play": "starlette"}
"""The package that tells whether an extra is installed, where it has another name."""


def require_extra(extra: str, what: str) -> None:
    """See to it that an extra is installed, without importing it; `what` needs it.

    Raises:
        UsageError: It is not.
    """
    if find_spec(EXTRAS.get(extra, extra)) is None:
        raise UsageError(f"{what}: needs the extra `{extra}`.", f"Install it with `pip install 'emulant[{extra}]'`.")


@dataclass(frozen=True)
class Learner:
    """How a system names something that can be fitted, without importing it before it is needed.

    `target` is the class or its "module:Class"; `weights` the folder below models/ that its files go to, "" for
    models/ itself, by default its name. `follows` names a surrogate: if the study has it, this one takes its table and,
    by its method `follow`, what it needs of the fitted surrogate in place of a fit. `extra`: what of emulant's extras
    must be installed.
    """

    config: type[Table]
    target: str | type
    weights: str | None = None
    follows: str | None = None
    extra: str | None = None

    def resolve(self) -> Any:
        """The class, imported now.

        Raises:
            UsageError: It needs an extra that is not installed.
        """
        self.require()
        return resolve(self.target)

    def require(self) -> None:
        """See to it that what it needs is installed, without importing it.

        Raises:
            UsageError: It is not.
        """
        if self.extra:
            require_extra(self.extra, str(self.target))


# -- scores -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A score per case.

    Of a forecast: `score(truth, forecast, info)` takes the target fields (C, H, ...) of both and gives (C, H): the
    value over the first h+1 forecast frames. Of an emulator: truth is (C, ...), the prediction (C, S, ...) with S
    draws, and the score (C,).

    NaN: undefined for that case (left out, and `n` is smaller); a value that many cases share, such as that of a box,
    stands at one of them. `info` has the `geometry`, the `cases` (a frame, their rows of `Dataset.cases`), of forecasts
    the lead `times` (H,), what the system's `scoring` adds, and as `probe` what its `probe` has found of the model.
    """

    score: Callable[[Fields, Fields, Mapping[str, Any]], Array]
    unit: str
    meaning: str
    better: Literal["higher", "lower"]
    perfect: float = 0.0
    """The value of a forecast without error."""
    aggregate: Literal["mean", "rms", "median", "q95", "max", "ratio", "rms_difference"] = "mean"
    """How cases become one number. `rms`: `score` gives mean squares, and the root is taken of their mean. `q95`: what
    95 % of the cases do not exceed. `ratio`: `score` gives numerators and denominators, (2, C, ...), and their sums are
    divided. `rms_difference`: mean squares of the model and of another, (2, C, ...), and the roots of their means are
    subtracted: the interval is that of a paired comparison."""
    horizons: tuple[float, ...] | None = None
    """An axis of its own, such as wave numbers, in place of lead times: `score` gives (C, len(horizons)). With no
    horizon on it, (), the score is (C,) and has no lead time. None: lead times, of which an emulator has none."""


# -- the system and the engine ----------------------------------------------------------------------------------


class System(Protocol):
    """A kind of physics that can be simulated, with everything that knows that physics."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str:
        """One line for `emulant systems`."""

    @property
    def task(self) -> Literal["forecast", "emulation"]:
        """What its surrogates do: continue a sequence, or map a state to a state."""

    @property
    def version(self) -> int:
        """Raised when the same study gives other bytes."""

    @property
    def headline(self) -> str:
        """The metric that the report's verdict is about."""

    @property
    def Config(self) -> type[DataConfig]:
        """Its tables of the study."""

    @property
    def Evaluation(self) -> Any:
        """`[evaluation]`: made of `ScoringTable`."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The arrays of its datasets."""

    @property
    def PredictOptions(self) -> type[Table]: ...

    @property
    def RenderOptions(self) -> type[Table]: ...

    @property
    def ExportOptions(self) -> type[Table]: ...

    @property
    def passes(self) -> Sequence[str]:
        """What generation runs in order; most systems have just ("cases",)."""

    @property
    def surrogates(self) -> Mapping[str, Learner]: ...

    @property
    def baselines(self) -> Mapping[str, Learner]: ...

    @property
    def oracles(self) -> Mapping[str, Learner]: ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Name -> metric; NAME/PART is the metric NAME of a part of the field, which stands in a group of its own."""

    @property
    def figures(self) -> Mapping[str, Any]:
        """Name -> function of an opened run, or its "module:name": a drawing, or None if there is nothing to draw."""

    @property
    def probe(self) -> Any:
        """Function of a model's name, the model, a test split and `[evaluation]` (or its "module:name"), or None: what
        is measured of the model itself and does not follow from its predictions, (C,) each; kept beside them."""

    @property
    def films(self) -> Any:
        """Function of an opened run (or its "module:name"): the films of its report."""

    @property
    def render(self) -> Any:
        """Function of an opened run and `RenderOptions` (or its "module:name"): the files that it has drawn."""

    @property
    def play(self) -> Any:
        """Function of an opened run (or its "module:name"), or None: the `emulant.play.parts.Play` of it."""

    @property
    def exports(self) -> Mapping[str, Any]:
        """Format -> function of an opened run, its splits, a target and `ExportOptions` (or its "module:name"): the
        files written."""

    @property
    def board(self) -> Sequence[str]:
        """The metrics that leaderboards show beside the headline and the skill, the others on demand; empty: all."""

    @property
    def physics(self) -> Sequence[str]:
        """The metrics that say whether a surrogate keeps the physics: conservation, drift, bounds, symmetries."""

    @property
    def citations(self) -> Mapping[str, str]:
        """What was used -> the work to cite; the name of a surrogate, baseline or oracle only where it is scored."""

    @property
    def time_unit(self) -> str:
        """The unit of `times`, and so of lead times and horizons."""

    @property
    def limits(self) -> Sequence[str]:
        """What every report of the system says of its validity, one sentence each."""

    @property
    def films_note(self) -> str:
        """What a reader of the report should know of all its films."""

    @property
    def studies(self) -> Path | None:
        """The folder of its presets: NAME.toml is the plain study, NAME-PRESET.toml the others."""

    @property
    def kernels(self) -> Sequence[str]:
        """Heavy modules that only simulations need; workers have them before the first case."""

    @property
    def mendable(self) -> bool:
        """Whether cases fail for files that a user may have mended since: then every call tries failed cases again."""

    @property
    def data_files(self) -> Sequence[str]:
        """Patterns of the files that its data are in, in a tree that emulant did not make."""

    @property
    def tolerance(self) -> float:
        """How far a case that is simulated again may be from the first time, on another platform."""

    @property
    def examples(self) -> Mapping[str, Any]:
        """Name -> function of a fitted model (or its "module:name"): what it says of a known input, as lines."""

    def splits(self, config: Any) -> Mapping[str, int]:
        """The splits in order and how many cases each has."""

    def shards(self, config: Any, pass_: str, split: str) -> Sequence[Shard]: ...

    def simulate(self, shard: Shard, config: Any) -> Product:
        """Pure: one result per case of the shard, in order, whatever else runs beside it."""

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        """Write the `ok` cases below the split's folder, each file atomically; the files written."""

    def open(self, folder: Path, config: Any | None = None) -> Dataset: ...

    def frames(self, config: Any) -> int | None:
        """Frames of the shortest case; None: not known before it is simulated."""

    def context_frames(self, config: Any, evaluation: Any, longest_lag: int) -> int:
        """Frames that every forecast of a cold start is shown."""

    def inputs(self, config: Any) -> Mapping[str, str]:
        """Files outside the run that cases are made of, each with its sha256: they belong to the key of the data."""

    def manifest(self, config: Any, split: str) -> Mapping[str, Any]:
        """What the manifest of a split should say beyond the common, such as the files that it was made from."""

    def notes(self, config: Any) -> Sequence[str]:
        """What a reader of the results should be told about the simulations, one sentence each."""

    def describe(self, dataset: Dataset, evaluation: Any, folder: Path) -> Any:
        """`dataset.cases` with what evaluation should know beyond it; `folder` is the run's evaluation/."""

    def evaluated(self, dataset: Dataset, evaluation: Any) -> Dataset:
        """The cases of a test split that are scored."""

    def scoring(self, run: Any) -> Mapping[str, Any]:
        """What the metrics of an opened run need to know beyond times, geometry and cases."""

    def predictions(self, folder: Path) -> Any:
        """How the predictions of one model are kept in a folder: see `emulant.evaluation.predictions`."""

    def resimulate(self, dataset: Dataset, case: int, config: Any, root: Path) -> CaseResult:
        """A case of a dataset once more; `root` is the run folder."""

    def preferred(self, run: Any, options: Any) -> str | None:
        """The surrogate that `emulant predict` uses if none is named; None: the study has none."""

    def derive(self, scores: pl.DataFrame, folder: Path) -> Sequence[Path]:
        """Write what else is made of metrics.csv into `folder`, the run's evaluation/; the files written."""

    def check(self, dataset: Dataset) -> Iterable[Finding]:
        """The physics: conservation, drift, overlap."""

    @property
    def recognise(self) -> Any:
        """Function of a folder without study, or None: the study of a tree made elsewhere, None if it is not of this
        system."""

    @property
    def check_deeply(self) -> Any:
        """Function of a dataset and a number of cases, or None: the findings of tests that take long."""

    @property
    def check_files(self) -> Any:
        """Function of a run's folder, or None: the findings on files beside the datasets."""

    @property
    def check_leaks(self) -> Any:
        """Function of split -> dataset, or None for the general one: the findings on cases that are in there twice."""

    @property
    def checks_values(self) -> bool:
        """Whether `check` looks at shapes and at every number itself, so that nobody else need read them all."""

    @property
    def reads(self) -> Any:
        """Function of a path, or None: whether it can validate files there that are of no run. Then it also has
        `ValidateOptions`, a table, and `check_loose(path, options, deep, resimulate)`: cases, notes, findings."""

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: Any) -> None:
        """A file in, a file out."""


@dataclass(frozen=True)
class ShardOutcome:
    """What an engine says of a shard that it has worked on."""

    shard: Shard
    ok: int = 0
    rejected: int = 0
    failed: int = 0
    seconds: float = 0.0


class Work(Protocol):
    """What is to be done with a shard; picklable, so that any engine can carry it to its workers."""

    @property
    def timeout(self) -> float | None:
        """Seconds that one case may take."""

    @property
    def modules(self) -> Sequence[str]:
        """What a worker will need, to be imported once before workers are forked."""

    def __call__(self, shard: Shard, excluded: Mapping[int, str] | None = None) -> ShardOutcome:
        """Simulate and store the shard; `excluded` cases are not tried but recorded as failed, with that reason."""

    def probe(self, shard: Shard) -> None:
        """Simulate without storing: does it come back at all?"""


class Engine(Protocol):
    """Where shards run. The engine's word is never the truth: a shard is done when the store says so."""

    def run(self, shards: Sequence[Shard], work: Work) -> Iterator[ShardOutcome]: ...


def as_float64(array: Array) -> NDArray[np.float64]:
    """C-contiguous little-endian float64, the form in which arrays are stored and hashed."""
    return np.ascontiguousarray(array, dtype="<f8")

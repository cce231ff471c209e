"""Defaults for a system: what it need not write itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from emulant.dataset import npz
from emulant.dataset.seams import CaseResult, Dataset, Field, Finding, Learner, Metric, Product, Shard
from emulant.dataset.tables import DataConfig, Table
from emulant.errors import UsageError
from emulant.evaluation.emulations import Emulations
from emulant.evaluation.metrics import field_metrics
from emulant.evaluation.predictions import Predictions
from emulant.evaluation.table import EvaluationTable, ScoringTable

PERSISTENCE = Learner(Table, "emulant.surrogates.baselines.persistence:Persistence")
CLIMATOLOGY = Learner(Table, "emulant.surrogates.baselines.climatology:Climatology")


class BaseSystem:
    """A system of one pass whose cases are arrays of one shape each, stored as one NPZ per shard.

    A subclass gives `name`, `summary`, `Config`, `fields`, `targets` and `simulate_case`; the rest has a default.
    """

    name: str
    summary: str
    task: Literal["forecast", "emulation"] = "forecast"
    """What its surrogates do: continue a sequence, or map a state to a state (then `baselines` and `metrics` are its
    own, and `Evaluation` is made of `EmulationTable`)."""
    version: int = 1
    """Raise it when the same study would give other bytes: old data are then known to be of another physics."""
    Config: type[DataConfig] = DataConfig
    fields: Mapping[str, Field] = {}
    targets: Sequence[str] = ()
    Evaluation: type[ScoringTable] = EvaluationTable
    PredictOptions: type[Table] = Table
    RenderOptions: type[Table] = Table
    ExportOptions: type[Table] = Table
    ValidateOptions: type[Table] = Table
    passes: Sequence[str] = ("cases",)
    mendable: bool = False
    """Whether cases fail for files that a user may have mended since: then every call tries failed cases again."""
    kernels: Sequence[str] = ()
    """Heavy modules that only simulations need; workers have them before the first case."""
    data_files: Sequence[str] = ("*.npz",)
    """Patterns of the files that its data are in, in a tree that emulant did not make."""
    tolerance: float = 0.0
    """How far a case that is simulated again may be from the first time, on another platform."""
    recognise: Any = None
    check_deeply: Any = None
    check_files: Any = None
    check_leaks: Any = None
    checks_values = False
    reads: Any = None
    surrogates: Mapping[str, Learner] = {}
    baselines: Mapping[str, Learner] = {"persistence": PERSISTENCE, "climatology": CLIMATOLOGY}
    oracles: Mapping[str, Learner] = {}
    figures: Mapping[str, Any] = {}
    probe: Any = None
    films: Any = None
    limits: Sequence[str] = ()
    """What every report of the system says of its validity, one sentence each."""
    films_note: str = ""
    """What a reader of the report should know of all its films."""
    render: Any = None
    play: Any = None
    exports: Mapping[str, Any] = {}
    examples: Mapping[str, Any] = {}
    headline: str = "r2"
    time_unit: str = "s"
    """Of lead times."""
    board: Sequence[str] = ()
    """The metrics that leaderboards show beside the headline and the skill, the others on demand; empty: all."""
    physics: Sequence[str] = ()
    """The metrics that say whether a surrogate keeps the physics; the report gives them a table of their own."""
    citations: Mapping[str, str] = {}
    """What was used -> the work to cite; the name of a surrogate, baseline or oracle only where it is scored."""
    studies: ClassVar[Path | None] = None
    """The folder of its presets: NAME.toml is the plain study, NAME-PRESET.toml the others."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        known = field_metrics(self.targets[0])
        return {name: known[name] for name in ("r2", "rmse", "rel_l2", "tau_tol")}

    def splits(self, config: Any) -> Mapping[str, int]:
        return {name: count for name, count in config.splits.model_dump().items() if count}

    def shards(self, config: Any, pass_: str, split: str) -> Sequence[Shard]:
        """Ranges of `dataset.shard_cases` cases."""
        count, size = self.splits(config)[split], config.dataset.shard_cases
        starts = range(0, count, size)
        return [
            Shard(f"{index:05d}", split, tuple(range(start, min(start + size, count))), pass_)
            for index, start in enumerate(starts)
        ]

    def simulate(self, shard: Shard, config: Any) -> Product:
        return [self.simulate_case(shard.split, case, config) for case in shard.cases]

    def simulate_case(self, split: str, case: int, config: Any) -> CaseResult:
        """One case; pure in (split, case, config). Random numbers come from `seeds.case_stream`."""
        raise NotImplementedError(f"{type(self).__name__} needs simulate_case or simulate")

    def resimulate(self, dataset: Dataset, case: int, config: Any, root: Path) -> CaseResult:
        """A case of a dataset once more; `root` is the run folder."""
        return self.simulate(Shard("again", dataset.split, (case,), self.passes[-1], root), config)[0]

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        return npz.write_shard(shard, product, folder)

    def open(self, folder: Path, config: Any | None = None) -> Dataset:
        return npz.open_split(folder, self.fields, self.targets, self.geometry(config))

    def geometry(self, config: Any) -> Mapping[str, Any]:
        """Constants that a surrogate may use; `step` (time between frames) at the least."""
        return {"step": 1.0}

    def frames(self, config: Any) -> int | None:
        """Frames of the shortest case; None: not known before it is simulated."""
        return None

    def context_frames(self, config: Any, evaluation: Any, longest_lag: int) -> int:
        """Frames that every forecast of a cold start is shown."""
        return 0 if self.task == "emulation" else int(evaluation.context_frames or longest_lag)

    def inputs(self, config: Any) -> Mapping[str, str]:
        """Files outside the run that cases are made of, each with its sha256: they belong to the key of the data."""
        return {}

    def manifest(self, config: Any, split: str) -> Mapping[str, Any]:
        """What the manifest of a split should say beyond the common, such as the files that it was made from."""
        return {}

    def notes(self, config: Any) -> Sequence[str]:
        """What a reader of the results should be told about the simulations, one sentence each."""
        return ()

    def describe(self, dataset: Dataset, evaluation: Any, folder: Path) -> Any:
        """`dataset.cases` with what evaluation should know beyond it, such as families that only the truth tells."""
        return dataset.cases

    def evaluated(self, dataset: Dataset, evaluation: Any) -> Dataset:
        """The cases of a test split that are scored."""
        return dataset

    def scoring(self, run: Any) -> Mapping[str, Any]:
        """What the metrics of an opened run need to know beyond times, geometry and cases."""
        return {}

    def predictions(self, folder: Path) -> Any:
        """How the predictions of one model are kept in a folder."""
        return Emulations(folder) if self.task == "emulation" else Predictions(folder)

    def preferred(self, run: Any, options: Any) -> str | None:
        """The surrogate that `emulant predict` uses if none is named; None: the study has none."""
        return next(iter(run.study.surrogates), None)

    def derive(self, scores: Any, folder: Path) -> Sequence[Path]:
        """Write what else is made of metrics.csv into `folder`, the run's evaluation/; the files written."""
        return ()

    def check(self, dataset: Dataset) -> Iterable[Finding]:
        return ()

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: Any) -> None:
        raise UsageError(f"the system `{self.name}` has no `predict` for files of the user.")

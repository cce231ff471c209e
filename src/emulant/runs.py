"""A run folder, opened: its study, datasets, models, metrics and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

from emulant import study as studies
from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Dataset, Learner, System
from emulant.dataset.store import Manifest, Store, StoredFile
from emulant.dataset.tables import Table
from emulant.errors import DataError, SurrogateError, UsageError
from emulant.folder import RunFolder
from emulant.study import Study
from emulant.training.table import WHERE

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["surrogate", "baseline", "oracle"]
KINDS: tuple[Kind, ...] = ("surrogate", "baseline", "oracle")
CARD_VERSION = 1


@dataclass(frozen=True)
class Entrant:
    """One row of the leaderboard: a learner with its settings."""

    name: str
    kind: Kind
    learner: Learner
    config: Table
    follows: str | None = None
    """The surrogate of the study that it is taken from, in place of a fit."""

    def settings(self) -> dict[str, Any]:
        """All settings as JSON types, a network's schedule of training filled in."""
        plain: dict[str, Any] = studies.scheduled(self.config).model_dump(mode="json")
        return plain

    def build(self) -> Any:
        return self.learner.resolve()(self.config)


class ModelCard(BaseModel):
    """`models/NAME/model.json`: what was fitted to which data, and the hash of every file that it is made of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    name: str
    kind: Kind
    config: dict[str, Any]
    key: str
    data: dict[str, str]
    """Split -> dataset_sha256 that it was fitted to."""
    files: tuple[StoredFile, ...]
    """Paths below models/."""
    emulant: str


@dataclass(frozen=True)
class Run:
    """An opened run folder. Cheap: everything is read when it is asked for."""

    folder: RunFolder
    study: Study
    judged: str = ""
    """The split that is scored in place of the test splits; empty: those."""

    @classmethod
    def open(cls, path: str | Path, study: str | Path | None = None, system: System | None = None) -> Run:
        """Open a run folder, or a tree that was made elsewhere to a source document.

        Args:
            path: The run folder.
            study: The study of a tree that has no `study.toml`.
            system: The system itself, for one that is not installed.

        Raises:
            UsageError: There is no such folder, or nobody says what is in it.
        """
        folder = RunFolder(Path(path))
        if not folder.root.is_dir():
            raise UsageError(f"{path}: there is no such run folder.", "`emulant run STUDY -o RUN` makes one.")
        if study is not None:
            return cls(folder, studies.load(study, system=system))
        if folder.study.is_file():
            return cls(folder, studies.load(folder.study, system=system))
        return cls(folder, _recognise(folder))

    def with_study(self, overrides: Sequence[str]) -> Run:
        """The same run with overridden settings of the stages after the data."""
        document = studies.overridden(self.study.document(), overrides)
        return replace(self, study=studies.from_document(document, self.study.source, self.study.system))

    def judged_on(self, split: str) -> Run:
        """The same run, scored on another split than the test splits; those scores lie in `evaluation/SPLIT/`."""
        return replace(self, folder=RunFolder(self.folder.root, f"evaluation/{split}"), judged=split)

    # -- data

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the study asks for or, in a tree made elsewhere, those that are there."""
        asked = self.study.system.splits(self.study.config)
        return tuple(name for name in asked if self.folder.split(name).is_dir())

    @property
    def is_ours(self) -> bool:
        """Whether emulant simulated (or began to simulate) the data; False: the tree was made elsewhere."""
        return any(Store(self.folder.split(name)).is_ours for name in self.splits) or not self.splits

    @property
    def test_splits(self) -> tuple[str, ...]:
        """The splits that are scored, of those that are there."""
        if self.judged:
            return (self.judged,) if self.judged in self.splits else ()
        return tuple(name for name in self.splits if name.startswith("test"))

    def dataset(self, split: str) -> Dataset:
        """The `ok` cases of a split.

        Raises:
            DataError: The split is not there, or damaged.
        """
        path = self.folder.split(split)
        if not path.is_dir():
            raise DataError(f"{path}: there is no split `{split}`.", "`emulant generate` makes it.")
        return self.study.system.open(path, self.study.config)

    def dataset_sha256(self, split: str) -> str:
        """The hash of a split; of a tree that was made elsewhere, that of its files."""
        manifest = Manifest.read(self.folder.split(split))
        if manifest is not None:
            return manifest.dataset_sha256
        path = self.folder.split(split)
        patterns = self.study.system.data_files
        files = sorted({file for pattern in patterns for file in path.rglob(pattern) if file.is_file()})
        return hash_value([StoredFile.of(file, path).model_dump() for file in files])

    def verify(self, split: str) -> None:
        """See to it that a split is what the study asks for, to the byte; trees made elsewhere are as they are.

        Raises:
            DataError: It is missing, or a shard of it is missing, damaged or of another study.
        """
        folder, system = self.folder.split(split), self.study.system
        mend = "`emulant generate` makes what is missing; `emulant validate` tells more."
        if not folder.is_dir():
            raise DataError(f"{folder}: is missing.", mend)
        store = Store(folder)
        if not store.is_ours:
            return
        shards = system.shards(self.study.config, system.passes[-1], split)  # what those before it made is used up
        for shard in shards:
            if not store.is_done(shard, self.study.data_key):
                raise DataError(f"{folder}: shard {shard.id} is missing, damaged or of another study.", mend)
        if store.digest(system.fields, shards) != self.dataset_sha256(split):
            raise DataError(f"{folder}: its manifest is not of these shards.", mend)

    # -- models

    def entrants(self) -> Iterator[Entrant]:
        """Everything that is scored, in the order of the table: surrogates, baselines, oracles."""
        system, chosen = self.study.system, self.study.surrogates
        for name, choice in chosen.items():
            # Only the learner of that very name may have a place of its own; a second table of its kind may not.
            learner = choice.learner if name == choice.kind else replace(choice.learner, weights=None)
            yield Entrant(name, "surrogate", learner, choice.config)
        for name, learner in system.baselines.items():
            yield Entrant(name, "baseline", learner, learner.config())
        for name, learner in system.oracles.items():
            followed = next((key for key, choice in chosen.items() if choice.kind == learner.follows), None)
            config = chosen[followed].config if followed else learner.config()
            yield Entrant(name, "oracle", learner, config, followed)

    def entrant(self, name: str) -> Entrant:
        """The entrant of that name.

        Raises:
            UsageError: The study has none of that name.
        """
        known = {entrant.name: entrant for entrant in self.entrants()}
        if name not in known:
            raise UsageError(f"{self.folder.root}: the study has no surrogate `{name}`.", f"It has {', '.join(known)}.")
        return known[name]

    def model_key(self, entrant: Entrant) -> str:
        """Hash of all that decides the weights: the data that they are fitted to, and the settings."""
        data = {name: self.dataset_sha256(name) for name in ("training", "validation") if name in self.splits}
        followed = self.model_key(self.entrant(entrant.follows)) if entrant.follows else None
        settings = entrant.settings()
        if "training" in settings:
            settings["training"] = {key: value for key, value in settings["training"].items() if key not in WHERE}
        return hash_value([self.study.data_key, data, entrant.name, settings, followed])

    def card(self, name: str) -> ModelCard | None:
        """The card of a fitted model; None if there is none."""
        path = self.folder.model_card(name)
        try:
            return ModelCard.model_validate(unsealed(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: is not a model card.", "`emulant train` makes it anew.") from error

    def is_fitted(self, entrant: Entrant) -> bool:
        """Whether the model on disk is the one that the study and the data ask for, whole."""
        try:
            card = self.card(entrant.name)
        except DataError:
            return False
        if card is None or card.key != self.model_key(entrant):
            return False
        return not any(file.fault(self.folder.models) for file in card.files)

    def weights(self, entrant: Entrant) -> Path:
        """The folder that a model's files are in."""
        where = entrant.name if entrant.learner.weights is None else entrant.learner.weights
        return self.folder.models / where

    def is_usable(self, entrant: Entrant) -> bool:
        """Whether there is something to load: a card, or weights that were made elsewhere in the documented place."""
        made_elsewhere = entrant.learner.weights == "" and any(self.folder.models.glob("*.npz"))
        return self.folder.model_card(entrant.name).is_file() or made_elsewhere

    def model(self, name: str) -> Any:
        """A fitted surrogate, baseline or oracle, its files checked against their hashes.

        Raises:
            SurrogateError: It is not trained.
            DataError: A file is missing or damaged.
        """
        entrant, card = self.entrant(name), self.card(name)
        if not self.is_usable(entrant):
            raise SurrogateError(f"{self.folder.root}: `{name}` is not trained.", "`emulant train` does it.")
        for file in card.files if card else ():
            if fault := file.fault(self.folder.models):
                raise DataError(f"{self.folder.models / file.path}: {fault}.", "`emulant train` makes it anew.")
        return entrant.learner.resolve().load(self.weights(entrant), entrant.config)

    # -- results

    @property
    def metrics(self) -> pl.DataFrame:
        """`evaluation/metrics.csv` as a frame.

        Raises:
            DataError: The run is not evaluated, or the file is damaged.
        """
        from emulant.evaluation import scores

        return scores.read(self.folder.metrics)

    @property
    def case_scores(self) -> pl.DataFrame:
        """`evaluation/cases.csv`: the scores case by case.

        Raises:
            DataError: The run is not evaluated, or the file is damaged.
        """
        from emulant.evaluation import cases

        return cases.read(self.folder.case_scores)

    def ranking(self) -> pl.DataFrame:
        """A row per model, a column per metric: cold start, first test split, all forecast frames; best first."""
        import polars as pl

        system = self.study.system
        rows = self.metrics.filter(pl.col("split") == self.test_splits[0], group="all", horizon="all")
        better = system.metrics[system.headline].better
        wide = rows.pivot("metric", index=["model", "kind"], values="value")
        return wide.sort(system.headline, descending=better == "higher")

    def best(self) -> str:
        """The best surrogate by the headline metric.

        Raises:
            SurrogateError: The study has no surrogate.
        """
        ranked = self.ranking().filter(kind="surrogate")["model"].to_list()
        if not ranked:
            raise SurrogateError(f"{self.folder.root}: no surrogate is scored.", "Name one by --surrogate.")
        return str(ranked[0])

    def prediction(self, model: str, split: str, case: int, start: str = "") -> dict[str, Any]:
        """The kept forecast of a case: the target fields (H, ...), `times` (H,), `context` (frames it started from).

        Raises:
            DataError: It is not there, or damaged.
        """
        kept = self.study.system.predictions(self.folder.predictions(model))
        one: dict[str, Any] = kept.one(split, case, f"@{start}" if start else "", self.dataset(split).targets)
        return one

    @property
    def report(self) -> Mapping[str, Any]:
        """`report.json` as a dictionary.

        Raises:
            DataError: There is no report yet, or it is damaged.
        """
        return read_json(self.folder.report_json, "`emulant report` writes it.")


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the hash of its own content, so that an edited card is known."""
    return {**value, "sealed": hash_value(value)}


def unsealed(content: bytes) -> dict[str, Any]:
    """The value of a sealed JSON object.

    Raises:
        ValueError: It is not JSON, not an object, or not what was sealed.
    """
    value = orjson.loads(content)
    if not isinstance(value, dict) or value.pop("sealed", None) != hash_value(value):
        raise ValueError("its content is not what was written")
    return value


def read_json(path: Path, mend: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: It is missing or damaged; `mend` says which command writes it.
    """
    try:
        value: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: is missing.", mend) from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise DataError(f"{path}: is not JSON: {error}.", mend) from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: is not a JSON object.", mend)
    return value


def _recognise(folder: RunFolder) -> Study:
    """The study of a tree without `study.toml`, from what its files say."""
    from emulant import systems

    for system in systems.working():
        document = system.recognise(folder.root) if system.recognise else None
        if document is not None:
            return studies.from_document(document, str(folder.root))
    raise UsageError(
        f"{folder.root}: has no study.toml, and its files do not say which system they are of.",
        "Say it with --study, such as --study swarm.",
    )

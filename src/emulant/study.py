"""The study file: one TOML document, composed of the tables that the rooms own.

Every fault is found in one go and told with its key, what is allowed and the nearest right name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from emulant import systems
from emulant.dataset.hashing import hash_value
from emulant.dataset.seams import Learner, System
from emulant.dataset.tables import DataConfig, Table
from emulant.errors import Fault, StudyError, UsageError
from emulant.evaluation.table import ScoringTable
from emulant.reporting.table import ReportTable
from emulant.training.table import TrainedTable, TrainingTable, merge

Document = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """A surrogate that the study asks for: what learns, and its settings."""

    kind: str
    """The name that the system knows the learner by; several tables may be of one kind."""
    learner: Learner
    config: Table
    """With everything that decides about the weights: `[training]` is merged in."""
    own: TrainingTable | None = None
    """What `[surrogates.NAME.training]` alone has set."""

    def written(self, name: str) -> Document:
        """The table as it stands in a study file; what `[training]` says is not repeated here."""
        table = _plain(self.config)
        if self.own is not None:
            table["training"] = self.own.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return table if self.kind == name else {**table, "kind": self.kind}


@dataclass(frozen=True)
class Study:
    """A study without faults."""

    source: str
    system: System
    config: DataConfig
    evaluation: ScoringTable
    report: ReportTable
    surrogates: Mapping[str, Choice]
    training: TrainingTable

    @property
    def data_key(self) -> str:
        """Hash of everything that decides the bytes of a case; the number of cases is no part of it.

        Raises:
            DataError: A file that cases are made of is missing.
        """
        inputs = dict(self.system.inputs(self.config))
        further = {"system version": self.system.version} | ({"inputs": inputs} if inputs else {})
        return hash_value(data_tables(self.document()) | further)

    @property
    def context_frames(self) -> int:
        """Frames that every forecast starts from: what the study says, else the longest lag among the surrogates."""
        lags = [int(getattr(choice.config, "lag", 1)) for choice in self.surrogates.values()]
        return self.system.context_frames(self.config, self.evaluation, max(lags, default=1))

    def document(self) -> Document:
        """The study with every default filled in, as plain TOML types."""
        tables = _plain(self.config)
        tables["surrogates"] = {name: choice.written(name) for name, choice in self.surrogates.items()}
        common: Document = self.training.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        if common:
            tables["training"] = common
        return {**tables, "evaluation": _plain(self.evaluation), "report": _plain(self.report)}

    def to_toml(self) -> str:
        return tomli_w.dumps(self.document())


def scheduled(config: Table) -> Table:
    """A surrogate's table with its own recipe filled in."""
    return config.model_copy(update={"training": config.schedule()}) if isinstance(config, TrainedTable) else config


def _plain(table: BaseModel) -> Document:
    plain: Document = table.model_dump(mode="json", exclude_none=True)
    return plain


_STAGES = frozenset({"surrogates", "training", "evaluation", "report", "splits"})
"""The tables that decide no byte of a case (but shares of a whole decide which split a case belongs to)."""


def data_tables(document: Document) -> Document:
    """What of a study decides the bytes of a case (sizes of splits and limits of patience do not)."""
    kept = {key: value for key, value in document.items() if key not in _STAGES}
    table = document.get("dataset")
    settings = table if isinstance(table, dict) else {}
    dataset = {key: value for key, value in settings.items() if key not in ("timeout", "allowed_failures")}
    sizes = document.get("splits")
    shares = {
        key: value for key, value in (sizes if isinstance(sizes, dict) else {}).items() if isinstance(value, float)
    }
    return {**kept, "dataset": dataset, **({"splits": shares} if shares else {})}


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys whose values differ."""
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}"


# -- presets ------------------------------------------------------------------------------------------------------


def presets() -> dict[str, Path]:
    """The built-in studies by name: `swarm`, `swarm:smoke`, ..."""
    found = {}
    for system in systems.working():
        folder = system.studies
        for path in sorted(folder.glob("*.toml")) if folder else ():
            found[path.stem.replace("-", ":", 1)] = path
    return found


def preset(name: str) -> Path:
    """The file of a built-in study.

    Raises:
        UsageError: There is none of that name.
    """
    known = presets()
    if name not in known and name in systems.names():
        raise UsageError(f"the system `{name}` brings no study of its own.", "Write a study file; its manual has one.")
    if name not in known:
        near = get_close_matches(name, known, n=1)
        mend = f"Did you mean `{near[0]}`?" if near else ""
        raise UsageError(
            f"there is no study `{name}`: neither a file nor one of the built-in {', '.join(known)}.", mend
        )
    return known[name]


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What a surrogate may be called: its name is that of a folder."""


# -- loading --------------------------------------------------------------------------------------------------------


def load(
    source: str | Path, overrides: Sequence[str] = (), seed: int | None = None, system: System | None = None
) -> Study:
    """Read a study and check all of it.

    Args:
        source: A TOML file, or the name of a built-in study (`swarm`, `swarm:smoke`).
        overrides: `table.key=value` each; the value is read as TOML, and what is not valid TOML is a string.
        seed: Replaces the study's seed.
        system: The system itself, for one that is not installed; otherwise `system.name` says which.

    Raises:
        StudyError: All faults of the study.
        UsageError: There is no such study, or an override is not of the form `key=value`.
    """
    path = Path(source)
    if not path.is_file():
        path = preset(str(source))
    document = parse(path, str(source))
    for override in overrides:
        _override(document, override)
    if seed is not None:
        document["seed"] = seed
    return from_document(document, str(source), system)


def overridden(document: Document, overrides: Sequence[str]) -> Document:
    """A copy of a document with `table.key=value` overrides."""
    copy: Document = tomllib.loads(tomli_w.dumps(document))
    for override in overrides:
        _override(copy, override)
    return copy


def parse(path: Path, source: str) -> Document:
    """The TOML document of a file, unchecked.

    Raises:
        StudyError: It is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise StudyError(source, [Fault("TOML", str(error))]) from None
    except UnicodeDecodeError:
        raise StudyError(source, [Fault("TOML", "is not UTF-8 text")]) from None


def _override(document: Document, override: str) -> None:
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise UsageError(f"--set {override}: is not of the form table.key=value.")
    table = document
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {override}: `{part}` is a value, not a table.")
    try:
        table[parts[-1]] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[parts[-1]] = text.strip()


def from_document(document: Document, source: str, system: System | None = None) -> Study:
    """Check a parsed study.

    Raises:
        StudyError: All its faults.
    """
    system = system or _system(document, source)
    own = {"surrogates", "training", "evaluation", "report"}
    data = {key: value for key, value in document.items() if key not in own}
    faults: list[Fault] = []
    config = _check(system.Config, data, "", faults, extra_names=own)
    evaluation = _check(system.Evaluation, document.get("evaluation", {}), "evaluation", faults)
    report = _check(ReportTable, document.get("report", {}), "report", faults)
    training = _check(TrainingTable, document.get("training", {}), "training", faults)
    surrogates = _surrogates(system, document.get("surrogates", {}), faults)
    if faults:
        raise StudyError(source, faults)
    surrogates = {name: _trained(choice, training) for name, choice in surrogates.items()}
    study = Study(source, system, config, evaluation, report, surrogates, training)
    _check_context(study)
    _check_monitors(study)
    return study


def _system(document: Document, source: str) -> System:
    table = document.get("system")
    name = table.get("name") if isinstance(table, dict) else None
    if not isinstance(name, str):
        fault = Fault("system.name", "is missing", f"one of {', '.join(systems.names())}")
        raise StudyError(source, [fault])
    if name not in systems.names():
        raise StudyError(
            source, [Fault("system.name", f"there is no system {name!r}", _nearest(name, systems.names()))]
        )
    return systems.load(name)


def _surrogates(system: System, tables: Any, faults: list[Fault]) -> dict[str, Choice]:
    if not isinstance(tables, dict):
        faults.append(Fault("surrogates", "must be a table of tables, [surrogates.NAME]"))
        return {}
    chosen = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            faults.append(Fault(f"surrogates.{name}", f"must be a table, [surrogates.{name}]"))
            continue
        settings = dict(table)
        kind, enabled = settings.pop("kind", name), settings.pop("enabled", True)
        if not _NAME.fullmatch(name):
            faults.append(Fault(f"surrogates.{name}", "is not a name", "letters, digits, _ and -"))
        elif name in system.baselines or name in system.oracles:
            faults.append(Fault(f"surrogates.{name}", "is the name of a baseline or oracle", "choose another"))
        elif kind not in system.surrogates:
            what = f"the system `{system.name}` has no surrogate {kind!r}"
            faults.append(Fault(f"surrogates.{name}", what, _nearest(str(kind), tuple(system.surrogates))))
        elif not isinstance(enabled, bool):
            faults.append(Fault(f"surrogates.{name}.enabled", f"must be true or false, is {enabled!r}"))
        else:
            learner = system.surrogates[kind]
            config = _check(learner.config, settings, f"surrogates.{name}", faults, extra_names={"kind", "enabled"})
            if enabled:
                chosen[name] = Choice(kind, learner, config)
    return chosen


def _trained(choice: Choice, common: TrainingTable) -> Choice:
    """What `[surrogates.NAME.training]` sets stands over `[training]`, and that over the surrogate's own recipe."""
    if not isinstance(choice.config, TrainedTable):
        return choice
    merged = merge(common, choice.config.training)
    return replace(choice, config=choice.config.model_copy(update={"training": merged}), own=choice.config.training)


def _check_context(study: Study) -> None:
    """A surrogate that looks further back than the context reaches would see frames that nobody gave it; and a case
    that is all context leaves nothing to forecast."""
    faults = [
        Fault(
            f"surrogates.{name}.lag",
            f"is {choice.config.lag}, but forecasts are given {study.context_frames} frames",  # type: ignore[attr-defined]
            "lower it, or give more context in [evaluation]",
        )
        for name, choice in study.surrogates.items()
        if getattr(choice.config, "lag", 0) > study.context_frames
    ]
    frames = study.system.frames(study.config)
    if frames is not None and study.context_frames >= frames:
        faults.append(
            Fault(
                "evaluation.context" if hasattr(study.evaluation, "context") else "evaluation.context_frames",
                f"forecasts start from {study.context_frames} frames, but cases have {frames}",
                "shorten the context (or the longest lag), or lengthen the cases",
            )
        )
    if faults:
        raise StudyError(study.source, faults)


def _check_monitors(study: Study) -> None:
    """A monitor that a network does not have would be told only after everything has been simulated."""
    faults = {}
    for name, choice in study.surrogates.items():
        if not isinstance(choice.config, TrainedTable):
            continue
        monitor, allowed = choice.config.schedule().monitor, ["loss", "score"]
        if choice.config.score is not None:
            allowed.append(choice.config.score)
        if monitor not in allowed:
            own = choice.own is not None and "monitor" in choice.own.model_fields_set
            key = f"surrogates.{name}.training.monitor" if own else "training.monitor"
            faults[key] = Fault(key, f"`{name}` has no {monitor!r}", f"allowed: {', '.join(allowed)}")
    if faults:
        raise StudyError(study.source, list(faults.values()))


# -- faults -------------------------------------------------------------------------------------------------------


def _check(
    model: type[BaseModel], values: Any, prefix: str, faults: list[Fault], extra_names: set[str] | None = None
) -> Any:
    """`model` filled from `values`; on faults they are appended to `faults` and the result is None."""
    try:
        # Strict JSON is what TOML means: "40" is no number and true no integer, but a list may fill a tuple.
        return model.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        for details in error.errors():
            faults.append(_fault(model, details, prefix, extra_names or set()))
        return None


_PHRASES = {
    "missing": "is missing",
    "greater_than": "must be > {gt}, is {input}",
    "greater_than_equal": "must be >= {ge}, is {input}",
    "less_than": "must be < {lt}, is {input}",
    "less_than_equal": "must be <= {le}, is {input}",
    "int_type": "must be a whole number, is {input}",
    "int_from_float": "must be a whole number, is {input}",
    "float_type": "must be a number, is {input}",
    "finite_number": "must be a finite number",
    "string_type": "must be a text, is {input}",
    "bool_type": "must be true or false, is {input}",
    "tuple_type": "must be a list, is {input}",
    "model_type": "must be a table, is {input}",
    "model_attributes_type": "must be a table, is {input}",
    "literal_error": "must be {expected}, is {input}",
}


def _fault(model: type[BaseModel], details: ErrorDetails, prefix: str, extra_names: set[str]) -> Fault:
    location = [str(part) for part in details["loc"]]
    key = ".".join([prefix, *location]).strip(".")
    if details["type"] == "extra_forbidden":
        siblings = _names_at(model, location[:-1]) | (extra_names if len(location) == 1 else set())
        return Fault(key, "is not a key", _nearest(location[-1], sorted(siblings), f"{'.'.join(key.split('.')[:-1])}."))
    if details["type"] == "value_error":
        return Fault(key or "study", str(details["ctx"]["error"]))
    shown = json.dumps(details["input"], default=str)
    phrase = _PHRASES.get(details["type"])
    if phrase is None:
        return Fault(key, f"{details['msg']}, is {shown}")
    limits = {
        name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in details.get("ctx", {}).items()
    }
    return Fault(key, phrase.format(**limits, input=shown))


def _names_at(model: type[BaseModel], location: Sequence[str]) -> set[str]:
    """The keys that the table at `location` below `model` may have."""
    for part in location:
        info = model.model_fields.get(part)
        tables = _tables(info.annotation) if info else []
        if not tables:
            return set()
        model = tables[0]
    return set(model.model_fields)


def _tables(annotation: Any) -> list[type[BaseModel]]:
    """The tables that an annotation such as `Forces | None` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for argument in get_args(annotation) for table in _tables(argument)]


def _nearest(name: str, known: Sequence[str], prefix: str = "") -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {prefix.lstrip('.')}{near[0]}?"
    return f"allowed: {', '.join(known)}" if known else ""

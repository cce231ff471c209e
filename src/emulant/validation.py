"""`emulant validate`: everything that can be wrong with data, looked at before anybody trains on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from emulant import study as studies
from emulant import systems
from emulant.dataset.atomic import PARTIAL
from emulant.dataset.seams import CaseResult, Dataset, Finding, Shard
from emulant.dataset.seeds import stream
from emulant.dataset.store import MANIFEST, SIDECARS, Manifest, Store
from emulant.dataset.tables import Table
from emulant.errors import DataError, UsageError
from emulant.options import read_options
from emulant.runs import Run
from emulant.use import open_run_or_split


@dataclass
class Verdict:
    """What was looked at, and what was found."""

    findings: list[Finding] = field(default_factory=list)
    cases: dict[str, dict[str, int]] = field(default_factory=dict)
    """Split -> family -> cases."""
    notes: list[str] = field(default_factory=list)
    """What could not be looked at, or had to be taken for granted."""
    resimulated: int = 0
    largest_deviation: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON types."""
        return {**asdict(self), "good": not self.findings}

    def lines(self) -> list[str]:
        """The verdict for people: counts, notes, a line per finding."""
        counted = [
            f"{split}: {sum(families.values())} cases ({', '.join(f'{name} {n}' for name, n in families.items())})"
            for split, families in self.cases.items()
        ]
        again = f"simulated again: {self.resimulated} cases, largest deviation {self.largest_deviation:.3g}"
        found = [str(finding) for finding in self.findings]
        last = f"{len(found)} finding{'s' if len(found) > 1 else ''}" if found else "nothing found"
        noted = [f"note: {note}" for note in self.notes]
        return [*counted, *noted, *([again] if self.resimulated else []), *found, last]


def validate(
    path: str | Path,
    *,
    study: str | Path | None = None,
    resimulate: int = 0,
    deep: int = 0,
    options: Sequence[str] = (),
) -> Verdict:
    """Check a run, one split of a run, a tree that was made elsewhere, or single files of a system that reads such.

    Args:
        path: The folder or file.
        study: The study of a tree without `study.toml`.
        resimulate: So many cases of every split are simulated again and compared.
        deep: So many cases of every split are put to those tests of the system that take long.
        options: Further flags, as the system's `ValidateOptions` has them; for files made elsewhere.

    Raises:
        UsageError: There is no such folder, nobody says what is in it, or an option is not the system's.
    """
    for name, count in {"resimulate": resimulate, "deep": deep}.items():
        if count < 0:
            raise UsageError(f"--{name} {count}: must not be negative.")
    if (reader := _reader_of(Path(path), study)) is not None:
        return _validate_files(reader, Path(path), resimulate, deep, options)
    read_options(Table, options)
    run, splits = open_run_or_split(path, study)
    deeply = run.study.system.check_deeply
    if deep and deeply is None:
        raise UsageError(f"--deep {deep}: the system `{run.study.system.name}` has no tests that take long.")
    if run.folder.root == Path(path) and run.is_ours:
        splits = tuple(run.study.system.splits(run.study.config))  # also those that are not there
    verdict = Verdict()
    datasets: dict[str, Dataset] = {}
    for split in splits:
        verdict.findings += _check_store(run, split)
        try:
            datasets[split] = run.dataset(split)
        except DataError as error:
            verdict.findings.append(Finding(split, "file", str(error)))
    for split, dataset in datasets.items():
        counts = dataset.cases["family"].value_counts(sort=True).rows()
        verdict.cases[split] = {str(family): int(count) for family, count in counts}
        if not run.study.system.checks_values:
            verdict.findings += _guarded(split, "values", partial(_check_values, dataset))
        verdict.findings += _guarded(split, "physics", partial(run.study.system.check, dataset))
        if resimulate:
            _resimulate(run, dataset, resimulate, verdict)
        if deeply is not None and deep:
            verdict.findings += _guarded(split, "physics", partial(deeply, dataset, deep))
    leaks = run.study.system.check_leaks or _check_leaks
    verdict.findings += _guarded(run.folder.root.name, "leak", partial(leaks, datasets))
    if run.is_ours:
        verdict.findings += _check_passes(run, splits)
    look = run.study.system.check_files
    verdict.findings += look(run.folder.root) if look else ()
    return verdict


def _reader_of(path: Path, study: str | Path | None) -> Any:
    """The system that reads files like these though they are of no run; None if there is none, or they are of one."""
    if study is not None:
        known = studies.load(study)
        ours = known.system.reads is not None and not any(
            (path / name).is_dir() for name in known.system.splits(known.config)
        )
        return known.system if ours and known.system.reads(path) else None
    if any((folder / "study.toml").is_file() for folder in (path, path.parent)):
        return None
    readers = (system for system in systems.working() if system.reads)
    return next((system for system in readers if system.reads(path)), None)


def _validate_files(system: Any, path: Path, resimulate: int, deep: int, options: Sequence[str]) -> Verdict:
    chosen, verdict = read_options(system.ValidateOptions, options), Verdict()
    cases, verdict.notes, verdict.findings = system.check_loose(path, chosen, deep, resimulate)
    verdict.cases[path.name] = {system.name: cases}
    return verdict


def _guarded(where: str, check: str, look: Callable[[], Any]) -> list[Finding]:
    """The findings of a check; data so damaged that it cannot be made are a finding themselves."""
    try:
        return list(look())
    except DataError as error:
        return [Finding(where, check, str(error))]
    except Exception as error:  # data so strange that a check of the physics cannot even be made
        return [Finding(where, check, f"cannot be checked: {type(error).__name__}: {error}")]


# -- files --------------------------------------------------------------------------------------------------------


def _check_store(run: Run, split: str) -> Iterator[Finding]:
    """Receipts, hashes, missing and failed cases, files that nobody signed for."""
    folder = run.folder.split(split)
    store, study = Store(folder), run.study
    if not folder.is_dir():
        yield Finding(split, "file", f"{folder} is missing")
        return
    if not store.is_ours:
        yield from _check_numbers(run, split)
        return
    signed: set[str] = set()
    yield from _check_shards(
        run, store, split, study.system.shards(study.config, study.system.passes[-1], split), signed
    )
    yield from _check_manifest(run, split)
    yield from _strangers(folder, signed)


def _check_passes(run: Run, splits: Sequence[str]) -> Iterator[Finding]:
    """What the passes before the last have left for them to read."""
    study = run.study
    for pass_ in study.system.passes[:-1]:
        shards = [shard for split in splits for shard in study.system.shards(study.config, pass_, split)]
        store, signed = Store(run.folder.split(pass_)), set[str]()
        if shards:
            yield from _check_shards(run, store, pass_, shards, signed)
        if shards and set(splits) == set(study.system.splits(study.config)):
            yield from _strangers(store.folder, signed)


def _check_shards(run: Run, store: Store, where: str, shards: Sequence[Shard], signed: set[str]) -> Iterator[Finding]:
    """Receipts and hashes of one store; the files that they name are added to `signed`."""
    missing, other = [], []
    for shard in shards:
        sidecar = store.sidecar(shard.id)
        if sidecar is None or tuple(case.case for case in sidecar.cases) != shard.cases:
            missing.append(shard)
            continue
        if sidecar.key != run.study.data_key:
            other.append(shard.id)
        for file in sidecar.files:
            signed.add(file.path)
            if fault := file.fault(store.folder):
                yield Finding(f"{where}/{file.path}", "file", fault)
        for case in sidecar.cases:
            if case.status == "failed":
                yield Finding(where, "failed", f"case {case.case}: {case.reason}")
    if other:
        made = "made by another study, another version of the system, or from source files that have changed"
        yield Finding(where, "study", f"{len(other)} of {len(shards)} shards were {made} (first: {other[0]})")
    if missing:
        first = f"{missing[0].id}, cases {missing[0].cases[0]} to {missing[0].cases[-1]}"
        yield Finding(where, "missing", f"{len(missing)} of {len(shards)} shards are not done (first: {first})")


def _check_numbers(run: Run, split: str) -> Iterator[Finding]:
    """In a tree made elsewhere: are all cases there that the study, or the highest number, promises?"""
    try:
        there = set(run.dataset(split).cases["case"].to_list())
    except DataError:
        return  # told when the split is opened
    missing = sorted(set(range(run.study.system.splits(run.study.config)[split])) - there)
    if missing:
        yield Finding(split, "missing", f"{len(missing)} cases are not there (first: case {missing[0]})")


def _check_manifest(run: Run, split: str) -> Iterator[Finding]:
    folder = run.folder.split(split)
    try:
        manifest = Manifest.read(folder)
    except DataError as error:
        yield Finding(f"{split}/{MANIFEST}", "file", str(error))
        return
    if manifest is None:
        yield Finding(f"{split}/{MANIFEST}", "file", "is missing")
    elif manifest.system != run.study.system.name or manifest.split != split:
        yield Finding(f"{split}/{MANIFEST}", "file", f"is of {manifest.system}/{manifest.split}")


def _strangers(folder: Path, signed: set[str]) -> Iterator[Finding]:
    ours = {MANIFEST, "environment.json", "index.arrow"}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        is_ours = relative.parts[0] == SIDECARS or relative.as_posix() in signed | ours
        if path.is_file() and not is_ours and not path.name.endswith(PARTIAL):
            yield Finding(f"{folder.name}/{relative.as_posix()}", "file", "belongs to no shard of the study")


# -- values -------------------------------------------------------------------------------------------------------


def _check_values(dataset: Dataset) -> Iterator[Finding]:
    """Shapes agree with the schema, numbers are finite, no case is there twice."""
    numbers = dataset.cases["case"].to_list()
    for case in {case for case in numbers if numbers.count(case) > 1} if len(set(numbers)) < len(numbers) else ():
        yield Finding(dataset.split, "duplicate", f"case {case} is there more than once")
    for case in dict.fromkeys(numbers):
        try:
            arrays = dataset.read(list(dataset.schema), [case])
        except DataError as error:
            yield Finding(f"{dataset.split}: case {case}", "file", str(error))
            continue
        yield from _check_arrays(dataset, case, {name: array[0] for name, array in arrays.items()})


def _check_arrays(dataset: Dataset, case: int, arrays: Mapping[str, Any]) -> Iterator[Finding]:
    where = f"{dataset.split}: case {case}"
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        expected = dataset.schema[name]
        if array.ndim != len(expected.dims):
            yield Finding(
                where, "schema", f"`{name}` has shape {array.shape}, it should be ({', '.join(expected.dims)})"
            )
            continue
        for dim, size in zip(expected.dims, array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                yield Finding(where, "schema", f"`{name}` has {size} along {dim}, other arrays have {sizes[dim]}")
        if array.dtype.kind not in "fiub":
            yield Finding(where, "schema", f"`{name}` is of type {array.dtype}, it should be {expected.dtype}")
        elif not expected.optional and not np.isfinite(array).all():
            yield Finding(
                where, "values", f"`{name}` has {int((~np.isfinite(array)).sum())} numbers that are not finite"
            )


def _check_leaks(datasets: Mapping[str, Dataset]) -> Iterator[Finding]:
    """Cases with the same start, within a split and across splits: a test case that was trained on is no test."""
    seen: dict[str, str] = {}
    for split, dataset in datasets.items():
        for case in dataset.cases["case"].to_list():
            try:
                arrays = dataset.read(dataset.targets, [case])
            except DataError:
                continue  # told already by the check of the values
            digest = sha256(b"".join(arrays[name][0][0].tobytes() for name in dataset.targets)).hexdigest()
            here = f"{split} case {case}"
            if digest in seen:
                check = "duplicate" if seen[digest].startswith(f"{split} ") else "leak"
                yield Finding(split, check, f"{here} starts exactly as {seen[digest]}")
            seen.setdefault(digest, here)


# -- simulate again -----------------------------------------------------------------------------------------------


def _resimulate(run: Run, dataset: Dataset, count: int, verdict: Verdict) -> None:
    """Simulate some cases again and compare every array."""
    known = dataset.cases["case"].to_list()
    chosen = stream(run.study.config.seed, "subsample", len(known)).permutation(known)[:count].tolist()
    tolerance = run.study.system.tolerance
    for case in sorted(chosen):
        result = run.study.system.resimulate(dataset, case, run.study.config, run.folder.root)
        verdict.resimulated += 1
        verdict.findings += _guarded(
            dataset.split, "resimulate", partial(_compare, dataset, result, tolerance, verdict)
        )


def _compare(dataset: Dataset, result: CaseResult, tolerance: float, verdict: Verdict) -> Iterator[Finding]:
    where = f"{dataset.split}: case {result.case}"
    if result.status != "ok":
        yield Finding(where, "resimulate", f"is {result.status} now: {result.reason}")
        return
    names = [name for name in result.arrays if name in dataset.schema]
    stored = dataset.read(names, [result.case])
    for name in names:
        before, now = stored[name][0], result.arrays[name]
        if before.shape != now.shape:
            yield Finding(where, "resimulate", f"`{name}` has shape {before.shape}, simulated again {now.shape}")
            continue
        deviation = float(np.abs(before - now).max(initial=0.0))
        verdict.largest_deviation = max(verdict.largest_deviation, deviation)
        if deviation > tolerance:
            yield Finding(where, "resimulate", f"`{name}` differs by up to {deviation:.3g} from a new simulation")

"""What the cards of a dataset say, gathered once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulant.dataset.environment import environment
from emulant.dataset.store import Manifest
from emulant.runs import Run
from emulant.sharing.options import ShareOptions
from emulant.sharing.tables import Column, Layout, SplitTable, write_split

DATA = "data"
"""The folder of the Parquet files below the card."""


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset that has been written as Parquet."""

    title: str
    license: str
    system: str
    summary: str
    limits: Sequence[str]
    study: str
    """TOML: what makes the data again."""
    emulant: str
    tables: Sequence[SplitTable]
    columns: Sequence[Column]
    sha256: Mapping[str, str]
    """Split -> dataset_sha256."""
    counts: Mapping[str, Mapping[str, int]]
    """Split -> cases that are ok, rejected, failed."""


def write_data(run: Run, splits: Sequence[str], target: Path, options: ShareOptions) -> DatasetFacts:
    """Write the splits as Parquet below `target`/data; what is to be said of them.

    Raises:
        DataError: A split is not there, or not sound.
    """
    hashes = {split: run.dataset_sha256(split) for split in splits}
    system, datasets = run.study.system, {split: run.dataset(split) for split in splits}
    layout = Layout.of(list(datasets.values()))
    tables = [
        write_split(dataset, layout, target / DATA, {"system": system.name, "split": split, "sha256": hashes[split]})
        for split, dataset in datasets.items()
    ]
    return DatasetFacts(
        title=options.title or f"{system.name}: {run.folder.root.resolve().name}",
        license=options.license,
        system=system.name,
        summary=system.summary,
        limits=[*system.limits, *system.notes(run.study.config)],
        study=run.study.to_toml(),
        emulant=environment()["emulant"],
        tables=tables,
        columns=layout.columns,
        sha256=hashes,
        counts={table.split: _counts(run, table) for table in tables},
    )


def _counts(run: Run, table: SplitTable) -> dict[str, Any]:
    manifest = Manifest.read(run.folder.split(table.split))
    return dict(manifest.cases) if manifest else {"ok": table.rows}

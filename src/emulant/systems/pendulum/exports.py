"""Pendulum data as the one file of the source document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emulant.dataset.tables import Table
from emulant.errors import UsageError
from emulant.systems.pendulum.files import COLUMNS, GROUP_ROWS, common_metadata, repeated, schema_of, write_table
from emulant.systems.pendulum.readers import PendulumDataset


def parquet(run: Any, splits: Sequence[str], target: Path, options: Table) -> list[Path]:
    """One split of a run as one Parquet file, written over one that is there: `emulant export` has asked before.

    Raises:
        UsageError: More than one split is asked for, or there is a folder of that name.
    """
    if len(splits) != 1:
        raise UsageError(
            f"{run.folder.root}: has the splits {', '.join(splits)}, and one file holds one of them.",
            f"Export one, such as {run.folder.split(splits[0] if splits else 'training')}.",
        )
    return [single_file(run.dataset(splits[0]), target, overwrite=True)]


def single_file(dataset: PendulumDataset, target: Path, *, overwrite: bool = False) -> Path:
    """Write the eleven columns (and g if it is swept) in float64, row groups of whole simulations; the file.

    One row group at a time is held in memory. Files made elsewhere come out in this layout, too.

    Raises:
        UsageError: The file exists and is not to be overwritten.
        DataError: What is stored is not sound.
    """
    if target.is_dir() or (target.exists() and not overwrite):
        mend = "Name a file in it." if target.is_dir() else "Give another name, or --overwrite."
        raise UsageError(f"{target}: is there already.", mend)
    names = (*COLUMNS, *(("g",) if "g" in dataset.columns else ()))
    schema = schema_of(names, np.float64, _metadata(dataset))
    return write_table(target, schema, _tables(dataset, schema))


def _tables(dataset: PendulumDataset, schema: pa.Schema) -> Iterator[pa.Table]:
    for block in dataset.blocks():
        columns: dict[str, Any] = block.read(schema.names[1:])
        columns["sim_id"] = repeated(block.rows["sim_id"].to_list(), block.lengths)
        table = pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)
        handful = block.starts // GROUP_ROWS
        cuts = [*block.starts[np.flatnonzero(np.diff(handful, prepend=-1))], len(table)]
        for start, end in pairwise(cuts):
            yield table.slice(start, end - start)


def _metadata(dataset: PendulumDataset) -> Mapping[str, str]:
    if dataset.made.provenance is None:
        return {}
    facts = dataset.index.select("sim_id", "substeps", "trust_horizon").to_dict(as_series=False)
    cases = json.dumps(facts, separators=(",", ":"))
    return {**common_metadata(dataset.made.provenance), "split": dataset.split, "cases": cases}

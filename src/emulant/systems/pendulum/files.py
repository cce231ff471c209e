"""The pendulum's Parquet files: the columns of the source document, and how a shard of cases becomes one file.

`shard_00000.parquet` has the eleven columns, then the accelerations if they are stored, then `g` if the study sweeps
it. A row group holds whole simulations, one after the other and each in order of time. What a reader must know to use
the numbers (units, g, integrator, tolerance, seed) stands in the metadata of the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emulant.dataset.parquet import write_groups
from emulant.dataset.seams import Array, CaseResult, Field, Product, Shard
from emulant.errors import DataError
from emulant.systems.pendulum.config import PARAMETERS, STATE

FORMAT, FORMAT_VERSION = "emulant.pendulum", 1

ACCELERATION = ("theta1_ddot", "theta2_ddot")
CONSTANTS = ("l1", "l2", "m1", "m2", "dt")
COLUMNS = ("sim_id", "t", *STATE, *CONSTANTS)
"""The eleven columns of the source document."""

UNITS: Mapping[str, str] = {
    "t": "s",
    **dict.fromkeys(("theta1", "theta2"), "rad"),
    **dict.fromkeys(("theta1_dot", "theta2_dot"), "rad/s"),
    **dict.fromkeys(("l1", "l2"), "m"),
    **dict.fromkeys(("m1", "m2"), "kg"),
    "dt": "s",
    **dict.fromkeys(ACCELERATION, "rad/s²"),
    "g": "m/s²",
}

FIELDS: Mapping[str, Field] = {
    "state": Field("<f8", ("time", "theta1, theta2, theta1_dot, theta2_dot"), "rad, rad/s"),
    "acceleration": Field("<f8", ("time", "theta1_ddot, theta2_ddot"), "rad/s²"),
}
"""What a dataset gives per case. The state is one array, because every learner maps whole states to whole states."""

GROUP_ROWS = 100_000
"""Rows of a row group at most (a longer simulation is a row group of its own). Fewer than 10 000 read slowly."""


@dataclass(frozen=True)
class Provenance:
    """How the numbers of a file were made."""

    integrator: str
    tolerance: float | None
    """None: the integrator has none."""
    seed: int
    g: float | None
    """m/s²; None: it is swept, and a column."""


def sim_id(split: str, case: int) -> str:
    """`training_000123`: unique over a run."""
    return f"{split}_{case:06d}"


def write_shard(shard: Shard, product: Product, folder: Path) -> list[Path]:
    """Write the cases of a shard to `shard_ID.parquet`; the files written.

    Every case has the arrays `state` (T, 4) and, if they are to be stored, `acceleration` (T, 2), float64 or float32:
    they are stored as they come. Its record has the table `parameters` (l1, l2, m1, m2, g), `dt`, `substeps`,
    `trust_horizon` and the table `provenance`, the fields of `Provenance`.
    """
    if not product:
        return []
    provenance = Provenance(**product[0].record["provenance"])
    names = stored_columns("acceleration" in product[0].arrays, provenance.g is None)
    schema = schema_of(names, product[0].arrays["state"].dtype, _metadata(shard.split, product, provenance))
    tables = (_table(shard.split, cases, schema) for cases in _groups(product))
    return [write_table(folder / f"shard_{shard.id}.parquet", schema, tables)]


def stored_columns(accelerations: bool, swept_g: bool) -> tuple[str, ...]:
    """The columns of a file, in order."""
    return (*COLUMNS, *(ACCELERATION if accelerations else ()), *(("g",) if swept_g else ()))


def schema_of(names: Sequence[str], dtype: Any, metadata: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of those columns; `dtype` is that of states and accelerations, all else is float64."""
    types = {name: pa.from_numpy_dtype(dtype) for name in (*STATE, *ACCELERATION)}
    types["sim_id"] = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([(name, types.get(name, pa.float64())) for name in names], metadata=dict(metadata))


def write_table(path: Path, schema: pa.Schema, groups: Iterator[pa.Table]) -> Path:
    """Write tables of whole simulations, each a row group, with the encodings that suit the columns."""
    measured = [name for name in ("t", *STATE, *ACCELERATION) if name in schema.names]
    constant = [name for name in schema.names if name not in measured]
    return write_groups(path, schema, groups, split=measured, dictionary=constant)


def _groups(product: Product) -> Iterator[Sequence[CaseResult]]:
    """The cases in pieces of about equal size and of `GROUP_ROWS` rows at most."""
    size = max(1, GROUP_ROWS // len(product[0].arrays["state"]))
    pieces = -(-len(product) // size)
    for piece in np.array_split(np.arange(len(product)), pieces):
        yield [product[index] for index in piece]


def _table(split: str, cases: Sequence[CaseResult], schema: pa.Schema) -> pa.Table:
    lengths = [len(result.arrays["state"]) for result in cases]
    columns: dict[str, Any] = {"sim_id": repeated([sim_id(split, result.case) for result in cases], lengths)}
    # one multiplication, so that k·dt is the same number everywhere
    columns["t"] = np.concatenate([np.arange(n) * r.record["dt"] for n, r in zip(lengths, cases, strict=True)])
    for field, names in (("state", STATE), ("acceleration", ACCELERATION)):
        for index, name in enumerate(names):
            if name in schema.names:
                columns[name] = np.concatenate([result.arrays[field][:, index] for result in cases])
    constants = {"dt": [result.record["dt"] for result in cases]}
    constants |= {name: [result.record["parameters"][name] for result in cases] for name in PARAMETERS}
    columns |= {name: np.repeat(np.asarray(values, np.float64), lengths) for name, values in constants.items()}
    return pa.table([columns[name] for name in schema.names], names=schema.names)


def repeated(names: Sequence[str], lengths: Sequence[int] | Array) -> pa.DictionaryArray:
    """The column `sim_id`: each name as often as its simulation has samples."""
    return pa.DictionaryArray.from_arrays(np.repeat(np.arange(len(names), dtype=np.int32), lengths), pa.array(names))


# -- metadata -----------------------------------------------------------------------------------------------------


def _metadata(split: str, product: Product, provenance: Provenance) -> dict[str, str]:
    facts = {
        "sim_id": [sim_id(split, result.case) for result in product],
        "substeps": [result.record.get("substeps") for result in product],
        "trust_horizon": [result.record.get("trust_horizon") for result in product],
    }
    return {**common_metadata(provenance), "split": split, "cases": json.dumps(facts, separators=(",", ":"))}


def common_metadata(provenance: Provenance) -> dict[str, str]:
    """What the metadata of every file say; values are JSON where they are not plain text."""
    return {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "units": json.dumps(dict(UNITS), ensure_ascii=False),
        "emulant_version": version("emulant"),
        **{key: value if isinstance(value, str) else json.dumps(value) for key, value in asdict(provenance).items()},
    }


@dataclass(frozen=True)
class Made:
    """What the metadata of a file say; all is empty for a file that emulant did not make."""

    provenance: Provenance | None = None
    split: str | None = None
    facts: Mapping[str, Mapping[str, Any]] | None = None
    """sim_id -> substeps, trust_horizon."""


def read_metadata(schema: pa.Schema, path: Path) -> Made:
    """Read back what `write_shard` has said in the metadata.

    Raises:
        DataError: It was made by a newer emulant, or the metadata are damaged.
    """
    texts = {key.decode(): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()}
    if texts.get("format") != FORMAT:
        return Made()
    try:
        version = int(texts["format_version"])
        if version > FORMAT_VERSION:
            raise DataError(
                f"{path}: has format version {version}; this emulant reads {FORMAT_VERSION}.", "Update emulant."
            )
        numbers = {key: json.loads(texts[key]) for key in ("tolerance", "seed", "g")}
        facts = json.loads(texts.get("cases", '{"sim_id": []}'))
        rows = [dict(zip(facts, values, strict=True)) for values in zip(*facts.values(), strict=True)]
        provenance = Provenance(texts["integrator"], **numbers)
        return Made(provenance, texts.get("split"), {row.pop("sim_id"): row for row in rows})
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: its metadata are damaged: {error!r}.", "`emulant generate` writes it anew once it is removed."
        ) from error


def units_of(schema: pa.Schema) -> Mapping[str, str]:
    """Column -> unit, as far as the metadata of a file say it, whoever made it."""
    try:
        told = json.loads((schema.metadata or {}).get(b"units", b"{}"))
    except ValueError:
        return {}
    return {str(name): str(unit) for name, unit in told.items()} if isinstance(told, dict) else {}

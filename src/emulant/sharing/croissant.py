"""A dataset as Croissant 1.0 (mlcommons.org/croissant/1.0): `croissant.json`, JSON-LD, and Parquet beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_json
from emulant.dataset.hashing import hash_file
from emulant.errors import UsageError
from emulant.sharing.facts import DatasetFacts, write_data
from emulant.sharing.options import ShareOptions
from emulant.sharing.tables import Column, SplitTable

VERSION = "http://mlcommons.org/croissant/1.0"
_TYPES = {"f": "sc:Float", "i": "sc:Integer", "u": "sc:Integer", "b": "sc:Boolean"}


def croissant(run: Any, splits: Sequence[str], target: Path, options: ShareOptions) -> list[Path]:
    """The Parquet files of the splits, and the description of them.

    Raises:
        UsageError: The target is a file.
        DataError: A split is not there, or not sound.
    """
    if target.is_file():
        raise UsageError(f"{target}: is a file.", "Name a folder for the dataset.")
    facts = write_data(run, splits, target, options)
    written = [path for table in facts.tables for path in table.files]
    return [*written, write_json(target / "croissant.json", document(facts, target))]


def document(facts: DatasetFacts, folder: Path) -> dict[str, Any]:
    """The JSON-LD of a written dataset; paths are below `folder`."""
    files = [(table, path) for table in facts.tables for path in table.files]
    hashes = "; ".join(f"{split}: {digest}" for split, digest in facts.sha256.items())
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": facts.title,
        "description": " ".join([facts.summary, f"dataset_sha256 of {hashes}.", *facts.limits]),
        "version": "1.0.0",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "creator": {"@type": "sc:Organization", "name": f"emulant {facts.emulant}, system {facts.system}"},
        "citeAs": f"emulant {facts.emulant}: from a physical simulator to a surrogate that can be trusted.",
        "distribution": [_file(path, folder) for _, path in files],
        "recordSet": [_records(table, path, facts.columns) for table, path in files],
    }
    return described | ({"license": facts.license} if facts.license else {})


def _file(path: Path, folder: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.relative_to(folder).as_posix(),
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": hash_file(path),
    }


def _records(table: SplitTable, path: Path, columns: Sequence[Column]) -> dict[str, Any]:
    """The rows of one file: a set for each split or, of a split in several files, for each of these."""
    name = table.split if len(table.files) == 1 else path.stem
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"The cases of the split {table.split}, one a row.",
        "key": {"@id": f"{name}/case"},
        "field": [_field(column, name, path.name) for column in columns],
    }


def _field(column: Column, records: str, file: str) -> dict[str, Any]:
    axes = f" along {', '.join(column.dims)}" if column.dims else ""
    size = f" of shape {' x '.join(map(str, column.shape))}" if column.shape else ""
    unit = f", in {column.unit}" if column.unit != "1" else ""
    field = {
        "@type": "cr:Field",
        "@id": f"{records}/{column.name}",
        "name": f"{records}/{column.name}",
        "description": f"{column.dtype}{size}{axes}{unit}",
        "dataType": _type(column),
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }
    return field | ({"repeated": True} if column.dims else {})


def _type(column: Column) -> str:
    return "sc:Text" if column.dtype == "string" else _TYPES[np.dtype(column.dtype).kind]


CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that Croissant 1.0 prescribes."""

"""The files that a CAMELS snapshot or catalogue is made of: eight spellings, one file or many, nothing missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emulant.dataset import hdf5
from emulant.dataset.seams import Array
from emulant.errors import DataError

SNAPSHOTS = ("snap_{:03d}", "snapshot_{:03d}", "snapdir_{:03d}/snap_{:03d}.{{}}", "snapdir_{:03d}/snapshot_{:03d}.{{}}")
CATALOGUES = (
    "fof_subhalo_tab_{:03d}",
    "groups_{:03d}",
    "groups_{:03d}/fof_subhalo_tab_{:03d}.{{}}",
    "groups_{:03d}/groups_{:03d}.{{}}",
)
KINDS = 6
LENGTH, MASS = 1000.0, 1e10
"""Mpc/h over ckpc/h, and Msun/h of the unit of mass."""
MEND = "Fetch the file again, then repeat the command."


@dataclass(frozen=True)
class Chunk:
    """One file, and what its header promises."""

    path: Path
    header: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Chunk:
        """
        Raises:
            DataError: It is torn, or has no header.
        """
        with hdf5.opened(path) as file:
            found: dict[str, Any] = {}
            for group in ("Cosmology", "Parameters", "Header"):  # GADGET-4 and SWIFT keep cosmology apart
                if isinstance(file.get(group), h5py.Group):
                    found |= {name: np.asarray(value)[()] for name, value in file[group].attrs.items()}
            if "Header" not in file:
                raise DataError(f"{path}: has no group `Header`.", MEND)
        return cls(path, found)

    @property
    def box_size(self) -> float:
        """Mpc/h.

        Raises:
            DataError: The header does not say.
        """
        return self.number("BoxSize") / LENGTH

    def number(self, *names: str) -> float:
        """The first of the attributes that there is.

        Raises:
            DataError: There is none, or it is no number.
        """
        for name in names:
            if name in self.header:
                return float(np.ravel(self.header[name])[0])
        raise DataError(f"{self.path}: its header has no `{names[0]}`.", MEND)

    def counts(self, name: str) -> Array:
        """An attribute with a number per kind of particle, (6,) int64.

        Raises:
            DataError: There is none.
        """
        if name not in self.header:
            raise DataError(f"{self.path}: its header has no `{name}`.", MEND)
        found = np.zeros(KINDS, dtype=np.int64)
        values = np.ravel(self.header[name]).astype(np.int64)[:KINDS]
        found[: len(values)] = values
        return found


def find(folder: Path, spellings: Sequence[str], snapshot: int) -> list[Path]:
    """The files of one snapshot or catalogue, in order.

    Args:
        folder: `SB35_i`, or one file.
        spellings: `SNAPSHOTS` or `CATALOGUES`.
        snapshot: Its number.

    Raises:
        DataError: There is none, there are several, or a chunk is missing.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.", "Look at system.source of the study.")
    found = {spelling: files for spelling in spellings if (files := _spelled(folder, spelling, snapshot))}
    if not found:
        wanted = ", ".join(_name(spelling, snapshot) for spelling in spellings)
        raise DataError(f"{folder}: holds none of {wanted}.", "Look at system.source.snapshot of the study.")
    if len(found) > 1:
        both = " and ".join(_name(spelling, snapshot) for spelling in found)
        raise DataError(f"{folder}: holds {both}, and nobody says which one is meant.", "Move one of them away.")
    return next(iter(found.values()))


def _name(spelling: str, snapshot: int) -> str:
    return spelling.format(snapshot, snapshot).format("*") + ".hdf5"


def _spelled(folder: Path, spelling: str, snapshot: int) -> list[Path]:
    pattern = folder / _name(spelling, snapshot)
    if "*" not in pattern.name:
        return [pattern] if pattern.is_file() else []
    prefix = pattern.name.partition("*")[0]
    numbered = {
        int(match[1]): path
        for path in pattern.parent.glob(pattern.name)
        if (match := re.fullmatch(re.escape(prefix) + r"(\d+)\.hdf5", path.name))
    }
    missing = sorted(set(range(max(numbered, default=-1) + 1)) - set(numbered))
    if missing:
        raise DataError(f"{pattern.parent / f'{prefix}{missing[0]}.hdf5'}: is missing.", MEND)
    return [numbered[number] for number in sorted(numbered)]


@dataclass(frozen=True)
class Chunks:
    """All files of one snapshot or catalogue, their headers read."""

    chunks: tuple[Chunk, ...]

    @classmethod
    def open(cls, folder: Path, spellings: Sequence[str], snapshot: int, files_attribute: str) -> Chunks:
        """Find the files and see to it that they are as many as each of them says.

        Raises:
            DataError: One is missing or torn, or they do not agree.
        """
        paths = find(folder, spellings, snapshot)
        chunks = tuple(Chunk.open(path) for path in paths)
        for chunk in chunks:
            promised = int(chunk.number(files_attribute)) if files_attribute in chunk.header else 1
            if promised > len(chunks):
                name = re.sub(r"\d+\.hdf5$", f"{len(chunks)}.hdf5", paths[-1].name)
                raise DataError(
                    f"{paths[-1].with_name(name)}: is missing: {files_attribute} is {promised} "
                    f"and there {'is one file' if len(chunks) == 1 else f'are {len(chunks)}'}.",
                    MEND,
                )
            if promised < len(chunks):
                raise DataError(
                    f"{chunk.path}: {files_attribute} is {promised} and there are {len(chunks)} files.",
                    "Move those away that do not belong to it.",
                )
            if chunk.box_size != chunks[0].box_size:
                raise DataError(
                    f"{chunk.path}: BoxSize is {chunk.box_size:g}, that of {paths[0].name} {chunks[0].box_size:g}."
                )
        return cls(chunks)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(chunk.path for chunk in self.chunks)

    @property
    def first(self) -> Chunk:
        return self.chunks[0]

    @cached_property
    def particles(self) -> Array:
        """Particles of each kind that the header promises, (6,) int64."""
        high = self.first.counts("NumPart_Total_HighWord") if "NumPart_Total_HighWord" in self.first.header else 0
        return np.asarray(self.first.counts("NumPart_Total") + (np.asarray(high, dtype=np.int64) << 32))

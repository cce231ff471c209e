"""The flags that `emulant predict` and `emulant export` have for halos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from emulant.dataset.tables import Table


class PredictOptions(Table):
    """The flags of `emulant predict RUN SNAPSHOT`."""

    fof: Path | None = None
    """Folder of the catalogue; by default the snapshot's own, then ../../FOF/NAME, then friends of friends."""
    params: Path | None = None
    """File of parameters; by default `CosmoAstroSeed_*.txt` beside the simulation, then what its header says."""
    samples: Annotated[int, Field(ge=1, le=1000)] = 1
    """Draws; of more than one the mean and the standard deviation are written."""
    seed: Annotated[int, Field(ge=0)] = 0
    batch: Annotated[int, Field(ge=1)] = 16
    """Halos that are painted at once."""
    format: Literal["npz", "hdf5", "npy"] = "npz"
    """`npz` is always written; the others besides."""


class ExportOptions(Table):
    """The flags of `emulant export`."""

    nbody: Path | None = None
    """Of `--format large-scale`: the folder of the dark-matter-only `SB35_*`; by default the study says it."""

"""What the training samples of a baseline were like: their geometry, and the scale of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.atomic import write_json
from emulant.dataset.seams import Dataset, Fields
from emulant.errors import SurrogateError
from emulant.systems.halos.normalisation import geometry_of, names_of, require_geometry
from emulant.systems.halos.scaling import ParameterScale
from emulant.systems.halos.sight import PIVOT

Maps = NDArray[np.float64]
ABOUT = "about.json"


@dataclass(frozen=True)
class Trained:
    """What a baseline's training samples were like."""

    geometry: Mapping[str, Any]
    parameters: ParameterScale

    @classmethod
    def of(cls, training: Dataset) -> Trained:
        rows = training.read(["params"])["params"]
        return cls(geometry_of(training.geometry), ParameterScale.of(names_of(training.geometry), rows))

    def require(self, geometry: Mapping[str, Any]) -> None:
        """Raises:
        SurrogateError: Data of this geometry are not such samples.
        """
        require_geometry(self.geometry, geometry)
        self.parameters.require(names_of(geometry))

    @property
    def side(self) -> float:
        """Mpc/h along a cutout."""
        return float(self.geometry["scales"][0])

    def features(self, fields: Fields) -> Maps:
        """(C, 2 + P): 1, the parameters about the middle of their ranges, log halo mass about `PIVOT`."""
        mass = np.log10(np.asarray(fields["halo_mass"], float)) - PIVOT
        return np.column_stack([np.ones(len(mass)), self.parameters(fields["params"]) - 0.5, mass])


def write_trained(folder: Path, trained: Trained) -> list[Path]:
    """`about.json`"""
    about = {"geometry": dict(trained.geometry), "parameters": trained.parameters.about()}
    return [write_json(folder / ABOUT, about)]


def read_trained(folder: Path) -> Trained:
    """Read what `write_trained` wrote.

    Raises:
        SurrogateError: It is missing or damaged.
    """
    import orjson

    try:
        about = orjson.loads((folder / ABOUT).read_bytes())
        return Trained(about["geometry"], ParameterScale.restored(about["parameters"]))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SurrogateError(f"{folder / ABOUT}: is missing or damaged: {error}.", "Fit it again.") from error

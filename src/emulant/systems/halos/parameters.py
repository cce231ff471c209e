"""The parameters of simulations: CAMELS's names and ranges, its parameter files, and a sampling of our own.

Names are those of CAMELS' SB35 set, `HubbleParam` for h among them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emulant.dataset.seams import Array
from emulant.dataset.seeds import sequence
from emulant.errors import DataError


class Range(NamedTuple):
    """Where a parameter lies; `log`: sampled evenly in its logarithm."""

    fiducial: float
    low: float
    high: float
    log: bool = False


RANGES: Mapping[str, Range] = {
    "Omega0": Range(0.3, 0.1, 0.5),
    "sigma8": Range(0.8, 0.6, 1.0),
    "WindEnergyIn1e51erg": Range(3.6, 0.9, 14.4, log=True),
    "RadioFeedbackFactor": Range(1.0, 0.25, 4.0, log=True),
    "VariableWindVelFactor": Range(7.4, 3.7, 14.8, log=True),
    "RadioFeedbackReorientationFactor": Range(20.0, 10.0, 40.0, log=True),
    "OmegaBaryon": Range(0.049, 0.029, 0.069),
    "HubbleParam": Range(0.6711, 0.4711, 0.8711),
    "n_s": Range(0.9624, 0.7624, 1.1624),
}
"""The first nine of SB35, in the order of its file: all that the embedded boxes depend on."""
COSMOLOGY = ("Omega0", "sigma8", "OmegaBaryon", "HubbleParam", "n_s")
ASTROPHYSICS = tuple(name for name in RANGES if name not in COSMOLOGY)
LOGARITHMIC = frozenset(
    [name for name, range_ in RANGES.items() if range_.log]
    + ["MaxSfrTimescale", "FactorForSofterEQS", "ThermalWindFraction", "WindFreeTravelDensFac"]
    + ["WindEnergyReductionFactor", "WindEnergyReductionMetallicity", "SeedBlackHoleMass", "BlackHoleAccretionFactor"]
    + ["BlackHoleEddingtonFactor", "BlackHoleFeedbackFactor", "BlackHoleRadiativeEfficiency", "QuasarThreshold"]
    + ["UVBH0beta", "UVBHepbeta", "SofteningComovingType01"]
)
"""Parameters of SB35 that are sampled in their logarithm."""


def fiducial() -> dict[str, float]:
    return {name: range_.fiducial for name, range_ in RANGES.items()}


def sampled(names: Sequence[str], limits: Mapping[str, tuple[float, float]], count: int, seed: int, key: int) -> Array:
    """(count, names) values of a Sobol sequence that is scrambled by the study's seed; a longer one only adds rows.

    Args:
        names: Of `RANGES`.
        limits: Low and high of each; one that is not there keeps its fiducial value.
        count: Rows.
        seed: The study's.
        key: Which of the study's sequences.
    """
    from scipy.stats import qmc

    free = [name for name in names if name in limits]
    rows = np.array([[RANGES[name].fiducial for name in names]] * count).reshape(count, len(names))
    if not free or not count:
        return rows
    rng = np.random.Generator(np.random.PCG64(sequence(seed, "simulation", 0, 0, key)))
    points = qmc.Sobol(len(free), scramble=True, rng=rng).random_base2(max(int(np.ceil(np.log2(count))), 0))
    for column, name in enumerate(free):
        low, high = limits[name]
        if RANGES[name].log:
            low, high = np.log(low), np.log(high)
        values = low + (high - low) * points[:count, column]
        rows[:, names.index(name)] = np.exp(values) if RANGES[name].log else values
    return rows


# -- files --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ParameterTable:
    """What a parameter file says: a row of numbers, and a seed, per simulation."""

    path: Path
    names: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    seeds: Mapping[str, int]

    def of(self, simulation: str) -> dict[str, float]:
        """The parameters of a simulation such as `SB35_12`.

        Raises:
            DataError: The file has no row of that name.
        """
        if simulation not in self.rows:
            raise DataError(f"{self.path}: has no row `{simulation}`.", "Give the file by system.source.params.")
        return dict(zip(self.names, self.rows[simulation], strict=True))


def text_of(rows: Mapping[str, tuple[Mapping[str, float], int]]) -> str:
    """A `CosmoAstroSeed_*.txt`: name -> (parameters, seed of the initial conditions)."""
    names = list(next(iter(rows.values()))[0])
    lines = ["#Name " + " ".join(names) + " seed"]
    lines += [" ".join([name, *(repr(v[key]) for key in names), str(seed)]) for name, (v, seed) in rows.items()]
    return "\n".join(lines) + "\n"


def read(path: Path) -> ParameterTable:
    """A `CosmoAstroSeed_*.txt`, or a CSV with a column of names; columns that are no numbers are left out.

    Raises:
        DataError: It is missing, or a row does not fit its head.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}.", "Give another file by system.source.params.") from error
    if path.suffix == ".csv":
        lines = [row for row in csv.reader(io.StringIO(text)) if row]
    else:
        lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise DataError(f"{path}: has no row of parameters.", "Give another file by system.source.params.")
    head, body = [lines[0][0].lstrip("#"), *lines[0][1:]], lines[1:]
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise DataError(f"{path}: line {number} has {len(row)} columns, its head {len(head)}.")
    numeric = [place for place in range(1, len(head)) if all(_is_number(row[place]) for row in body)]
    kept = [place for place in numeric if head[place].lower() != "seed"]
    seed = next((place for place in numeric if head[place].lower() == "seed"), None)
    return ParameterTable(
        path,
        tuple(head[place] for place in kept),
        {row[0]: tuple(float(row[place]) for place in kept) for row in body},
        {} if seed is None else {row[0]: int(float(row[seed])) for row in body},
    )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False

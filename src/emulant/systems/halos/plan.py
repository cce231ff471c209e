"""Which simulations there are, what their parameters are, and which split each belongs to.

Simulations of one box (the same initial conditions) never part: a split is a set of boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulant.dataset.seeds import stream
from emulant.errors import DataError
from emulant.systems.halos.config import HalosConfig, SourceTable
from emulant.systems.halos.parameters import ASTROPHYSICS, COSMOLOGY, RANGES, ParameterTable, sampled
from emulant.systems.halos.parameters import read as read_table

FOLDER = re.compile(r"(?P<suite>\w+?)_(?P<number>\d+)")
_COSMOLOGIES, _ASTROPHYSICS, _OUTSIDE = 0, 1, 2


@dataclass(frozen=True)
class Box:
    """Initial conditions, and the simulations that began from them."""

    number: int
    """Of embedded boxes the number of their random stream; of CAMELS files the seed that their table gives."""
    split: str
    simulations: Mapping[int, Mapping[str, float]]
    """Simulation -> parameters (empty for CAMELS files, whose reader knows them)."""


def boxes(config: HalosConfig) -> tuple[Box, ...]:
    """All of a study, in order.

    Raises:
        DataError: The CAMELS files that the study names are not there.
    """
    return _camels(config) if config.system.source.kind == "camels" else _embedded(config)


def in_split(config: HalosConfig, split: str) -> tuple[Box, ...]:
    return tuple(box for box in boxes(config) if box.split == split)


def splits(config: HalosConfig) -> dict[str, int]:
    """Split -> number of simulations."""
    found = {"training": 0, "validation": 0, "test": 0, "test_ood": 0, "test_response": 0}
    for box in boxes(config):
        found[box.split] += len(box.simulations)
    return {split: count for split, count in found.items() if count}


def _assigned(config: HalosConfig, groups: int) -> list[str]:
    """The split of every group, shuffled by the study's seed."""
    if groups < 2:
        raise DataError(
            f"the study has {groups} initial conditions and needs at least 2, to train on one and test on another."
        )
    shares = config.splits
    test = max(round(shares.test * groups), 1)
    validation = 0 if groups == 2 else max(round(shares.validation * groups), 1)
    while groups - test - validation < 1:
        test, validation = max(test - 1, 1), max(validation - 1, 0)
    names = ["test"] * test + ["validation"] * validation + ["training"] * (groups - test - validation)
    found = [""] * groups
    for name, group in zip(names, stream(config.seed, "split").permutation(groups).tolist(), strict=True):
        found[group] = name
    return found


# -- embedded -----------------------------------------------------------------------------------------------------


def _embedded(config: HalosConfig) -> tuple[Box, ...]:
    """Boxes that share cosmology b of one Sobol sequence, simulations that take vectors of feedback of another."""
    table, seed = config.system.simulation, config.seed
    ranges, siblings = table.parameter_range, table.astro_per_box
    usual = sampled(COSMOLOGY, ranges, table.boxes, seed, _COSMOLOGIES)
    outside = sampled(COSMOLOGY, {**ranges, **table.ood_range}, table.ood_boxes, seed, _OUTSIDE)
    feedback = sampled(ASTROPHYSICS, ranges, (table.boxes + table.ood_boxes) * siblings, seed, _ASTROPHYSICS)
    found = []
    for number, (cosmology, split) in enumerate(
        [
            *zip(usual.tolist(), _assigned(config, table.boxes), strict=True),
            *((row, "test_ood") for row in outside.tolist()),
        ]
    ):
        first = number * siblings
        rows = {first + a: _vector(cosmology, feedback[first + a].tolist()) for a in range(siblings)}
        found.append(Box(number, split, rows))
    return (*found, *_responding(config, len(found)))


def _responding(config: HalosConfig, known: int) -> Iterator[Box]:
    """Boxes at the fiducial cosmology, in which each parameter of feedback is moved alone."""
    table = config.system.simulation
    center = [RANGES[name].fiducial for name in COSMOLOGY]
    vectors = [[RANGES[name].fiducial for name in ASTROPHYSICS]]
    for place, name in enumerate(ASTROPHYSICS):
        for end in table.parameter_range.get(name, (RANGES[name].fiducial,) * 2):
            vectors.append([end if place == other else value for other, value in enumerate(vectors[0])])
    for index in range(table.response_boxes):
        first = known * table.astro_per_box + index * len(vectors)
        rows = {first + a: _vector(center, vector) for a, vector in enumerate(vectors)}
        yield Box(known + index, "test_response", rows)


def _vector(cosmology: Sequence[float], feedback: Sequence[float]) -> dict[str, float]:
    """Both kinds of parameters in the order of CAMELS."""
    values = {**dict(zip(COSMOLOGY, cosmology, strict=True)), **dict(zip(ASTROPHYSICS, feedback, strict=True))}
    return {name: values[name] for name in RANGES}


# -- CAMELS ---------------------------------------------------------------------------------------------------------


def _camels(config: HalosConfig) -> tuple[Box, ...]:
    """Simulations that share the seed of their initial conditions are one box."""
    source = config.system.source
    names = simulation_names(source)
    table = parameter_table(source)
    by_seed: dict[int, list[int]] = {}
    for number, name in names.items():
        seed = number if table is None else table.seeds.get(name, number)
        by_seed.setdefault(seed, []).append(number)
    assigned = zip(sorted(by_seed.items()), _assigned(config, len(by_seed)), strict=True)
    return tuple(Box(seed, split, {number: {} for number in sorted(numbers)}) for (seed, numbers), split in assigned)


def simulation_names(source: SourceTable) -> dict[int, str]:
    """Number -> folder name such as `SB35_3`, of the simulations that the study asks for.

    Raises:
        DataError: The folder or one of the simulations is not there.
    """
    root = Path(source.nbody or "")
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder.", "Set system.source.nbody to the folder of the `SB35_*`.")
    found = {int(match["number"]): path.name for path in sorted(root.iterdir()) if (match := _is_one(path))}
    asked = source.simulations
    if asked is None:
        wanted = sorted(found)
    else:
        wanted = sorted(set(asked if isinstance(asked, list) else range(asked.start, asked.end)))
    if not found or not wanted:
        raise DataError(f"{root}: holds no folder of the form `SB35_0`.", "Set system.source.nbody to their folder.")
    suite = found[min(found)].rpartition("_")[0]
    return {number: found.get(number, f"{suite}_{number}") for number in wanted}


def _is_one(path: Path) -> re.Match[str] | None:
    return FOLDER.fullmatch(path.name) if path.is_dir() else None


def parameter_table(source: SourceTable) -> ParameterTable | None:
    """The file of parameters: the one that the study names, else one beside the simulations; None if there is none.

    Raises:
        DataError: The one that is named is not there, or there are several.
    """
    if source.params is not None:
        return read_table(Path(source.params))
    for root in (source.nbody, source.hydro):
        files = sorted(Path(root or "").glob("CosmoAstroSeed_*.txt"))
        if len(files) > 1:
            raise DataError(f"{root}: holds {len(files)} files of parameters.", "Choose one by system.source.params.")
        if files:
            return read_table(files[0])
    return None

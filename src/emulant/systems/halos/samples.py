"""The second pass: cutouts around the halos of one simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from emulant.dataset.seams import Array, CaseResult
from emulant.errors import SimulationError
from emulant.systems.halos import boxes, plan
from emulant.systems.halos.box import SPECIES, ParticleSource, SimulationPair
from emulant.systems.halos.config import HalosConfig
from emulant.systems.halos.extraction import CellList, Geometry, rotation_of
from emulant.systems.halos.pairs import open_pair
from emulant.systems.halos.pasting import box_map

IDENTITY = -1
"""The index of the rotation that is none."""
BOX = "box"
"""The maps of the whole box, beside the samples of test splits."""
MOST_ZEROS = 1e-3
"""Share of pixels without mass in dm and gas. log10(x + 1) throws them far from all others."""
_HALOS, _ROTATIONS = 10**6, 10**3


@dataclass(frozen=True)
class Cutout:
    """One sample: a halo of a simulation, seen from one side."""

    simulation: int
    halo: int
    rotation: int

    @property
    def case(self) -> int:
        """Its number in a dataset, the same however many others there are."""
        return (self.simulation * _HALOS + self.halo) * _ROTATIONS + self.rotation - IDENTITY

    @classmethod
    def of(cls, case: int) -> Cutout:
        rest, rotation = divmod(case, _ROTATIONS)
        return cls(*divmod(rest, _HALOS), rotation + IDENTITY)

    def matrix(self, seed: int) -> Array:
        """(3, 3) float64."""
        return np.eye(3) if self.rotation == IDENTITY else rotation_of(seed, self.simulation, self.halo, self.rotation)


def pair_of(simulation: int, config: HalosConfig, run: Path) -> SimulationPair:
    """A simulation of a study, opened and verified."""
    source, trees = config.system.source, boxes.roots(config, run)
    names = plan.simulation_names(source) if source.kind == "camels" else {}
    return open_pair(trees, names.get(simulation, f"{boxes.SUITE}_{simulation}"), source, config.system.box_size)


def rotations(config: HalosConfig, split: str) -> range:
    """Indices of the rotations of a split; test splits see every halo unrotated first."""
    if split.startswith("test"):
        return range(IDENTITY, config.system.test_rotations)
    return range(config.system.num_rotations)


def sample(simulation: int, split: str, config: HalosConfig, run: Path, only: Cutout | None = None) -> CaseResult:
    """All cutouts of a simulation (or only one of them), stacked: (S, ...) each.

    Raises:
        DataError: A file of the simulation is missing, torn, short or does not fit the others.
        SimulationError: Too many pixels hold no mass.
    """
    system, pair = config.system, pair_of(simulation, config, run)
    halos = pair.halos.above(system.mass_threshold)
    wanted = [
        cutout
        for halo in halos.index.tolist()
        for rotation in rotations(config, split)
        if only in (None, cutout := Cutout(simulation, halo, rotation))
    ]
    rows = {int(halo): row for row, halo in enumerate(halos.index)}
    places = [rows[cutout.halo] for cutout in wanted]
    turns = np.array([cutout.matrix(config.seed) for cutout in wanted]).reshape(-1, 3, 3)
    centers = halos.centers[places]
    seen = _dark_maps(pair.dmo, centers, turns, config)
    target = np.stack([_species_maps(source, centers, turns, config) for source in pair.species.values()], axis=1)
    zeros = {name: float((target[:, place] == 0).mean()) if wanted else 0.0 for place, name in enumerate(SPECIES[:2])}
    _refuse_zeros(pair, zeros)
    arrays = {
        "condition": seen[:, 0],
        "target": target,
        "large_scale": seen[:, 1:],
        "params": np.tile(np.array(list(pair.parameters.values()), dtype="<f8"), (len(wanted), 1)),
        "halo_mass": halos.m200c[places].astype("<f8"),
        "halo_center": centers.astype("<f8"),
        "rotation": turns.astype("<f8"),
        "simulation": np.full(len(wanted), simulation, dtype="<i4"),
        "halo": np.array([cutout.halo for cutout in wanted], dtype="<i4"),
        "rotation_index": np.array([cutout.rotation for cutout in wanted], dtype="<i4"),
    }
    if split.startswith("test") and only is None:
        arrays[BOX] = _box_maps(pair, config)
    return CaseResult(
        simulation,
        arrays,
        {
            "group_key": f"box {_box_of(simulation, config, split)}",
            "names": list(pair.parameters),
            "zeros": zeros,
            "sources": [asdict(file) for file in pair.files],
            "geometry": geometry(config),
        },
    )


def geometry(config: HalosConfig) -> dict[str, object]:
    """What of a study decides what a pixel is."""
    system = config.system
    return {
        "box_size": system.box_size,
        "npix": system.npix,
        "resolution": system.resolution,
        "scales": list(system.scales),
    }


def _box_of(simulation: int, config: HalosConfig, split: str) -> int:
    return next(box.number for box in plan.in_split(config, split) if simulation in box.simulations)


def _dark_maps(source: ParticleSource, centers: Array, turns: Array, config: HalosConfig) -> Array:
    """(S, scales, r, r) of the dark-matter-only run."""
    system = config.system
    made = np.zeros((len(centers), len(system.scales), system.resolution, system.resolution), dtype="<f4")
    if not len(centers):
        return made
    cells = _listed(source, system.box_size)
    for row, (center, turn) in enumerate(zip(centers, turns, strict=True)):
        made[row] = cells.extract(
            center, npix=system.npix, rotation=turn, resolution=system.resolution, scales=system.scales
        )
    return made


def _species_maps(source: ParticleSource, centers: Array, turns: Array, config: HalosConfig) -> Array:
    """(S, r, r) of one species, at the smallest scale; zeros if the simulation has none of it."""
    system = config.system
    made = np.zeros((len(centers), system.resolution, system.resolution), dtype="<f4")
    if not len(centers) or not len(source):
        return made
    cells = _listed(source, system.box_size)
    for row, (center, turn) in enumerate(zip(centers, turns, strict=True)):
        made[row] = cells.extract(
            center, npix=system.npix, rotation=turn, resolution=system.resolution, scales=system.scales[:1]
        )[0]
    return made


def _listed(source: ParticleSource, box_size: float) -> CellList:
    particles = source.load()
    return CellList.of(particles.positions, particles.masses, box_size)


def _box_maps(pair: SimulationPair, config: HalosConfig) -> Array:
    """(4, npix, npix) of the whole box: dark matter only, then each species; what painted boxes are compared with."""
    system, sources = config.system, [pair.dmo, *pair.species.values()]
    plan = Geometry(system.box_size, system.npix, system.resolution, system.scales)
    made = np.zeros((len(sources), system.npix, system.npix), dtype="<f4")
    for row, source in enumerate(sources):
        if len(source):
            particles = source.load()
            made[row] = box_map(particles.positions, particles.masses, plan)
    return made


def _refuse_zeros(pair: SimulationPair, zeros: dict[str, float]) -> None:
    name = max(zeros, key=lambda key: zeros[key])
    if zeros[name] > MOST_ZEROS:
        raise SimulationError(
            f"simulation {pair.simulation}: {zeros[name]:.2%} of the pixels of `{name}` hold no mass, "
            f"more than {MOST_ZEROS:.1%}.",
            "Lower system.npix and resolution; of embedded boxes, system.simulation.particles or refine may be raised.",
        )


def single(result: CaseResult, case: int) -> Iterator[CaseResult]:
    """The samples of a stacked result as cases of a dataset."""
    for row in range(len(result.arrays["halo"])):
        arrays = {name: array[row] for name, array in result.arrays.items()}
        if Cutout(int(arrays["simulation"]), int(arrays["halo"]), int(arrays["rotation_index"])).case == case:
            yield CaseResult(case, arrays, {"group_key": result.record["group_key"]})

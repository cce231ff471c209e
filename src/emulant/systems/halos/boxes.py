"""The first pass: a box of dark matter, and all that began from the same initial conditions, as CAMELS files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.atomic import write_text
from emulant.dataset.seams import Array, CaseResult
from emulant.dataset.seeds import stream
from emulant.systems.halos import mesh, plan, snapshots
from emulant.systems.halos.baryons import Astrophysics, Baryonified, baryonify
from emulant.systems.halos.box import SPECIES, Halos
from emulant.systems.halos.catalogue import Catalogue, find
from emulant.systems.halos.config import HalosConfig, SystemTable
from emulant.systems.halos.cosmology import Cosmology
from emulant.systems.halos.gravity import Lattice, evolve, overdensity
from emulant.systems.halos.parameters import text_of

FOLDER = "simulations"
"""Below the run."""
SUITE = "SB35"


@dataclass(frozen=True)
class DarkMatter:
    """A box of dark matter and its halos: what all simulations of the box begin with."""

    number: int
    particles: Array
    """(N, 3) Mpc/h, float32."""
    particle_mass: float
    """Msun/h."""
    catalogue: Catalogue

    def with_baryons(self, parameters: Mapping[str, float], config: HalosConfig) -> Baryonified:
        """Its matter under the feedback of a simulation; the cosmology must be that of the box."""
        share, size = Cosmology.of(parameters).baryon_fraction, config.system.box_size
        physics = Astrophysics.of(parameters)
        return baryonify(self.particles, self.catalogue, size, share, physics, config.seed, self.number)


def dark_matter(box: plan.Box, config: HalosConfig) -> DarkMatter:
    """The dark matter of a box; pure in (box, config)."""
    system, cosmology = config.system, Cosmology.of(next(iter(box.simulations.values())))
    coarse, fine = _dark_matter(box, config.seed, system, cosmology)
    mass = cosmology.matter_density * system.box_size**3 / len(fine)
    catalogue = find(coarse, fine, mass, system.box_size, cosmology.matter_density, config.seed, box.number)
    return DarkMatter(box.number, fine, mass, catalogue)


def simulate(box: plan.Box, config: HalosConfig) -> CaseResult:
    """Dark matter once, gas and stars for every vector of feedback; pure in (box, config)."""
    dark = dark_matter(box, config)
    halos = dark.catalogue.halos
    arrays: dict[str, Array] = {
        "dmo": dark.particles,
        **{name: getattr(halos, name) for name in ("centers", "m200c", "r200c", "fof_mass")},
        "lengths": np.array([len(member) for member in dark.catalogue.members], dtype=np.int64),
    }
    for simulation, parameters in box.simulations.items():
        painted = dark.with_baryons(parameters, config)
        arrays |= {
            f"{simulation}/dm": painted.dm,
            f"{simulation}/gas": painted.gas[~painted.is_star],
            f"{simulation}/stars": painted.gas[painted.is_star],
        }
    record = {
        "simulations": list(box.simulations),
        "parameters": dict(next(iter(box.simulations.values()))),
        "box_size": config.system.box_size,
        "particle_mass": dark.particle_mass,
        "table": _table(config),
    }
    return CaseResult(box.number, arrays, record)


def _dark_matter(box: plan.Box, seed: int, system: SystemTable, cosmology: Cosmology) -> tuple[Array, Array]:
    """Positions of the particles as they moved, and of the finer ones between them; float32."""
    table = system.simulation
    lattice = Lattice(table.particles, system.box_size)
    delta = overdensity(lattice, cosmology, stream(seed, "simulation", box.number))
    coarse = evolve(lattice, cosmology, delta, steps=table.steps)
    if table.refine == 1:
        return coarse, coarse.copy()
    moved = coarse - lattice.sites
    moved -= np.float32(lattice.size) * np.rint(moved / np.float32(lattice.size))
    fine = np.empty((len(coarse) * table.refine**3, 3), dtype=np.float32)
    mesh.refine(moved.reshape(*(table.particles,) * 3, 3), table.refine, lattice.size, fine)
    return coarse, fine


def _table(config: HalosConfig) -> str:
    """The file of parameters of all simulations; its column of seeds has the number of the box."""
    rows = {
        f"{SUITE}_{simulation}": (parameters, box.number)
        for box in plan.boxes(config)
        for simulation, parameters in box.simulations.items()
    }
    return text_of(rows)


def write(result: CaseResult, folder: Path) -> list[Path]:
    """All files of a box below `folder`; simulations of one box share those of its dark matter."""
    arrays, record = result.arrays, result.record
    cosmology, size = Cosmology.of(record["parameters"]), float(record["box_size"])
    mass = float(record["particle_mass"])
    names = {simulation: f"{SUITE}_{simulation}" for simulation in record["simulations"]}
    first, *others = names.values()
    dmo = snapshots.write_dmo(folder / snapshots.DMO / first / snapshots.SNAPSHOT, arrays["dmo"], mass, size, cosmology)
    halos = Halos(
        np.arange(len(arrays["m200c"])),
        *(np.asarray(arrays[name]) for name in ("centers", "m200c", "r200c", "fof_mass")),
    )
    groups = folder / snapshots.FOF / first / snapshots.CATALOGUE
    snapshots.write_catalogue(groups, halos, arrays["lengths"], size, cosmology)
    written = [dmo, groups]
    for name in others:
        written.append(snapshots.share(dmo, folder / snapshots.DMO / name / snapshots.SNAPSHOT))
        written.append(snapshots.share(groups, folder / snapshots.FOF / name / snapshots.CATALOGUE))
    for simulation, name in names.items():
        dm, gas, stars = (arrays[f"{simulation}/{kind}"] for kind in SPECIES)
        path = folder / snapshots.HYDRO / name / snapshots.SNAPSHOT
        written.append(snapshots.write_hydro(path, dm, gas, stars, mass, size, cosmology))
    return [*written, *_write_tables(folder, record, size)]


def _write_tables(folder: Path, record: Mapping[str, Any], size: float) -> list[Path]:
    """Every box writes the same bytes, so it does not matter which one is the last."""
    columns = len(record["parameters"])
    name = f"CosmoAstroSeed_emulant_L{size:g}_SB{columns}.txt"
    return [write_text(folder / tree / name, record["table"]) for tree in (snapshots.DMO, snapshots.HYDRO)]


def roots(config: HalosConfig, run: Path) -> dict[str, Path]:
    """The three trees that a study reads, whoever has made them."""
    source = config.system.source
    if source.kind == "camels":
        return {tree: Path(getattr(source, tree)) for tree in ("nbody", "hydro", "fof")}
    made = run / FOLDER
    return {"nbody": made / snapshots.DMO, "hydro": made / snapshots.HYDRO, "fof": made / snapshots.FOF}

"""A whole dark-matter-only box painted: cutouts of its halos, painted batch by batch, pasted into full maps.

What is painted is kept until the maps are written, so that the same call goes on where it was.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.atomic import write_json, write_npz
from emulant.dataset.hashing import hash_file, hash_value
from emulant.dataset.npz import read_arrays
from emulant.dataset.seams import Array, Emulator, Inputs
from emulant.errors import DataError
from emulant.systems.halos.background import background_maps
from emulant.systems.halos.box import SPECIES, Halos
from emulant.systems.halos.extraction import CellList, Geometry
from emulant.systems.halos.pasting import Places, paste
from emulant.systems.halos.scaling import baryon_fraction

UNFINISHED = ".patches"
MAPS = "maps"
CARD = "painted.json"


@dataclass(frozen=True)
class DarkBox:
    """A dark-matter-only box that is to be painted."""

    particles: CellList
    halos: Halos
    """Those that get a patch."""
    parameters: Mapping[str, float]
    source: str
    """Hash of what it was read from."""

    def fields(self, rows: Sequence[int], geometry: Geometry) -> dict[str, Array]:
        """What an emulator sees of some halos, without rotation."""
        cut: dict[str, Any] = {"npix": geometry.npix, "resolution": geometry.resolution, "scales": geometry.scales}
        made = np.stack([self.particles.extract(self.halos.centers[row], **cut) for row in rows])
        return {
            "condition": made[:, 0],
            "large_scale": made[:, 1:],
            "params": np.tile(np.array([*self.parameters.values()], float), (len(rows), 1)),
            "halo_mass": self.halos.m200c[list(rows)].astype(float),
            "halo_center": self.halos.centers[list(rows)].astype(float),
            "rotation": np.tile(np.eye(3), (len(rows), 1, 1)),
        }

    def projected(self, geometry: Geometry) -> NDArray[np.float64]:
        """(npix, npix) the whole box."""
        middle, size = np.full(3, 0.5 * self.particles.box_size), self.particles.box_size
        whole: dict[str, Any] = {"npix": geometry.npix, "resolution": geometry.npix, "scales": (size,)}
        return np.asarray(self.particles.extract(middle, **whole)[0], np.float64)


def paint(
    model: Emulator, box: DarkBox, geometry: Geometry, target: Path, *, samples: int = 1, seed: int = 0, batch: int = 16
) -> dict[str, Array]:
    """Paint a box into `target`/maps.npz and `target`/painted.json.

    Args:
        model: A fitted emulator.
        box: What to paint.
        geometry: That of the model's training samples.
        target: The folder to write to; what an earlier call has painted there for the same question is used.
        samples: Draws.
        seed: Of the draws.
        batch: Halos that are painted at once.

    Returns:
        The maps: dmo, dm, gas, stars (npix, npix), means over draws, and of several draws dm_std, gas_std, stars_std.

    Raises:
        SurrogateError: The model was trained on another geometry.
        DataError: The parameters are others, or a map cannot be written.
    """
    known = {"box_size": geometry.box_size, "npix": geometry.npix, "resolution": geometry.resolution}
    described = {**known, "scales": geometry.scales, "parameters": tuple(box.parameters)}
    key = hash_value([_fingerprint(model), box.source, samples, seed, {**known, "scales": list(geometry.scales)}])
    kept = target / UNFINISHED / key[:16]
    files = list(_patches(model, box, geometry, described, kept, samples, seed, batch))
    dark, places = box.projected(geometry), Places.of(box.halos.centers, box.halos.m200c, geometry)
    background = background_maps(model, dark, places, box.parameters)
    share = float(baryon_fraction(np.array([[*box.parameters.values()]]), tuple(box.parameters))[0])
    masses = ((1 - share) * dark.sum(), share * dark.sum())
    mean, square, draws = np.zeros_like(background), np.zeros_like(background), 0
    for draws, patches in enumerate(_drawn(files, geometry), start=1):  # how many there are is used
        change = paste(patches, places, background, masses) - mean
        mean += change / draws
        square += change * change * (draws - 1) / draws
    maps = {"dmo": dark, **dict(zip(SPECIES, mean, strict=True))}
    if draws > 1:
        spread = np.sqrt(square / (draws - 1))
        maps |= {f"{name}_std": each for name, each in zip(SPECIES, spread, strict=True)}
    stored = {name: array.astype(np.float32) for name, array in maps.items()}
    write_npz(target / f"{MAPS}.npz", stored)
    write_json(target / CARD, _card(box, geometry, places, stored, draws, seed, key))
    shutil.rmtree(target / UNFINISHED, ignore_errors=True)
    return stored


def also(target: Path, maps: Mapping[str, Array], format: str, box_size: float) -> list[Path]:
    """The maps in another format: `maps.hdf5`, or one `NAME.npy` each."""
    if format == "hdf5":
        from emulant.dataset.hdf5 import Stored, write

        datasets = {name: Stored(array, {"unit": "Msun/h per pixel"}) for name, array in maps.items()}
        return [write(target / f"{MAPS}.hdf5", datasets, {"box_size": box_size, "box_size_unit": "Mpc/h"})]
    if format == "npy":
        return [_write_npy(target / f"{name}.npy", array) for name, array in maps.items()]
    return []


# -- patches ------------------------------------------------------------------------------------------------------


def _patches(
    model: Emulator,
    box: DarkBox,
    geometry: Geometry,
    described: Mapping[str, Any],
    folder: Path,
    samples: int,
    seed: int,
    batch: int,
) -> Iterator[Path]:
    """The files (halos, S, 3, r, r) of all batches; those that are missing are painted."""
    for first in range(0, len(box.halos), batch):
        path = folder / f"{first:06d}.npz"
        if not _is_whole(path):
            fields = box.fields(range(first, min(first + batch, len(box.halos))), geometry)
            painted = model.predict(Inputs(fields, described), samples=samples, seed=seed)["target"]
            write_npz(path, {"target": np.asarray(painted, np.float32)}, durable=False)
        yield path


def _is_whole(path: Path) -> bool:
    try:
        read_arrays(path, ["target"])
    except DataError:
        return False
    return True


def _drawn(files: Sequence[Path], geometry: Geometry) -> Iterator[NDArray[np.float32]]:
    """The patches of all halos (H, 3, r, r), draw by draw."""
    if not files:
        yield np.empty((0, len(SPECIES), geometry.resolution, geometry.resolution), np.float32)
        return
    for draw in range(read_arrays(files[0], ["target"])["target"].shape[1]):
        yield np.concatenate([read_arrays(path, ["target"])["target"][:, draw] for path in files])


def _fingerprint(model: Emulator) -> str:
    """Tells one model from another: the hash of what it would save."""
    with TemporaryDirectory() as folder:
        return hash_value(sorted(hash_file(path) for path in model.save(Path(folder))))


def _card(
    box: DarkBox, geometry: Geometry, places: Places, maps: Mapping[str, Array], draws: int, seed: int, key: str
) -> dict[str, Any]:
    """About the maps; `samples` is how many draws they are of, one if the painter draws nothing."""
    total = float(maps["dmo"].sum(dtype=np.float64))
    painted = float(sum(maps[name].sum(dtype=np.float64) for name in SPECIES))
    return {
        "unit": "Msun/h per pixel",
        "pixel": geometry.pixel,
        "pixel_unit": "Mpc/h",
        "projection": "along z; node i at i pixels; first axis x, second y",
        "box_size": geometry.box_size,
        "halos": len(box.halos),
        "parameters": dict(box.parameters),
        "samples": draws,
        "seed": seed,
        "source_sha256": box.source,
        "key": key,
        "painted_over_dmo_mass": painted / total if total else None,
        "share_of_area_in_patches": float(np.mean(1 - places.outside)),
        "share_of_mass_in_patches": float((maps["dmo"] * (1 - places.outside)).sum() / total) if total else None,
    }


def _write_npy(path: Path, array: Array) -> Path:
    from emulant.dataset.atomic import replacing

    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, np.asarray(array), allow_pickle=False)
    return path


def source_hash(particles: CellList, halos: Halos, parameters: Mapping[str, float]) -> str:
    """Hash of everything that a box's maps follow from."""
    digest = hashlib.sha256()
    for array in (particles.positions, particles.masses, halos.centers, halos.m200c):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(repr(dict(parameters)).encode())
    return digest.hexdigest()

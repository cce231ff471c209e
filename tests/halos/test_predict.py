"""`predict` on a snapshot: halos from where they are, its own where they are not, and what does not fit refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from halo_cutouts import NAMES, cutouts

from emulant.errors import DataError
from emulant.systems.halos.baselines import Identity
from emulant.systems.halos.config import HalosConfig
from emulant.systems.halos.cosmology import Cosmology
from emulant.systems.halos.extraction import CellList
from emulant.systems.halos.options import PredictOptions
from emulant.systems.halos.parameters import fiducial, text_of
from emulant.systems.halos.predict import found_halos, paint_snapshot
from emulant.systems.halos.snapshots import write_dmo, write_hydro

COUNT = 30
MASS = 0.3 * 2.77536627e11 * 50.0**3


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot with three clumps and no catalogue, and a file of parameters beside it."""
    root, rng = tmp_path_factory.mktemp("DMO"), np.random.default_rng(0)
    centers = np.array([[10.0, 10, 10], [30, 40, 0.1], [49.9, 20, 30]])
    clumps = [c + 0.15 * rng.standard_normal((n, 3)) for c, n in zip(centers, (900, 600, 300), strict=True)]
    positions = np.concatenate([rng.uniform(0, 50, (COUNT**3 - 1800, 3)), *clumps]) % 50
    write_dmo(root / "SB9_7" / "snap_090.hdf5", positions, MASS / COUNT**3, 50.0, Cosmology.of(fiducial()))
    values = {name: fiducial().get(name, 1.0) for name in NAMES}
    (root / "CosmoAstroSeed_test.txt").write_text(text_of({"SB9_7": (values, 1)}))
    return root


@pytest.fixture(scope="module")
def model() -> Identity:
    fitted = Identity()
    fitted.fit(cutouts(8))
    return fitted


def config(**system: object) -> HalosConfig:
    return HalosConfig.model_validate({"system": {"npix": 128, "resolution": 16, **system}})


def test_a_snapshot_without_a_catalogue_is_painted(tree: Path, model: Identity, tmp_path: Path) -> None:
    paint_snapshot(model, tree / "SB9_7", tmp_path, PredictOptions(format="npy"), config())
    with np.load(tmp_path / "maps.npz") as maps:
        assert maps["dmo"].sum(dtype=float) == pytest.approx(MASS, rel=1e-4)
        total = sum(maps[name].sum(dtype=float) for name in ("dm", "gas", "stars"))
        assert total == pytest.approx(MASS, rel=1e-3)
    assert (tmp_path / "gas.npy").is_file()


def test_own_halos_are_where_the_clumps_are() -> None:
    rng = np.random.default_rng(0)
    clumps = [c + 0.1 * rng.standard_normal((500, 3)) for c in ([10.0, 10, 10], [0.0, 25, 49.99])]
    positions = np.concatenate([rng.uniform(0, 50, (25_000, 3)), *clumps]) % 50
    halos = found_halos(CellList.of(positions, 1e11, 50.0))
    assert len(halos) == 2
    for center in ([10.0, 10, 10], [0.0, 25, 49.99]):
        away = (halos.centers - center + 25) % 50 - 25
        assert np.linalg.norm(away, axis=1).min() < 0.05
    np.testing.assert_allclose(halos.m200c, 5e13, rtol=0.15)
    with pytest.raises(DataError, match="--fof"):
        found_halos(CellList.of(positions, rng.uniform(1, 2, len(positions)), 50.0))


def test_what_does_not_fit_is_refused(tree: Path, model: Identity, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"50 Mpc/h.*25"):
        paint_snapshot(model, tree / "SB9_7", tmp_path, PredictOptions(), config(box_size=25.0, scales=[3.125, 6.25]))
    (tmp_path / "other.txt").write_text("#Name Omega0 seed\nSB9_7 0.3 1\n")
    with pytest.raises(DataError, match="Omega0, OmegaBaryon"):
        paint_snapshot(model, tree / "SB9_7", tmp_path, PredictOptions(params=tmp_path / "other.txt"), config())
    with pytest.raises(DataError):
        paint_snapshot(model, tree / "SB9_8", tmp_path, PredictOptions(), config())


def test_a_run_with_baryons_is_not_painted_once_more(tree: Path, model: Identity, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dm, gas, stars = (rng.uniform(0, 50, (n, 3)) for n in (COUNT**3, COUNT**3 - 10, 10))
    path = tmp_path / "Hydro" / "SB9_7" / "snap_090.hdf5"
    write_hydro(path, dm, gas, stars, MASS / COUNT**3, 50.0, Cosmology.of(fiducial()))
    options = PredictOptions(params=tree / "CosmoAstroSeed_test.txt")
    with pytest.raises(DataError, match="no dark-matter-only run"):
        paint_snapshot(model, path.parent, tmp_path / "out", options, config())
    assert not (tmp_path / "out").exists()


def test_a_run_that_lacks_matter_is_not_painted(tree: Path, model: Identity, tmp_path: Path) -> None:
    positions = np.random.default_rng(0).uniform(0, 50, (COUNT**3, 3))
    path = tmp_path / "SB9_7" / "snap_090.hdf5"
    write_dmo(path, positions, 0.9 * MASS / COUNT**3, 50.0, Cosmology.of(fiducial()))
    with pytest.raises(DataError, match="Omega0 rho_c"):
        paint_snapshot(model, path.parent, tmp_path / "out", PredictOptions(), config())


def test_of_several_files_of_parameters_none_is_guessed(tree: Path, model: Identity, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tree, tmp_path / "DMO")
    shutil.copy(tree / "CosmoAstroSeed_test.txt", tmp_path / "DMO" / "CosmoAstroSeed_other.txt")
    with pytest.raises(DataError, match="2 files of parameters"):
        paint_snapshot(model, tmp_path / "DMO" / "SB9_7", tmp_path / "out", PredictOptions(), config())

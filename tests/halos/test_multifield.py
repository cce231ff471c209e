"""Maps of the CAMELS Multifield Dataset: units, parameters, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulant.errors import DataError
from emulant.systems.halos import load_multifield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for field, share in (("Mcdm", 0.84), ("Mgas", 0.15), ("Mstar", 0.01)):
        maps = share * rng.lognormal(size=(6, 32, 32)).astype("f4") * 1e12
        np.save(tmp_path / f"Maps_{field}_IllustrisTNG_LH_z=0.00.npy", maps)
    np.savetxt(tmp_path / "params_LH_IllustrisTNG.txt", rng.uniform(size=(2, 6)))
    return tmp_path


def test_surface_densities_become_masses_per_pixel(folder: Path) -> None:
    found = load_multifield(folder)
    raw = np.load(folder / "Maps_Mgas_IllustrisTNG_LH_z=0.00.npy").astype(float)
    assert found.pixel == 25 / 32
    assert sorted(found.maps) == ["dm", "gas", "stars"]
    np.testing.assert_allclose(found.maps["gas"][2].sum(dtype=float), raw[2].mean() * 25**2, rtol=1e-5)
    assert found.params is not None
    assert found.params.shape == (6, 6)
    assert (found.params[0] == found.params[2]).all()
    assert (found.params[2] != found.params[3]).all()


def test_what_is_wrong_with_a_file_is_told(folder: Path) -> None:
    gas = folder / "Maps_Mgas_IllustrisTNG_LH_z=0.00.npy"
    whole = np.load(gas)
    for spoiled, told in ((whole[:5], "different shapes"), (-whole, "no masses"), (whole[0], "square")):
        np.save(gas, spoiled)
        with pytest.raises(DataError, match=told):
            load_multifield(folder)
    gas.write_bytes(b"torn")
    with pytest.raises(DataError, match="Maps_Mgas"):
        load_multifield(folder)
    np.save(gas, whole)
    (folder / "params_LH_IllustrisTNG.txt").write_text("1 2\n" * 4)
    with pytest.raises(DataError, match="4 rows"):
        load_multifield(folder)
    with pytest.raises(DataError, match="SIMBA"):
        load_multifield(folder, "SIMBA")

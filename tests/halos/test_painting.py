"""A box painted: mass that closes, gas outside halos too, draws, and going on after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
import pytest
from halo_cutouts import GEOMETRY, NAMES, cutouts

from emulant.errors import SurrogateError
from emulant.systems.halos.baselines import Identity
from emulant.systems.halos.box import Halos
from emulant.systems.halos.extraction import CellList, Geometry
from emulant.systems.halos.painting import DarkBox, also, paint, source_hash

PARAMETERS = dict(zip(NAMES, (0.3, 0.049, 1.0), strict=True))
PLAN = Geometry(50.0, 128, 16)


@pytest.fixture(scope="module")
def box() -> DarkBox:
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, 50, (10, 3))
    positions = np.concatenate(
        [rng.uniform(0, 50, (50_000, 3)), *(c + 0.3 * rng.normal(size=(500, 3)) for c in centers)]
    )
    particles, mass = CellList.of(positions % 50, 1e9, 50.0), np.linspace(1, 9, 10) * 1e13
    halos = Halos(np.arange(10), centers, mass, 0 * mass, mass)
    return DarkBox(particles, halos, PARAMETERS, source_hash(particles, halos, PARAMETERS))


class Noisy(Identity):
    """`identity` whose gas is moved into stars by draws, and that counts how often it is asked."""

    asked = 0
    most = 10**9

    def predict(self, inputs: Any, *, samples: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
        self.asked += 1
        if self.asked > self.most:
            raise KeyboardInterrupt
        maps = super().predict(inputs)["target"]
        made = np.repeat(maps, samples, axis=1)
        made[:, :, 2] = 0.1 * np.arange(1, samples + 1)[:, None, None] * made[:, :, 1]
        return {"target": made}


@pytest.fixture
def model() -> Noisy:
    fitted = Noisy()
    fitted.fit(cutouts(8))
    return fitted


def test_mass_closes_and_gas_lies_outside_halos_too(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    maps = paint(model, box, PLAN, tmp_path)
    assert maps["dmo"].sum(dtype=float) == pytest.approx(55_000 * 1e9, rel=1e-6)
    dark, gas, stars = (maps[name].sum(dtype=float) for name in ("dm", "gas", "stars"))
    assert dark + gas + stars == pytest.approx(55_000 * 1e9, rel=1e-3)
    assert (gas + stars) / (dark + gas + stars) == pytest.approx(0.049 / 0.3, rel=1e-3)
    assert stars > 0
    far = maps["dmo"] > 0
    assert (maps["gas"][far] > 0).mean() > 0.99
    assert (maps["stars"] > 0).mean() < 0.2
    with np.load(tmp_path / "maps.npz") as file:
        assert sorted(file) == ["dm", "dmo", "gas", "stars"]
        assert file["dm"].dtype == np.float32
    card = orjson.loads((tmp_path / "painted.json").read_bytes())
    assert card["halos"] == 10
    assert card["painted_over_dmo_mass"] == pytest.approx(1, abs=1e-3)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_several_draws_give_a_mean_and_a_spread(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    one, three = paint(model, box, PLAN, tmp_path / "a"), paint(model, box, PLAN, tmp_path / "b", samples=3)
    assert three["stars"].sum(dtype=float) == pytest.approx(2 * one["stars"].sum(dtype=float), rel=1e-3)
    painted = one["stars"] > 1
    np.testing.assert_allclose(three["stars_std"][painted] / one["stars"][painted], 1.0, rtol=1e-3)
    assert sorted(three) == ["dm", "dm_std", "dmo", "gas", "gas_std", "stars", "stars_std"]


def test_the_card_counts_the_draws_that_were_made(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    for painter, draws in ((model, 3), (Identity(), 1)):
        painter.fit(cutouts(8))
        paint(painter, box, PLAN, tmp_path, samples=3)
        assert orjson.loads((tmp_path / "painted.json").read_bytes())["samples"] == draws


def test_it_goes_on_where_it_was_and_ends_in_the_same_bytes(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    whole = paint(model, box, PLAN, tmp_path / "whole", batch=2)
    assert model.asked == 5
    model.asked, model.most = 0, 3
    with pytest.raises(KeyboardInterrupt):
        paint(model, box, PLAN, tmp_path / "cut", batch=2)
    model.asked, model.most = 0, 10**9
    again = paint(model, box, PLAN, tmp_path / "cut", batch=2)
    assert model.asked == 2
    assert all(again[name].tobytes() == whole[name].tobytes() for name in whole)


def test_another_seed_does_not_take_up_what_was_painted(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    model.most = 3
    with pytest.raises(KeyboardInterrupt):
        paint(model, box, PLAN, tmp_path, batch=2)
    model.asked, model.most = 0, 10**9
    paint(model, box, PLAN, tmp_path, batch=2, seed=1)
    assert model.asked == 5


def test_a_box_without_halos_is_background(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    empty = DarkBox(box.particles, box.halos.above(1e20), PARAMETERS, "x")
    maps = paint(model, empty, PLAN, tmp_path)
    share = 0.049 / 0.3
    assert maps["gas"].sum(dtype=float) == pytest.approx(share * maps["dmo"].sum(dtype=float), rel=1e-5)
    assert maps["dm"].sum(dtype=float) == pytest.approx((1 - share) * maps["dmo"].sum(dtype=float), rel=1e-5)
    assert not maps["stars"].any()


def test_another_geometry_is_refused(box: DarkBox, model: Noisy, tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match="npix"):
        paint(model, box, Geometry(50.0, 256, 32), tmp_path)
    assert GEOMETRY["npix"] == 128


def test_other_formats_hold_the_same_maps(tmp_path: Path) -> None:
    maps = {"dm": np.arange(9, dtype=np.float32).reshape(3, 3), "gas": np.ones((3, 3), np.float32)}
    also(tmp_path, maps, "hdf5", 50.0)
    with h5py.File(tmp_path / "maps.hdf5") as file:
        assert (file["dm"][()] == maps["dm"]).all()
        assert file["gas"].attrs["unit"] == "Msun/h per pixel"
    assert {path.name for path in also(tmp_path, maps, "npy", 50.0)} == {"dm.npy", "gas.npy"}
    assert (np.load(tmp_path / "gas.npy") == 1).all()

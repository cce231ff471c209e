"""The baselines on samples where they are right by construction, and by their own definitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from halo_cutouts import Asked, Cutouts, cutouts
from scipy.ndimage import gaussian_filter

from emulant.errors import SurrogateError
from emulant.systems.halos.baselines import Identity, OneHalo
from emulant.systems.halos.normalisation import Normalisation
from emulant.systems.halos.radii import r200c
from emulant.systems.halos.references import HydroReplace, TransferScatter, Untrained
from emulant.systems.halos.spectra import contrast, power
from emulant.systems.halos.transfer import Transfer

SHARE = 0.049 / 0.3


@pytest.fixture(scope="module")
def train() -> Cutouts:
    return cutouts()


@pytest.fixture(scope="module")
def held() -> Cutouts:
    return cutouts(32, seed=9, split="test")


def painted(model: Identity, dataset: Cutouts) -> np.ndarray:
    maps = model.predict(Asked.of(dataset))["target"]
    assert maps.shape == (len(dataset), 1, 3, 16, 16)
    return maps[:, 0]


def with_targets(dataset: Cutouts, target: np.ndarray) -> Cutouts:
    return replace(dataset, values={**dataset.values, "target": target.astype("f4")})


def test_identity_shares_the_condition(train: Cutouts, held: Cutouts) -> None:
    model = Identity()
    model.fit(train)
    maps, condition = painted(model, held), held.values["condition"]
    np.testing.assert_allclose(maps[:, 1], SHARE * condition, rtol=1e-6)
    np.testing.assert_allclose(maps[:, 0] + maps[:, 1], condition, rtol=1e-6)
    assert not maps[:, 2].any()


def test_transfer_finds_a_smoothing_and_how_it_follows_a_parameter(train: Cutouts, held: Cutouts) -> None:
    def smoothed(dataset: Cutouts) -> Cutouts:
        condition = dataset.values["condition"].astype(float)
        share = 0.1 * dataset.values["params"][:, 2, None, None] ** 0.3
        gas = share * gaussian_filter(condition, (0, 0.7, 0.7), mode="wrap")
        return with_targets(dataset, np.stack([condition, gas, 0 * gas], axis=1))

    model, truth = Transfer(), smoothed(held).values["target"]
    model.fit(smoothed(train))
    maps = painted(model, held)
    np.testing.assert_allclose(maps[:, 0], truth[:, 0], rtol=1e-4)
    np.testing.assert_allclose(maps[:, 1].sum(axis=(1, 2)), truth[:, 1].sum(axis=(1, 2)), rtol=5e-3)
    edges = model.edges
    ratio = power(contrast(maps[:, 1]), 6.25, edges) / power(contrast(truth[:, 1]), 6.25, edges)
    assert np.nanmedian(np.abs(ratio - 1)) < 0.05
    assert not maps[:, 2].any()


def test_transfer_gives_the_mean_power_and_mass_of_its_training_samples(train: Cutouts) -> None:
    model = Transfer()
    model.fit(train)
    maps, truth = painted(model, train), train.values["target"].astype(float)
    np.testing.assert_allclose(maps.sum(axis=(0, 2, 3))[:2], truth.sum(axis=(0, 2, 3))[:2], rtol=0.05)
    assert maps.min() >= 0


def test_one_halo_paints_a_profile_that_scales_with_the_halo(train: Cutouts, held: Cutouts) -> None:
    def with_profile(dataset: Cutouts) -> Cutouts:
        condition = dataset.values["condition"].astype(float)
        radius = 6.25 / 16 * np.hypot(*(np.indices((16, 16)) - 8))
        r200 = r200c(dataset.values["halo_mass"])[:, None, None]
        stars = 0.01 * dataset.values["halo_mass"][:, None, None] * (0.4 / r200) ** 2 * np.exp(-radius / r200)
        return with_targets(dataset, np.stack([(1 - SHARE) * condition, SHARE * condition, stars], axis=1))

    model, truth = OneHalo(), with_profile(held).values["target"].astype(float)
    model.fit(with_profile(train))
    maps = painted(model, held)
    np.testing.assert_allclose(maps[:, :2], truth[:, :2], rtol=1e-3)
    np.testing.assert_allclose(maps[:, 2].sum(axis=(1, 2)), truth[:, 2].sum(axis=(1, 2)), rtol=0.1)
    inside = truth[:, 2] > 0.3 * truth[:, 2].max(axis=(1, 2), keepdims=True)
    assert np.median(np.abs(maps[:, 2] / truth[:, 2] - 1)[inside]) < 0.1


@pytest.mark.parametrize("kind", [Identity, Transfer, OneHalo, TransferScatter, Untrained])
def test_what_is_loaded_paints_as_what_was_saved(
    kind: type[Identity], train: Cutouts, held: Cutouts, tmp_path: Path
) -> None:
    model = kind()
    model.fit(train)
    written = model.save(tmp_path)
    assert all(path.is_file() for path in written)
    assert painted(kind.load(tmp_path), held).tobytes() == painted(model, held).tobytes()
    with pytest.raises(SurrogateError, match="resolution"):
        model.predict(Asked.of(cutouts(4, resolution=32)))
    (tmp_path / "about.json").unlink()
    with pytest.raises(SurrogateError, match=r"about\.json"):
        kind.load(tmp_path)


def test_scattered_masses_spread_as_the_residuals_of_training_do(train: Cutouts) -> None:
    plain, model = Transfer(), TransferScatter()
    plain.fit(train)
    model.fit(train)
    drawn = model.predict(Asked.of(train), samples=200, seed=3)["target"].sum(axis=(3, 4), dtype=float)
    truth, at = (
        train.values["target"].sum(axis=(2, 3), dtype=float),
        painted(plain, train).sum(axis=(2, 3), dtype=float),
    )
    residuals = np.log(truth[:, 1] / at[:, 1])
    np.testing.assert_allclose(np.log(drawn[:, :, 1]).std(axis=1).mean(), residuals.std(), rtol=0.05)
    np.testing.assert_allclose(drawn[:, :, 1].mean(), at[:, 1].mean(), rtol=0.02)
    again = model.predict(Asked.of(train.select([5])), samples=200, seed=3)["target"].sum(axis=(3, 4), dtype=float)
    np.testing.assert_allclose(again[0], drawn[5], rtol=1e-6)


def test_what_is_untrained_paints_the_mean_and_no_stars(train: Cutouts) -> None:
    model = Untrained()
    model.fit(train)
    maps, truth = painted(model, train), train.values["target"]
    assert not maps[:, 2].any()
    np.testing.assert_allclose(np.mean(np.log(maps[:, 1] / truth[:, 1])), 0, atol=0.01)


def test_the_oracle_puts_out_the_truth_and_is_no_emulator(held: Cutouts) -> None:
    oracle = HydroReplace()
    assert not hasattr(oracle, "predict")
    found = oracle.predict_with_truth(Asked.of(held), {"target": held.values["target"]})["target"]
    assert (found[:, 0] == held.values["target"]).all()


# -- the normalisation --------------------------------------------------------------------------------------------


def test_normalisation_is_by_log10_of_one_more_and_of_occupied_star_pixels(train: Cutouts, tmp_path: Path) -> None:
    fitted, logs = Normalisation.of(train), np.log10(train.values["target"].astype(float) + 1)
    occupied = train.values["target"][:, 2] > 0
    np.testing.assert_allclose(fitted.mean, [logs[:, 0].mean(), logs[:, 1].mean(), logs[:, 2][occupied].mean()], 1e-5)
    np.testing.assert_allclose(fitted.std, [logs[:, 0].std(), logs[:, 1].std(), logs[:, 2][occupied].std()], 1e-4)
    assert fitted.occupancy == occupied.mean()
    z = fitted.species(train.values["target"])
    np.testing.assert_allclose(fitted.masses(z)[:, :2], train.values["target"][:, :2], rtol=1e-4)
    fitted.save(tmp_path)
    assert Normalisation.load(tmp_path).digest == fitted.digest
    with np.load(tmp_path / "gas_normalization_stats.npz") as file:
        assert sorted(file) == ["epsilon", "gas_mag_mean", "gas_mag_std"]
        assert file["gas_mag_mean"].dtype == np.float64
    (tmp_path / "gas_normalization_stats.npz").write_bytes(b"torn")
    with pytest.raises(SurrogateError, match="gas_normalization"):
        Normalisation.load(tmp_path)

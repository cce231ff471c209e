"""The scores where they are known: of the truth itself, of masses off by a known factor, of perfect samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from halo_cutouts import Cutouts, cutouts
from scipy.stats import norm

from emulant.systems.halos.metrics import METRICS, PEAK, crps, peaks, rank
from emulant.systems.halos.spectra import BANDS, band_power, power


@pytest.fixture(scope="module")
def held() -> Cutouts:
    return cutouts(24, seed=9, split="test")


def info_of(dataset: Cutouts) -> dict[str, Any]:
    return {"cases": dataset.cases, "geometry": dataset.geometry, "cutouts": {dataset.split: dataset}}


def scored(name: str, dataset: Cutouts, prediction: np.ndarray) -> np.ndarray:
    """(H,) or () as evaluation has it: sums over sums, or the mean; NaN where it is defined for no case."""
    values = METRICS[name].score({"target": dataset.values["target"]}, {"target": prediction}, info_of(dataset))
    with np.errstate(invalid="ignore", divide="ignore"):
        if METRICS[name].aggregate == "ratio":
            known = ~np.isnan(values.sum(axis=0))
            return np.asarray(np.where(known, values[0], 0).sum(axis=0) / np.where(known, values[1], 0).sum(axis=0))
        known = ~np.isnan(values)
        return np.asarray(np.where(known, values, 0).sum(axis=0) / known.sum(axis=0))


@pytest.mark.parametrize("name", METRICS)
def test_the_truth_itself_is_perfect_and_half_of_it_is_not(name: str, held: Cutouts) -> None:
    truth = held.values["target"][:, None]
    perfect = scored(name, held, truth)
    if name.startswith("coverage"):
        assert np.isnan(perfect)  # one draw says nothing of how sure it is
        return
    assert np.isfinite(perfect).any()
    np.testing.assert_allclose(perfect[np.isfinite(perfect)], METRICS[name].perfect, atol=1e-6)
    half = scored(name, held, 0.5 * truth * (np.arange(16) < 8))
    finite = np.isfinite(half)
    assert finite.any()
    assert (np.abs(half - METRICS[name].perfect)[finite] > 1e-3).all()


@pytest.mark.parametrize("species", ["dm", "gas", "stars", "total"])
def test_biases_are_ratios_of_sums(species: str, held: Cutouts) -> None:
    truth = held.values["target"][:, None].astype(float)
    tilt = np.linspace(0.8, 1.4, len(held))[:, None, None, None, None]
    assert scored(f"mass_bias/{species}", held, 1.1 * truth) == pytest.approx(0.1)
    assert scored(f"mass_bias_r200/{species}", held, 1.1 * truth) == pytest.approx(0.1)
    np.testing.assert_allclose(scored(f"pk_ratio/{species}", held, 1.1 * truth)[:2], 0.21, rtol=1e-6)
    part = {"total": slice(None)}.get(species, ["dm", "gas", "stars", "total"].index(species))
    masses = truth[:, 0, part].reshape(len(held), -1).sum(axis=1)
    expected = (masses * tilt.ravel()).sum() / masses.sum() - 1
    assert scored(f"mass_bias/{species}", held, tilt * truth) == pytest.approx(expected)
    assert scored(f"mass_scatter/{species}", held, tilt * truth) == pytest.approx(
        np.mean(np.log10(tilt.ravel()[masses > 0]) ** 2), rel=1e-3
    )


def test_coverage_of_a_perfect_sampler_is_nominal() -> None:
    rng, cases, draws = np.random.default_rng(0), 4000, 39
    truth, drawn = rng.normal(size=cases), rng.normal(size=(cases, draws))
    info = {"cases": pl.DataFrame({"case": np.arange(cases)})}
    at = rank(truth, drawn, info)
    assert np.mean(np.abs(at - 0.5) < 0.34) == pytest.approx(0.68, abs=0.02)
    assert np.mean(np.abs(at - 0.5) < 0.475) == pytest.approx(0.95, abs=0.012)
    narrow = rank(truth, 0.5 * drawn, info)
    assert np.mean(np.abs(narrow - 0.5) < 0.34) < 0.5


def test_crps_of_normal_draws_is_the_closed_form() -> None:
    """Gneiting & Raftery (2007): σ [z (2 Φ(z) - 1) + 2 φ(z) - 1/√π]."""
    rng = np.random.default_rng(1)
    logs = 12 + 0.1 * rng.normal(size=(2000, 40))
    painted = 10.0 ** logs[:, :, None, None]
    truth = np.full((2000, 1, 1), 10.0**12.15)
    z = 1.5
    expected = 0.1 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(truth, painted, {}).mean() == pytest.approx(expected, rel=0.01)
    assert crps(truth, painted[:, :1], {})[0] == pytest.approx(abs(logs[0, 0] - 12.15))


def test_peaks_are_counted() -> None:
    maps = np.zeros((1, 9, 9))
    maps[0, 1, 1], maps[0, 1, 2], maps[0, 6, 6], maps[0, 4, 0] = 3 * PEAK, 2 * PEAK, 1.1 * PEAK, 0.5 * PEAK
    assert peaks(maps) == 2


def test_power_of_one_wave_lies_in_its_band() -> None:
    x = np.arange(64) * 6.25 / 64
    k = 2 * np.pi / 6.25 * 4
    wave = np.cos(k * x)[:, None] * np.ones(64)
    found = band_power(wave, 6.25)
    place = next(i for i, (low, high) in enumerate(BANDS) if low <= k < high)
    assert found[place] > 0
    np.testing.assert_allclose(np.delete(found, place), 0, atol=1e-12 * found[place])
    white = np.random.default_rng(2).normal(size=(50, 64, 64))
    np.testing.assert_allclose(power(white, 6.25, [1, 3, 8, 20, 32]).mean(axis=0), 64**2, rtol=0.2)


def test_an_empty_prediction_is_uncorrelated_and_an_empty_truth_is_left_out(held: Cutouts) -> None:
    np.testing.assert_equal(scored("r_k/stars", held, 0 * held.values["target"][:, None])[:3], 0)
    without = held.values["target"].copy()
    without[:, 2] = 0
    values = METRICS["r_k/stars"].score({"target": without}, {"target": held.values["target"][:, None]}, info_of(held))
    assert np.isnan(values).all()

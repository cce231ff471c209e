"""Scores of painted cutouts. Truth is (C, 3, r, r), a prediction (C, S, 3, r, r): dark matter, gas, stars; Msun/h.

A key NAME/SPECIES is the metric NAME of one species or of their total. Masses are scored by ratios of sums: a mean of
ratios is off for a perfect sampler. Over draws means are taken, but for coverage and CRPS, which are about draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emulant.dataset.memory import Remembered
from emulant.dataset.seams import Array, Dataset, Fields, Metric
from emulant.dataset.seeds import stream
from emulant.systems.halos.box import SPECIES
from emulant.systems.halos.normalisation import names_of
from emulant.systems.halos.radii import r200c
from emulant.systems.halos.scaling import baryon_fraction
from emulant.systems.halos.spectra import MIDDLES, band_power

Info = Mapping[str, Any]
Scored = Callable[[Array, Array, Info], Array]
"""(C, r, r) true and (C, S, r, r) predicted maps of one species -> scores."""

RINGS = (0.0, 0.2, 0.4, 0.7, 1.0, 2.0)
"""Edges of the rings of profiles, in R200c."""
RADII = tuple(0.5 * (low + high) for low, high in pairwise(RINGS))
LEAST = 1e6
"""Msun/h, the least mass that a logarithm is taken of."""
PEAK = 1e10
"""Msun/h, what a pixel has to hold to count as a peak."""
ALL = (*SPECIES, "total")


def maps_of(fields: Fields, species: str) -> NDArray[np.float64]:
    """(..., r, r) of a species, or of the total, from a target (..., 3, r, r)."""
    target = np.asarray(fields["target"])
    chosen = target.sum(axis=-3, dtype=np.float64) if species == "total" else target[..., SPECIES.index(species), :, :]
    return np.asarray(chosen, np.float64)


# -- masses -------------------------------------------------------------------------------------------------------


def mass_bias(truth: Array, painted: Array, info: Info) -> Array:
    """(2, C) predicted minus true mass of the cutout, and the true one."""
    true = truth.sum(axis=(1, 2))
    return np.stack([painted.sum(axis=(2, 3)).mean(axis=1) - true, true])


def mass_bias_r200(truth: Array, painted: Array, info: Info) -> Array:
    """The same inside R200c, in projection."""
    inside = radius(info) < 1
    true = (truth * inside).sum(axis=(1, 2))
    return np.stack([(painted * inside[:, None]).sum(axis=(2, 3)).mean(axis=1) - true, true])


def mass_scatter(truth: Array, painted: Array, info: Info) -> Array:
    """(C,) square of log10(predicted / true) of the mass in the cutout."""
    return np.asarray(np.square(log_mass(painted).mean(axis=1) - true_log_mass(truth)))


def profile_error(truth: Array, painted: Array, info: Info) -> Array:
    """(2, C, rings) predicted minus true mass of every ring, and the true one."""
    at, mean = radius(info), painted.mean(axis=1)
    rings = [(at >= low) & (at < high) for low, high in pairwise(RINGS)]
    true = np.stack([(truth * ring).sum(axis=(1, 2)) for ring in rings], axis=1)
    ours = np.stack([(mean * ring).sum(axis=(1, 2)) for ring in rings], axis=1)
    return np.stack([ours - true, np.where(true > 0, true, np.nan)])


# -- spectra ------------------------------------------------------------------------------------------------------


def pk_ratio(truth: Array, painted: Array, info: Info) -> Array:
    """(2, C, bands) predicted minus true power, and the true one."""
    true = band_power(truth, side(info))
    ours = band_power(painted, side(info)).mean(axis=1)
    return np.stack([ours - true, np.where(true > 0, true, np.nan)])


def r_k(truth: Array, painted: Array, info: Info) -> Array:
    """(C, bands) correlation of the waves; of several draws the mean."""
    return correlation(truth, painted, side(info))


def r_k_correction(truth: Array, painted: Array, info: Info, *, species: str) -> Array:
    """The same of what baryons change: the species less its cosmic share of the dark-matter-only map."""
    known = shown(info, "condition", "params")
    share = baryon_fraction(known["params"], names_of(info["geometry"]))
    start = cosmic_share(species, share)[:, None, None] * known["condition"]
    return correlation(truth - start, painted - start[:, None], side(info))


def cosmic_share(species: str, baryons: Array) -> Array:
    """What a species would have of all matter if baryons did nothing, given f_b."""
    shares = {"dm": 1 - baryons, "gas": baryons, "stars": 0 * baryons, "total": 1 + 0 * baryons}
    return np.asarray(shares[species])


def correlation(truth: Array, painted: Array, length: float) -> Array:
    """(C, bands) of (C, n, n) with (C, S, n, n), the mean over draws; maps without waves correlate with nothing."""
    cross = band_power(painted, length, np.broadcast_to(truth[:, None], painted.shape))
    scale = np.sqrt(band_power(painted, length) * band_power(truth, length)[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = cross / scale
    empty = ~np.isfinite(correlation)
    flat = band_power(truth, length)[:, None] > 0
    return np.asarray(np.where(empty, np.where(flat, 0.0, np.nan), correlation).mean(axis=1))


# -- stars ----------------------------------------------------------------------------------------------------------


def star_occupancy(truth: Array, painted: Array, info: Info) -> Array:
    """(2, C) occupied pixels too many, and those of the truth."""
    true = np.sum(truth > 0, axis=(1, 2), dtype=float)
    return np.stack([np.sum(painted > 0, axis=(2, 3), dtype=float).mean(axis=1) - true, true])


def star_jaccard(truth: Array, painted: Array, info: Info) -> Array:
    """(2, C) pixels that are occupied in both, and in either."""
    true, ours = truth[:, None] > 0, painted > 0
    both, either = (np.sum(pixels, axis=(2, 3), dtype=float).mean(axis=1) for pixels in (true & ours, true | ours))
    return np.stack([both, either])


def peak_ratio(truth: Array, painted: Array, info: Info) -> Array:
    """(2, C) peaks of the prediction, and of the truth."""
    return np.stack([peaks(painted).mean(axis=1), peaks(truth)])


def peaks(maps: Array) -> NDArray[np.float64]:
    """(...) how many pixels above `PEAK` are the largest of their 3 x 3."""
    from scipy.ndimage import maximum_filter

    highest = maximum_filter(maps, size=(*[1] * (maps.ndim - 2), 3, 3), mode="nearest")
    return np.asarray(np.sum((maps == highest) & (maps > PEAK), axis=(-2, -1), dtype=float))


# -- distributions --------------------------------------------------------------------------------------------------


def crps(truth: Array, painted: Array, info: Info) -> Array:
    """(C,) continuous ranked probability score of log10 mass, unbiased in the number of draws; of one draw |error|."""
    true, drawn = true_log_mass(truth), np.sort(log_mass(painted), axis=1)
    draws = drawn.shape[1]
    error = np.abs(drawn - true[:, None]).mean(axis=1)
    if draws == 1:
        return np.asarray(error)
    weights = 2 * np.arange(1, draws + 1) - draws - 1  # Σ|x_i - x_j| of sorted x is 2 Σ weight x
    return np.asarray(error - (weights * drawn).sum(axis=1) / (draws * (draws - 1)))


def coverage(truth: Array, painted: Array, info: Info, *, share: float) -> Array:
    """(C,) whether the truth's rank among the draws lies in the central `share`; undefined for a single draw."""
    draws = painted.shape[1]
    if draws == 1:
        return np.full(len(truth), np.nan)
    true = true_log_mass(truth)
    at = rank(true, log_mass(painted), info)
    return np.asarray(np.where(np.isnan(true), np.nan, np.abs(at - 0.5) < 0.5 * share))


def rank(true: Array, drawn: Array, info: Info) -> NDArray[np.float64]:
    """(C,) u = (rank + U) / (K + 1), uniform if truth (C,) and draws (C, K) come from one distribution."""
    chance = np.array([stream(0, "bootstrap", int(case)).uniform() for case in info["cases"]["case"]])
    below = (drawn < true[:, None]).sum(axis=1) + chance * (drawn == true[:, None]).sum(axis=1)
    return np.asarray((below + chance) / (drawn.shape[1] + 1))


# -- what they share ------------------------------------------------------------------------------------------------


def log_mass(maps: Array) -> NDArray[np.float64]:
    """log10 of the mass of a map (..., r, r)."""
    return np.asarray(np.log10(np.maximum(maps.sum(axis=(-2, -1)), LEAST)))


def true_log_mass(maps: Array) -> NDArray[np.float64]:
    """(C,) the same of the truth (C, r, r); NaN, which is undefined, where there is nothing."""
    return np.asarray(np.where(maps.any(axis=(-2, -1)), log_mass(maps), np.nan))


def side(info: Info) -> float:
    """Mpc/h along a cutout."""
    return float(info["geometry"]["scales"][0])


def radius(info: Info) -> NDArray[np.float64]:
    """(C, r, r) distance from the halo's centre in units of its R200c."""
    pixels = int(info["geometry"]["resolution"])
    distance = side(info) / pixels * np.hypot(*(np.indices((pixels, pixels)) - pixels // 2))
    return np.asarray(distance / r200c(shown(info, "halo_mass")["halo_mass"])[:, None, None])


def shown(info: Info, *names: str) -> dict[str, Array]:
    """Fields of the samples that are scored, other than the target; `scoring` hands the datasets over."""
    cases = info["cases"]
    read: dict[str, Array] = info["cutouts"][cases["split"][0]].read(names, cases["case"].to_list())
    return read


def _metric(function: Scored, species: str, meaning: str, **about: Any) -> Metric:
    def score(truth: Fields, prediction: Fields, info: Info) -> Array:
        return function(maps_of(truth, species), maps_of(prediction, species), info)

    return Metric(score, about.pop("unit", "1"), meaning, about.pop("better", "lower"), **about)


def _all() -> dict[str, Metric]:
    found = {"crps": Metric(mean_crps, "dex", "CRPS of log10 mass, mean of the species", "lower")}
    for species in ALL:
        for name, (function, meaning, about) in _MASSES.items():
            chosen = partial(function, species=species) if name == "r_k_correction" else function
            found[f"{name}/{species}"] = _metric(chosen, species, meaning, **about)
    for name, (function, meaning, about) in _STARS.items():
        found[name] = _metric(function, "stars", meaning, **about)
    return found


def mean_crps(truth: Fields, prediction: Fields, info: Info) -> Array:
    """(C,) the mean over species; NaN where one of them is not there."""
    each = [crps(maps_of(truth, species), maps_of(prediction, species), info) for species in SPECIES]
    return np.asarray(np.mean(each, axis=0))


_RATIO = {"aggregate": "ratio", "better": "lower"}
_BANDS, _RADII = {"horizons": MIDDLES}, {"horizons": RADII}
_HIGH = {"better": "higher", "perfect": 1.0}
_MASSES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "mass_bias": (mass_bias, "mass of the cutouts over the true one, less 1", _RATIO),
    "mass_bias_r200": (mass_bias_r200, "the same inside R200c", _RATIO),
    "mass_scatter": (mass_scatter, "rms log10 of mass over true mass", {"aggregate": "rms", "unit": "dex"}),
    "pk_ratio": (pk_ratio, "power over the true one, less 1, by wave number / (h/Mpc)", {**_RATIO, **_BANDS}),
    "profile_error": (profile_error, "mass over the true one, less 1, by radius / R200c", {**_RATIO, **_RADII}),
    "r_k": (r_k, "correlation with the truth, by wave number / (h/Mpc)", {**_HIGH, **_BANDS}),
    "r_k_correction": (r_k_correction, "correlation of what baryons change, by wave number", {**_HIGH, **_BANDS}),
    "crps": (crps, "CRPS of log10 mass", {"unit": "dex"}),
    "coverage_68": (partial(coverage, share=0.68), "share of truths in the central 68 %", {**_HIGH, "perfect": 0.68}),
    "coverage_95": (partial(coverage, share=0.95), "share of truths in the central 95 %", {**_HIGH, "perfect": 0.95}),
}
_STARS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "star_occupancy": (star_occupancy, "occupied pixels over the true number, less 1", _RATIO),
    "star_jaccard": (star_jaccard, "occupied in both over occupied in either", {**_HIGH, "aggregate": "ratio"}),
    "peak_ratio": (peak_ratio, "number of peaks over the true one", {**_HIGH, "aggregate": "ratio"}),
}
METRICS: Mapping[str, Metric] = _all()


def scoring(run: Any) -> dict[str, Any]:
    """What the scores need of an opened run: its test splits, remembered."""
    return {"cutouts": {split: Remembered(run.dataset(split)) for split in run.test_splits}}


def with_mass_bins(dataset: Dataset) -> pl.DataFrame:
    """The cases with `groups`: below or above 10^13.5 Msun/h."""
    mass = dataset.read(["halo_mass"])["halo_mass"]
    bins = [["M < 10^13.5"] if each < 10**13.5 else ["M > 10^13.5"] for each in mass.tolist()]
    return dataset.cases.with_columns(groups=pl.Series(bins, dtype=pl.List(pl.String)))

from __future__ import annotations

import numpy as np
import pytest

from emulant.evaluation.confidence import resampling


def draws(keys, **options):
    return resampling([str(key) for key in keys], **{"resamples": 2000, "confidence": 0.95, "seed": 0, **options})


@pytest.mark.parametrize(("cases", "lowest"), [(5, 0.915), (20, 0.925), (60, 0.925)])
def test_the_interval_of_a_mean_holds_the_true_mean_as_often_as_it_says(cases, lowest):
    """2000 data sets of normal numbers at once; a plain percentile interval would hold 83 % for five cases."""
    samples = np.random.default_rng(cases).normal(3, 2, size=(cases, 2000))
    estimate = draws(range(cases), resamples=1000).mean(samples)
    assert lowest < np.mean((estimate.low <= 3) & (estimate.high >= 3)) < 0.972


def test_the_level_is_the_one_asked_for():
    samples = np.random.default_rng(1).normal(size=(40, 2000))
    estimate = draws(range(40), resamples=1000, confidence=0.6).mean(samples)
    assert np.mean((estimate.low <= 0) & (estimate.high >= 0)) == pytest.approx(0.6, abs=0.035)


def test_cases_of_one_group_count_as_one():
    """Ten groups of ten equal cases know no more than ten cases do."""
    per_group = np.random.default_rng(2).normal(size=(10, 500))
    clustered = draws(np.repeat(range(10), 10)).mean(np.repeat(per_group, 10, axis=0))
    single = draws(range(10)).mean(per_group)
    assert clustered.low == pytest.approx(single.low)
    assert clustered.high == pytest.approx(single.high)
    torn_apart = draws(range(100)).mean(np.repeat(per_group, 10, axis=0))
    assert np.mean(torn_apart.high - torn_apart.low) < 0.5 * np.mean(single.high - single.low)


def test_groups_of_different_size_weigh_by_their_cases():
    keys = ["a"] * 3 + ["b"]
    resample = draws(keys)
    assert set(map(tuple, resample.weights.tolist())) == {(2, 2, 2, 0), (1, 1, 1, 1), (0, 0, 0, 2)}
    estimate = resample.mean(np.array([1.0, 1, 1, 5]))
    assert (estimate.low, estimate.value, estimate.high) == (1, 2, 5)


def test_comparisons_are_paired():
    """Two models that differ by little on cases that differ by much."""
    random = np.random.default_rng(3)
    hardness = random.normal(0, 10, size=20)
    first, second = hardness + 1 + 0.1 * random.normal(size=20), hardness
    resample = draws(range(20))
    estimate = resample.difference(first, second)
    assert estimate.value == pytest.approx(np.mean(first - second))
    assert 0.9 < estimate.low < estimate.value < estimate.high < 1.1
    alone = resample.mean(first)
    assert alone.high - alone.low > 5


def test_differences_of_roots_are_paired_and_count_cases_that_both_have():
    """What a case is hard by for both says nothing of the difference, however much it varies between cases."""
    generator = np.random.default_rng(3)
    other = generator.lognormal(sigma=1.5, size=200)
    own = 0.81 * other * generator.lognormal(sigma=0.02, size=200)
    own[0], other[1] = np.nan, np.nan
    estimate = draws(range(200)).rms_difference(own, other)
    both = slice(2, None)
    assert estimate.value == pytest.approx(np.sqrt(own[both].mean()) - np.sqrt(other[both].mean()))
    assert estimate.high < 0
    width = estimate.high - estimate.low
    single = draws(range(200)).rms(own)
    assert width < 0.3 * (single.high - single.low)


def test_a_statistic_of_several_means():
    random = np.random.default_rng(4)
    error, reference = random.random((30, 2, 3)), 1 + random.random((30, 2, 3))
    estimate = draws(range(30)).statistic(lambda one, other: 1 - one / other, error, reference)
    assert estimate.value == pytest.approx(1 - error.mean(axis=0) / reference.mean(axis=0))
    assert (estimate.low < estimate.value).all()
    assert (estimate.value < estimate.high).all()


def test_against_a_bootstrap_by_loops():
    values = np.random.default_rng(5).exponential(size=25)
    estimate = draws(range(25), resamples=20_000).mean(values)
    random = np.random.default_rng(6)
    means = [values[random.integers(25, size=25)].mean() for _ in range(20_000)]
    # Student's t of 24 degrees is 2.0639; Φ(-√(25/24) 2.0639) = 0.01757 is left out on either side.
    assert estimate.low == pytest.approx(np.quantile(means, 0.01757), abs=0.02)
    assert estimate.high == pytest.approx(np.quantile(means, 1 - 0.01757), abs=0.03)


def test_undefined_cases_are_left_out():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    estimate = draws(range(4)).mean(np.stack([values, np.full(4, np.nan)], axis=1))
    assert estimate.value[0] == 2
    assert estimate.low[0] == 1
    assert estimate.high[0] == 3
    assert np.isnan([estimate.value[1], estimate.low[1], estimate.high[1]]).all()


def test_infinite_cases():
    values = np.stack([[1.0, 2, 3, -np.inf], [np.inf, 1, 1, 1], [np.inf, -np.inf, 0, 0]], axis=1)
    estimate = draws(range(4)).mean(values)
    assert estimate.value[0] == estimate.low[0] == -np.inf
    assert 1 <= estimate.high[0] <= 3
    assert estimate.value[1] == estimate.high[1] == np.inf
    assert estimate.low[1] == 1
    assert np.isnan(estimate.value[2])


def test_equal_numbers_have_an_interval_of_no_width():
    equal = np.broadcast_to(np.random.default_rng(9).random(500), (19, 500))
    estimate = draws(range(19)).mean(equal)
    assert ((estimate.low <= estimate.value) & (estimate.value <= estimate.high)).all()
    assert (estimate.high - estimate.low).max() < 1e-14


def test_a_single_group_shows_no_spread():
    estimate = draws(["one"] * 3).mean(np.array([1.0, 2.0, 6.0]))
    assert estimate.low == estimate.value == estimate.high == 3


def test_the_seed_decides():
    values = np.random.default_rng(8).random(12)
    assert draws(range(12), seed=1).mean(values) == draws(range(12), seed=1).mean(values)
    assert draws(range(12), seed=1).mean(values) != draws(range(12), seed=2).mean(values)


def test_medians_are_those_of_the_cases_drawn() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(9, 2, 3))
    values[4, 0, 1] = np.nan
    draws = resampling([str(i) for i in range(9)], resamples=1000, confidence=0.95, seed=1)
    estimate = draws.median(values)
    np.testing.assert_allclose(estimate.value, np.nanmedian(values, axis=0))
    one = draws.weights[17].astype(int)
    repeated = np.repeat(values, one, axis=0)
    from emulant.evaluation.confidence import _medians

    for index in np.ndindex(2, 3):
        expected = np.nanmedian(repeated[:, *index])
        assert _medians(draws.weights[17:18], values[:, *index])[0] == pytest.approx(expected)
    assert (estimate.low <= estimate.value).all()
    assert (estimate.value <= estimate.high).all()
    np.testing.assert_allclose(draws.rms(values[:, :1] ** 2).value ** 2, np.nanmean(values[:, :1] ** 2, axis=0))

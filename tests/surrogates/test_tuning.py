from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.surrogates.tuning import folds, r2_of_codes


def test_every_case_is_held_out_once_and_never_kept_then(dataset: Callable[..., Any]) -> None:
    cases = dataset({"rho": np.zeros((11, 2, 3))}).cases
    parts = list(folds(cases, 3))
    assert sorted(case for _, held in parts for case in held) == list(range(11))
    for kept, held in parts:
        assert sorted(kept + held) == list(range(11))


def test_groups_stay_together_and_families_are_shared_out(dataset: Callable[..., Any]) -> None:
    groups = [f"g{case // 4}" for case in range(48)]
    cases = dataset({"rho": np.zeros((48, 2, 3))}, groups=groups).cases
    for kept, held in folds(cases, 4):
        assert not {groups[case] for case in kept} & {groups[case] for case in held}
    families = ("a", "b", "c", "d")
    for _, held in folds(dataset({"rho": np.zeros((32, 2, 3))}, families=families).cases, 4):
        assert sorted(case % 4 for case in held) == sorted([0, 1, 2, 3] * 2)


def test_there_are_no_more_folds_than_groups(dataset: Callable[..., Any]) -> None:
    assert len(list(folds(dataset({"rho": np.zeros((3, 2, 3))}).cases, 5))) == 3


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_score_of_codes_is_the_score_of_fields(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(12, rank)))[0]
    truth, codes = rng.normal(size=(4, 5, 12)), rng.normal(size=(4, 5, rank))
    missed = np.sum((codes @ basis.T - truth) ** 2, axis=(1, 2))
    spread = np.sum((truth - truth.mean(axis=(1, 2), keepdims=True)) ** 2, axis=(1, 2))
    outside = np.sum((truth - truth @ basis @ basis.T) ** 2, axis=(1, 2))
    assert r2_of_codes(codes, truth @ basis, outside, spread) == pytest.approx(np.mean(1 - missed / spread))


def test_a_diverged_candidate_loses() -> None:
    assert r2_of_codes(np.full((1, 2, 3), np.inf), np.zeros((1, 2, 3)), np.zeros(1), np.ones(1)) == -np.inf
    assert r2_of_codes(np.full((1, 2, 3), 1e200), np.zeros((1, 2, 3)), np.zeros(1), np.ones(1)) == -np.inf

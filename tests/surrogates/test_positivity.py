from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emulant.surrogates.positivity import project

FIELD = arrays(float, st.integers(1, 30), elements=st.floats(-10, 10))


@settings(deadline=None)
@given(FIELD, st.floats(0.01, 100))
def test_the_result_is_positive_has_the_total_and_is_the_nearest_such_field(field: np.ndarray, total: float) -> None:
    projected = project(field, total)
    assert projected.min() >= 0
    np.testing.assert_allclose(projected.sum(), total, rtol=1e-10)
    # p is the projection onto a convex set if (f - p)·(q - p) <= 0 for every vertex q of it
    vertices = total * np.eye(field.size)
    assert ((vertices - projected) @ (field - projected)).max() <= 1e-8 * (1 + total) * (1 + np.abs(field).sum())


@settings(deadline=None)
@given(FIELD, st.integers(0, 1000))
def test_it_comes_no_farther_from_any_truth(field: np.ndarray, seed: int) -> None:
    truth = np.random.default_rng(seed).exponential(size=field.size)
    assert np.linalg.norm(project(field, truth.sum()) - truth) <= np.linalg.norm(field - truth) + 1e-9


def test_what_is_allowed_stays_and_frames_do_not_mix() -> None:
    frames = np.random.default_rng(0).exponential(size=(3, 4, 50))
    np.testing.assert_allclose(project(frames, frames.sum(axis=-1)), frames, atol=1e-12)
    wild = np.random.default_rng(1).normal(size=(3, 4, 50))
    together = project(wild, frames.sum(axis=-1))
    np.testing.assert_array_equal(together[2, 1], project(wild[2, 1], frames[2, 1].sum()))


def test_an_empty_box_stays_empty() -> None:
    np.testing.assert_array_equal(project(np.array([0.0, 1.0, -1.0]), 0.0), 0.0)

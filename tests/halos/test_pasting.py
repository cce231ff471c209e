"""Patches back in their box: the truth comes out as it went in, mass is kept, nothing is painted where nothing is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.systems.halos.extraction import Geometry, extract
from emulant.systems.halos.pasting import Places, box_map, fading, paste, shifted

GEOMETRY = Geometry(50.0, 256, 32, (6.25,))


def box(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Particles of a smooth background and of halos at given centres, some of them at the edges."""
    rng = np.random.default_rng(seed)
    centers = np.concatenate([rng.uniform(0, 50, (6, 3)), [[0.03, 49.97, 25], [25.01, 0.01, 3]]])
    halos = [center + 0.3 * rng.standard_normal((4000, 3)) for center in centers]
    positions = np.concatenate([rng.uniform(0, 50, (100_000, 3)), *halos]) % 50
    return positions, centers, np.full(len(centers), 3e13)


def test_the_truth_is_pasted_back_as_it_was() -> None:
    positions, centers, masses = box()
    truth = box_map(positions, 1.0, GEOMETRY)
    geometry = {"box_size": 50.0, "npix": 256, "resolution": 32, "scales": (6.25,)}
    cut = np.concatenate([extract(positions, 1.0, center, **geometry) for center in centers])
    patches = np.stack([0.8 * cut, 0.2 * cut, 0 * cut], axis=1)
    places = Places.of(centers, masses, GEOMETRY)
    background = np.stack([0.8 * truth, 0.2 * truth, 0 * truth]) * places.outside
    pasted = paste(patches, places, background, (0.8 * truth.sum(), 0.2 * truth.sum()))
    assert pasted.sum() == pytest.approx(truth.sum(), rel=1e-12)
    inside = places.total > 0.5
    correlation = np.corrcoef(pasted[0][inside], truth[inside])[0, 1]
    assert correlation > 0.995
    assert pasted[0][inside].sum() == pytest.approx(0.8 * truth[inside].sum(), rel=0.01)
    np.testing.assert_allclose(pasted[0][places.total == 0], 0.8 * truth[places.total == 0], rtol=0.02)
    np.testing.assert_allclose(pasted[1], 0.25 * pasted[0], rtol=1e-6, atol=1e-9)


def test_overlapping_patches_share_and_mass_closes() -> None:
    centers = np.array([[10.0, 10, 5], [11.0, 10.5, 40]])
    places = Places.of(centers, np.array([1e14, 5e13]), GEOMETRY)
    shares = np.zeros((256, 256))
    for halo in range(2):
        rows = (places.nodes[halo][:, None] + np.arange(32) - 16) % 256
        shares[np.ix_(rows[0], rows[1])] += places.shares(halo)
    np.testing.assert_allclose(shares + places.outside, 1.0, atol=1e-12)
    flat = np.stack([np.full((256, 256), 4.0), np.ones((256, 256)), np.zeros((256, 256))]) * places.outside
    pasted = paste(np.ones((2, 3, 32, 32)), places, flat, (4.0 * 256**2, 256**2))
    assert pasted[0].sum() == pytest.approx(4.0 * 256**2)
    assert pasted[1:].sum() == pytest.approx(256**2)
    assert pasted.min() >= 0


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True), st.integers(0, 1000))
def test_a_shift_keeps_mass_and_empty_pixels_and_moves_the_centre(x: float, y: float, seed: int) -> None:
    grid = np.indices((32, 32)) - 16
    blob = np.exp(-0.5 * (grid**2).sum(axis=0) / 9)
    moved = shifted(blob, np.array([x, y]))
    assert moved.sum() == pytest.approx(blob.sum())
    for axis, by in enumerate((x, y)):
        assert (moved * grid[axis]).sum() / moved.sum() == pytest.approx(by, abs=0.01)
    sparse = np.where(np.random.default_rng(seed).uniform(size=(32, 32)) < 0.05, 1.0, 0.0)
    moved = shifted(sparse, np.array([x, y]))
    assert moved.sum() == pytest.approx(sparse.sum())
    assert moved.min() >= 0
    assert np.count_nonzero(moved) <= np.count_nonzero(sparse)


def test_weights_fade_from_R200c_to_the_rim() -> None:
    distance = np.linspace(0, 5, 501)
    weight = fading(distance, np.float64(0.5), 2.5)
    assert (weight[distance <= 0.5] == 1).all()
    assert (weight[distance >= 2.0] == 0).all()
    assert (np.diff(weight) <= 0).all()
    assert fading(np.array([2.6]), np.float64(1.0), 2.5)[0] == 0


def test_the_map_of_a_box_holds_its_mass_at_its_places() -> None:
    positions = np.array([[0.0, 0, 3], [25.0, 12.5, 49], [50 - 1e-9, 30, 1]])
    found = box_map(positions, np.array([1.0, 2.0, 4.0]), GEOMETRY)
    assert found.sum() == pytest.approx(7)
    assert found[0, 0] == pytest.approx(1)
    assert found[128, 64] == pytest.approx(2)
    assert found[0, round(30 / 50 * 256)] + found[0, round(30 / 50 * 256) - 1] == pytest.approx(4, rel=1e-6)

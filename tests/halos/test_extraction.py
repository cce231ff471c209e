"""The extraction against arithmetic done another way, and what it must not lose, bend or count twice."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from emulant.dataset.seeds import sequence
from emulant.errors import DataError, UsageError
from emulant.systems.halos.extraction import (
    SCALES,
    CellList,
    Geometry,
    extract,
    extract_multiscale_cutouts,
    process_halo_with_full_periodic_tiling,
    rotation_of,
)

BOX = 50.0
SMALL = {"npix": 64, "resolution": 8}


def cloud(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, BOX, (count, 3)), rng.uniform(0.5, 2.0, count)


def by_brute_force(
    positions: np.ndarray, masses: np.ndarray, center: np.ndarray, rotation: np.ndarray, npix: int
) -> np.ndarray:
    """The fine map from 125 images of everything, float64, by `numpy.add.at`."""
    grid, turned, heavy = np.zeros((npix, npix)), [], []
    for shift in product((-2, -1, 0, 1, 2), repeat=3):
        x = (positions - center + BOX * np.array(shift)) @ rotation.T
        inside = ((x >= -BOX / 2) & (x < BOX / 2)).all(axis=1)
        turned.append(x[inside])
        heavy.append(masses[inside])
    u, mass = (np.concatenate(turned)[:, :2] + BOX / 2) / (BOX / npix), np.concatenate(heavy)
    node = np.floor(u).astype(int)
    share = u - node
    for a, b in product((0, 1), repeat=2):
        weight = np.abs(1 - a - share[:, 0]) * np.abs(1 - b - share[:, 1])
        np.add.at(grid, ((node[:, 0] + a) % npix, (node[:, 1] + b) % npix), mass * weight)
    return grid


@pytest.mark.parametrize("seed", range(8))
def test_the_map_is_that_of_all_images_taken_one_by_one(seed: int) -> None:
    positions, masses = cloud(3000, seed)
    center, rotation = positions[0], rotation_of(0, 0, 0, seed)
    ours = extract(positions, masses, center, box_size=BOX, rotation=rotation, **SMALL)
    fine = by_brute_force(positions, masses, center, rotation, 64)
    for row, blocks in enumerate((1, 2, 4, 8)):
        first = 32 - 4 * blocks
        cut = fine[first : first + 8 * blocks, first : first + 8 * blocks]
        np.testing.assert_allclose(ours[row], cut.reshape(8, blocks, 8, blocks).mean(axis=(1, 3)), rtol=1e-6, atol=1e-9)


def test_the_rotated_cube_is_full_under_200_rotations() -> None:
    """Whatever point of the rotated cube one takes: a particle that stands there, in its own box, is seen there."""
    rng = np.random.default_rng(1)
    for number in range(200):
        rotation, center = rotation_of(3, 1, 2, number), rng.uniform(0, BOX, 3)
        inside = rng.uniform(-BOX / 2, BOX / 2, (500, 3)) * (1 - 1e-9)
        positions = (center + inside @ rotation) % BOX
        found = extract(positions, 1.0, center, box_size=BOX, rotation=rotation, npix=64, resolution=64, scales=(BOX,))
        expected = np.zeros((64, 64))
        nodes = np.floor((inside[:, :2] / BOX + 0.5) * 64).astype(int)
        np.add.at(expected, (nodes[:, 0], nodes[:, 1]), 1.0)
        around = sum(np.roll(found[0], (-a, -b), (0, 1)) for a, b in product((0, 1), repeat=2))
        assert (around[expected > 0] > 1e-12).all()
        assert found.sum(dtype=float) >= by_brute_force(positions, np.ones(500), center, rotation, 8).sum() - 1e-3


def test_no_rotation_loses_no_mass_and_is_the_unit_matrix_to_the_bit() -> None:
    positions, masses = cloud(200_000)
    positions[:3] = [[0, 0, 0], [BOX, BOX / 2, 0], [np.nextafter(BOX, 0), BOX, 1e-300]]
    for center in (np.zeros(3), np.array([BOX / 2, 0.0, BOX]), np.array([12.3, 45.6, 7.89])):
        plain = extract(positions, masses, center, box_size=BOX, npix=256, resolution=32)
        total = plain[-1].sum(dtype=float) * (256 / 32) ** 2
        assert total == pytest.approx(masses.sum(), rel=1e-6)
        turned = extract(positions, masses, center, box_size=BOX, npix=256, resolution=32, rotation=np.eye(3))
        assert plain.tobytes() == turned.tobytes()


def test_the_centre_lies_on_its_pixel_and_axes_are_in_order() -> None:
    center, pixel = np.array([1.0, 49.5, 20.0]), BOX / 1024
    positions = (center + np.array([[0.0, 0, 5], [3 * pixel, 0, -9], [0, 7 * pixel, 11]])) % BOX
    found = extract(positions, np.array([1.0, 2.0, 4.0]), center, box_size=BOX, npix=1024)
    np.testing.assert_allclose([found[0, 64, 64], found[0, 67, 64], found[0, 64, 71]], [1, 2, 4], rtol=1e-5)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # x' = -y, y' = x
    found = extract(positions, np.array([1.0, 2.0, 4.0]), center, box_size=BOX, npix=1024, rotation=quarter)
    np.testing.assert_allclose([found[0, 64, 67], found[0, 57, 64]], [2, 4], rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 400), st.booleans(), st.sampled_from([SCALES[:1], SCALES[:2], SCALES]),
    st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_the_cell_list_sees_what_the_plain_way_sees(
    seed: int, count: int, turned: bool, scales: tuple[float, ...], dtype: type
) -> None:
    rng = np.random.default_rng(seed)
    positions = np.concatenate([rng.uniform(0, BOX, (count, 3)), rng.normal(25, 1, (count, 3)) % BOX]).astype(dtype)
    positions = np.where(positions < BOX, positions, 0).astype(dtype)
    masses, center = rng.uniform(1, 2, len(positions)), positions[rng.integers(len(positions))].astype(float)
    rotation = rotation_of(seed, 0, 0, 0) if turned else None
    listed = CellList.of(positions, masses, BOX)
    fast = listed.extract(center, rotation=rotation, scales=scales, **SMALL)
    plain = extract(positions, masses, center, box_size=BOX, rotation=rotation, scales=scales, **SMALL)
    np.testing.assert_allclose(fast, plain, rtol=1e-6, atol=1e-6 * plain.max())


def test_smaller_scales_are_cut_from_larger_ones() -> None:
    positions, masses = cloud(5000)
    both = [extract(positions, masses, positions[0], box_size=BOX, scales=SCALES[:n], **SMALL) for n in (1, 4)]
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-6)


def test_bytes_do_not_depend_on_threads_and_equal_masses_may_be_one_number() -> None:
    positions = cloud(2_100_000)[0].astype(np.float32)
    where = {"center": positions[5], "box_size": BOX, "rotation": rotation_of(0, 1, 2, 3), **SMALL}
    one, two = (extract(positions, 3.0, threads=threads, **where) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() == extract(positions, np.full(len(positions), 3.0), **where).tobytes()


def test_cloud_in_cell_is_that_of_pylians() -> None:
    masl = pytest.importorskip("MAS_library")
    rng = np.random.default_rng(5)
    positions = rng.integers(0, 2**16, (100_000, 3)).astype(np.float32) / 2**10  # theirs computes in float32:
    masses = rng.uniform(0.5, 2, len(positions)).astype(np.float32)  # where that is exact, weights are the same
    theirs = np.zeros((256, 256), np.float32)
    masl.MA(np.ascontiguousarray(positions[:, :2]), theirs, 64.0, "CIC", W=masses, verbose=False)
    ours = extract(positions, masses, np.full(3, 32.0), box_size=64.0, npix=256, resolution=256, scales=(64.0,))[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


# -- rotations ----------------------------------------------------------------------------------------------------


def test_rotations_are_uniform_on_SO3() -> None:
    turns = np.stack([rotation_of(0, sim, halo, j) for sim in range(20) for halo in range(20) for j in range(10)])
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1.0, atol=1e-12)
    angle = np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert kstest(angle, lambda x: (x - np.sin(x)) / np.pi).pvalue > 1e-3
    for entry in turns.reshape(-1, 9).T:  # every component of a turned axis is uniform
        assert kstest(entry, "uniform", args=(-1, 2)).pvalue > 1e-3


@pytest.mark.soak
def test_no_two_samples_of_a_large_study_share_a_seed() -> None:
    states = np.array(
        [
            sequence(0, "rotation", sim, halo, j).generate_state(1, np.uint64)[0]
            for sim, halo, j in product(range(1024), range(42), range(10))
        ]
    )
    assert len(np.unique(states)) == 430_080


# -- the calls of the source document, and bad input --------------------------------------------------------------


def test_the_documented_calls_are_the_extraction() -> None:
    positions, masses = cloud(20_000)
    fine, rotation = process_halo_with_full_periodic_tiling(positions, masses, positions[0], npix=128, seed=4)
    found = extract_multiscale_cutouts(fine, target_resolution=16)
    same = extract(positions, masses, positions[0], box_size=BOX, npix=128, resolution=16, rotation=rotation)
    np.testing.assert_allclose(found, same, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(spoil: float) -> None:
    positions, masses = cloud(100)
    bent = positions.copy()
    bent[7, 1] = spoil
    for where, weights in ((bent, masses), (positions, np.where(np.arange(100) == 3, spoil, masses))):
        with pytest.raises(DataError, match="not finite"):
            extract(where, weights, positions[0], box_size=BOX, **SMALL)
        with pytest.raises(DataError, match="not finite"):
            CellList.of(where, weights, BOX)


def test_misshapen_particles_and_geometries_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(N, 3\)"):
        extract(np.zeros((5, 2)), 1.0, np.zeros(3), box_size=BOX, **SMALL)
    for npix, resolution, scales in (
        (1000, 128, SCALES),
        (1024, 128, (6.0,)),
        (64, 8, (100.0,)),
        (64, 8, (25.0, 6.25)),
    ):
        with pytest.raises(UsageError):
            Geometry(BOX, npix, resolution, scales)


def test_an_empty_species_is_a_map_of_zeros() -> None:
    nothing = np.empty((0, 3), np.float32)
    assert not extract(nothing, 0.0, np.zeros(3), box_size=BOX, **SMALL).any()
    assert not CellList.of(nothing, np.empty(0), BOX).extract(np.zeros(3), **SMALL).any()

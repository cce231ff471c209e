"""Crossings against brute force on fine grids, and the samplers that rely on them."""

from __future__ import annotations

import numpy as np
import pytest
from flavor_cells import adversarial, cell

from emulant.systems.flavor.angles import lebedev
from emulant.systems.flavor.closure import closure, lepton_numbers, total_density
from emulant.systems.flavor.crossings import find_pairs, margin
from emulant.systems.flavor.fields import pairs
from emulant.systems.flavor.sampling import MIXTURE, OUTSIDE, SHALLOW, draw


def brute_force(f4: np.ndarray) -> list[tuple[float, float]]:
    """The lowest and highest G of every pair on 5810 directions."""
    leptons = lepton_numbers(closure(f4 / total_density(f4)).at(lebedev(5810)[0]))
    return [((leptons[a] - leptons[b]).min(), (leptons[a] - leptons[b]).max()) for a, b in pairs(f4.shape[-1])]


@pytest.mark.parametrize("flavors", [2, 3])
def test_no_crossing_that_a_fine_grid_sees_is_missed(flavors: int) -> None:
    cells = adversarial(np.random.default_rng(2), 150, flavors)
    seen = 0
    for f4 in cells[total_density(cells) > 0]:
        for pair, (low, high) in zip(find_pairs(f4), brute_force(f4), strict=False):
            if low < -1e-9 and high > 1e-9:
                seen += 1
                assert pair.crossed
            if not pair.crossed:
                assert min(-low, high) < 1e-9
    assert seen > 30


def test_a_crossing_between_the_directions_of_every_grid_is_found() -> None:
    """Two beams, one a little narrower: G changes sign in a cap of 0.01 rad about an axis that no grid knows."""
    axis = np.array([0.36, -0.48, 0.8])
    wide = cell([[0.5, 0.0], [0.5, 0.0]], [[0.9 * axis, 0 * axis], [0.9 * axis, 0 * axis]])[0]
    g_wide = closure(wide).at(axis[None])[1, 0, 0]
    narrow = closure(cell([[0.5, 0.0], [0.5, 0.0]], [[0.92 * axis, 0 * axis], [0.9 * axis, 0 * axis]])[0])
    density = 0.5 * g_wide / narrow.at(axis[None])[0, 0, 0] * (1 + 1e-4)
    crossed = cell([[density, 0.0], [0.5, 0.0]], [[0.92 * axis, 0 * axis], [0.9 * axis, 0 * axis]])[0]
    pair = find_pairs(crossed)[0]
    assert (pair.at(lebedev(434)[0]) < 0.0).all()
    assert pair.at(axis[None])[0] > 0.0
    assert pair.crossed
    assert 0.0 < pair.positive < 1e-4


def test_equal_shapes_are_stable_though_rounding_is_not() -> None:
    f = np.array([0.3, 0.1, 0.2])
    f4 = cell([[0.3, 0.1, 0.1], [0.3, 0.1, 0.1]], np.broadcast_to(f, (2, 3, 3)))[0]
    assert margin(f4) == 0.0
    f4[3, 1, 0] = np.nextafter(f4[3, 1, 0], 1.0)
    assert margin(f4) == 0.0
    assert margin(np.zeros((4, 2, 3))) == 0.0


def test_unequal_heavies_have_pairs_of_their_own() -> None:
    """Electrons out of play: μ and τ cross each other."""
    axis = np.array([0.0, 0.0, 1.0])
    f4 = cell(
        [[0.0, 0.3, 0.2], [0.0, 0.2, 0.3]], [[0 * axis, 0.5 * axis, -0.5 * axis], [0 * axis, -0.5 * axis, 0.5 * axis]]
    )
    assert [pair.crossed for pair in find_pairs(f4[0])][2]


@pytest.mark.parametrize("sampler", [*MIXTURE, "ood"])
def test_samplers_draw_what_they_promise(sampler: str) -> None:
    cells = [draw(sampler, np.random.default_rng([3, number])) for number in range(12)]
    for f4, family in cells:
        assert family == sampler
        assert (np.sqrt((f4[:3] ** 2).sum(axis=0)) <= f4[3] * (1 + 1e-12)).all()
        assert np.array_equal(f4[..., 1], f4[..., 2])
        ratio = f4[3, 1, 0] / f4[3, 0, 0] if f4[3, 0, 0] else 0.0
        if sampler == "stable":
            assert margin(f4) == 0.0
        if sampler == "shallow":
            assert SHALLOW[0] <= margin(f4) <= SHALLOW[1]
        if sampler in ("nsm", "ood"):
            factor = np.linalg.norm(f4[:3, 0, 1]) / f4[3, 0, 1]
            assert (ratio > OUTSIDE[0] and factor > OUTSIDE[1]) == (sampler == "ood")


def test_mixed_draws_from_all_parts_and_a_cell_depends_on_its_stream_alone() -> None:
    families = [draw("mixed", np.random.default_rng([4, number])).family for number in range(60)]
    assert set(families) == set(MIXTURE)
    again = draw("mixed", np.random.default_rng([4, 17]))
    assert again.family == families[17]
    assert np.array_equal(again.f4, draw("mixed", np.random.default_rng([4, 17])).f4)

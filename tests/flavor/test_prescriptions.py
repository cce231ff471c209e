"""Box3D, the continuous profile, and what holds of every prescription whatever it has learned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flavor_cells import ANCHOR_A, ANCHOR_B, ANCHOR_C, adversarial, random_networks, rotated, rotations, totals

from emulant.dataset.seams import Array
from emulant.systems.flavor import closure as reference
from emulant.systems.flavor.angles import lebedev
from emulant.systems.flavor.fields import COUPLING
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.cells import distributions
from emulant.systems.flavor.mixing.exchange import CORRECTIONS, balanced, box3d_q, profile_q
from emulant.systems.flavor.mixing.exponential import exponential
from emulant.systems.flavor.mixing.prescription import Outcome, describe, outcome
from emulant.systems.flavor.prescriptions import prescribed

GRID = (8, 12)
FINE = (48, 64)


def unphysical(f4: Array, initial: Array) -> Array:
    """Cells with n < 0 or |F| > n beyond rounding, as the reference defines it."""
    scale = totals(initial)
    n, size = (f4 / scale)[:, 3], np.sqrt(np.sum((f4 / scale)[:, :3] ** 2, axis=1))
    return ((n < -1e-12) | (size > n * (1 + 1e-9) + 1e-12)).any(axis=(1, 2))


def violations(found: Outcome, f4: Array) -> None:
    """Assert everything that a prescription promises of valid cells."""
    change = (found.final - f4) / totals(f4)
    assert np.isfinite(found.final).all()
    assert not unphysical(found.final, f4).any()
    assert np.abs(change[:, 3].sum(axis=-1)).max() <= 1e-12  # the number of neutrinos, and of antineutrinos
    assert np.abs(change[:, 3, 0] - change[:, 3, 1]).max() <= 1e-12  # every lepton number
    assert np.array_equal(found.final[found.stable], f4[found.stable])
    assert (found.growth[found.stable] == 0).all()
    assert (found.growth[~found.stable] > 0).all()
    assert not (found.status & 1).any()


def test_exponential_is_within_two_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-690, 690, 4001), np.linspace(-1, 1, 4001)])
    exact = np.array([math.exp(value) for value in x])
    assert (np.abs(exponential(x, np) - exact) / np.spacing(exact)).max() <= 2
    assert exponential(np.array([-1e5, 0.0]), np)[1] == 1.0


def test_distributions_are_those_of_the_closure() -> None:
    f4 = adversarial(np.random.default_rng(0), 400)
    f4 = f4[f4[:, 3].sum(axis=(1, 2)) > 0]
    f4 = f4 / totals(f4)
    species = f4.reshape(-1, 4, 6).swapaxes(1, 2)
    cells = distributions(species[..., :3], species[..., 3], GRID, np)
    assert np.abs(cells.values - reference.closure(f4).at(cells.directions).reshape(cells.values.shape)).max() < 1e-13
    assert cells.weights.sum() == pytest.approx(4 * np.pi, rel=1e-14)


def test_box3d_gives_the_anchors() -> None:
    """Values of the reference, which were computed with 5810 directions."""
    a = prescribed(ANCHOR_A, "box3d", FINE)
    assert a.final[0, 3] == pytest.approx(np.full((2, 3), 1 / 6), abs=2e-4)
    assert a.final[0, 2] == pytest.approx(
        np.array([[0.04333] * 3, [0.07333, 0.04333, 0.04333]])[:, [0, 1, 2]], abs=4e-2
    )
    b = prescribed(ANCHOR_B, "box3d", FINE).final[0]
    wanted = {
        (0, 0): (0.00812, 0.02324, 0.02761, 0.20585),
        (1, 0): (-0.01001, 0.06839, 0.05241, 0.25585),
        (0, 1): (0.01344, -0.00537, 0.0137, 0.13458),
        (1, 1): (0.00501, 0.01205, 0.02255, 0.13458),
    }
    for (matter, flavor), values in wanted.items():
        assert b[:, matter, flavor] == pytest.approx(values, abs=3e-4)


def test_integrals_and_rate_of_the_anchors() -> None:
    cells = describe(np.concatenate([ANCHOR_A, ANCHOR_B]), FINE, np)
    assert cells.crossed.positive == pytest.approx([0.069858, 0.047752], abs=5e-5)
    assert cells.crossed.negative == pytest.approx([0.069858, 0.097752], abs=5e-5)
    found = prescribed(ANCHOR_A * 1e33, "box3d", FINE)
    assert found.growth[0] == pytest.approx(COUPLING * 1e33 * 0.069858, rel=1e-3)


def test_a_cell_without_crossing_comes_back_bit_for_bit() -> None:
    f4 = ANCHOR_C * 0.7e33
    for law in ("box3d", "profile"):
        found = prescribed(f4, law, GRID)
        assert np.array_equal(found.final, f4)
        assert found.growth[0] == 0.0
        assert found.stable[0]


def test_equal_shapes_are_stable_though_their_difference_is_rounding_noise() -> None:
    one = np.concatenate([0.3 * np.ones((3, 1, 1)) / np.sqrt(3), np.ones((1, 1, 1))])[None]
    f4 = one * np.array([[0.31, 0.17, 0.17], [0.31, 0.17, 0.17]])
    assert prescribed(f4, "box3d", GRID).stable[0]


@pytest.mark.parametrize("flavors", [2, 3])
def test_a_constant_large_side_with_zero_corrections_is_box3d(flavors: int) -> None:
    """Balanced q = q0 everywhere falls to q0 I</I> on the large side, for two flavors and for three."""
    f4 = adversarial(np.random.default_rng(1), 300, flavors)
    cells = describe(f4, GRID, np)
    everywhere = np.full(cells.shape.squares.shape, 1.0 - 1.0 / flavors)
    by_balance = balanced(cells.shape, everywhere, flavors, np)
    share = 1.0 if flavors == 2 else 0.5
    assert len(by_balance) > 100
    assert np.abs(by_balance - share * box3d_q(cells.shape, flavors, np)).max() < 1e-12
    zeros = np.zeros((len(by_balance), CORRECTIONS))
    plain, corrected = profile_q(cells.shape, None, flavors, np), profile_q(cells.shape, zeros, flavors, np)
    assert np.abs(plain - corrected).max() < 1e-12


def test_two_flavors_end_in_equipartition_on_the_small_side() -> None:
    """Symmetric beams: both sides are small, and half of everything is exchanged."""
    f4 = np.zeros((1, 4, 2, 2))
    f4[0, 3, :, 0] = 1.0
    f4[0, 2, :, 0] = [1 / 3, -1 / 3]
    final = prescribed(f4, "box3d", FINE).final[0]
    assert final[3] == pytest.approx(np.full((2, 2), 0.5), abs=1e-12)
    assert final[2, 0] == pytest.approx([1 / 6, 1 / 6], abs=1e-4)


@pytest.mark.parametrize("law", ["box3d", "profile"])
@pytest.mark.parametrize("flavors", [2, 3])
def test_prescriptions_cannot_be_unphysical(law: str, flavors: int) -> None:
    f4 = adversarial(np.random.default_rng(2), 3000, flavors)
    violations(prescribed(f4, law, GRID), f4)


@pytest.mark.parametrize(("count", "seed"), [(20_000, 3), pytest.param(1_000_000, 4, marks=pytest.mark.soak)])
def test_mixing_with_any_weights_cannot_be_unphysical(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for flavors, equal, share in ((3, True, 0.6), (3, False, 0.2), (2, False, 0.2)):
        weights = random_networks(rng)
        for first in range(0, int(share * count), 500):
            f4 = adversarial(rng, min(500, int(share * count) - first), flavors, equal)
            violations(networks.predict(f4, weights, GRID, np).outcome, f4)


def test_invalid_cells_are_copied_and_flagged() -> None:
    good = ANCHOR_A[0] * 1e33
    bad = np.stack([good] * 6)
    bad[0, 0, 0, 0] = np.nan
    bad[1, 3, 1, 2] = np.inf
    bad[2, 3, 0, 0] = -1e20
    bad[3, 2, 0, 0] = 1.1 * bad[3, 3, 0, 0]
    bad[4, :3, 0, 0] = 0.0, 0.0, bad[4, 3, 0, 0] * (1 + 5e-10)  # within the slack
    found = networks.predict(bad, random_networks(np.random.default_rng(0)), GRID, np).outcome
    assert (found.status & 1).tolist() == [1, 1, 1, 1, 0, 0]
    assert np.array_equal(found.final[:4], bad[:4], equal_nan=True)
    assert (found.growth[:4] == 0).all()
    assert found.growth[5] > 0


def test_turned_cells_give_turned_answers() -> None:
    rng = np.random.default_rng(5)
    weights = random_networks(rng)
    for equal in (True, False):
        f4 = adversarial(rng, 1500, 3, equal)
        turn = rotations(rng, len(f4))
        before, after = (networks.predict(part, weights, GRID, np).outcome for part in (f4, rotated(f4, turn)))
        off = (
            np.abs(rotated(before.final, turn) - after.final).reshape(len(f4), -1).max(axis=1) / totals(f4)[:, 0, 0, 0]
        )
        assert np.quantile(off, 0.99) < 1e-9
        assert off.max() < 1e-3
        assert np.array_equal(before.stable, after.stable)


@pytest.mark.parametrize("exchange", ["matter", "heavies"])
def test_matter_and_antimatter_and_the_heavies_are_told_apart_by_nothing(exchange: str) -> None:
    rng = np.random.default_rng(6)
    weights = random_networks(rng)
    f4 = adversarial(rng, 1500, 3)

    def swapped(cells: Array) -> Array:
        return cells[:, :, ::-1] if exchange == "matter" else cells[..., [0, 2, 1]]

    before, after = (networks.predict(part, weights, GRID, np).outcome for part in (f4, swapped(f4)))
    off = np.abs(swapped(before.final) - after.final) / totals(f4)
    assert off.max() < 1e-3  # a thin ring about the axis of collinear fluxes has no point of its own
    assert np.sort(off.max(axis=(1, 2, 3)))[-5] < 1e-9
    assert after.growth == pytest.approx(before.growth, rel=1e-9)


def test_growth_goes_with_the_density_and_shares_do_not() -> None:
    rng = np.random.default_rng(7)
    weights, f4 = random_networks(rng), ANCHOR_B * 1e33
    one, thousand = (networks.predict(part, weights, GRID, np).outcome for part in (f4, 1000 * f4))
    assert thousand.final == pytest.approx(1000 * one.final, rel=1e-12)
    assert thousand.growth[0] == pytest.approx(1000 * one.growth[0], rel=1e-12)


def test_no_crossing_is_missed_that_a_thousandth_of_the_sphere_would_show() -> None:
    """Against 5810 directions, far more than the grid's: of deep crossings none, of thin ones hardly one is missed."""
    f4 = adversarial(np.random.default_rng(8), 4000, 3, equal_heavies=True)
    f4 = f4[f4[:, 3].sum(axis=(1, 2)) > 0]
    f4 = f4 / totals(f4)
    points, weights = lebedev(5810)
    margin = np.zeros(len(f4))
    for first in range(0, len(f4), 100):
        g = reference.closure(f4[first : first + 100]).at(points)
        lepton = g[:, 0, 0] - g[:, 1, 0] - g[:, 0, 1] + g[:, 1, 1]
        sides = np.sort(np.stack([np.clip(sign * lepton, 0, None) @ weights for sign in (1, -1)]), axis=0)
        margin[first : first + 100] = np.where(sides[0] > 1e-12, sides[0] / np.maximum(sides.sum(axis=0), 1e-300), 0)
    stable = ~describe(f4, GRID, np).present[:, 0]
    assert not (stable & (margin > 1e-4)).any()
    assert (stable & (margin > 1e-9)).mean() < 1e-3
    thin = (margin > 1e-9) & (margin < 1e-4)
    assert thin.sum() > 3  # the test has something to find


def test_thin_crossings_have_the_depth_that_a_fine_grid_shows() -> None:
    f4 = adversarial(np.random.default_rng(9), 6000, 2)
    cells = describe(f4, GRID, np)
    hidden = np.flatnonzero(cells.crossed.weights[:, -1] > 0)
    owners = np.flatnonzero(cells.present[:, 0])[hidden]
    fine = [describe(f4[some], (96, 128), np).shape.lesser for some in np.split(owners, len(owners))]
    least = np.array([one[0] if len(one) else 0.0 for one in fine])
    ratio = cells.shape.lesser[hidden] / np.maximum(least, 1e-300)
    seen = least > 1e-7  # thinner ones the fine grid misses, too
    assert seen.sum() > 5
    assert np.median(np.abs(np.log(ratio[seen]))) < 0.1


def test_the_step_to_the_cone_is_as_long_as_it_may_be() -> None:
    """A beam that would lose isotropic flux leaves the cone at once; the step says so."""
    f4 = adversarial(np.random.default_rng(10), 2000, 3)
    cells = describe(f4, GRID, np)
    found = outcome(cells, f4, profile_q(cells.shape, None, 3, np), 1.0, np)
    stepped = (found.status & 4) > 0
    assert 0 < stepped.sum() < 600
    change = found.final - f4
    assert unphysical(f4 + 1.01 * change, f4)[stepped & (np.abs(change / totals(f4)).max(axis=(1, 2, 3)) > 1e-6)].all()

"""The model of gas and stars, on a halo whose particles are placed by hand."""

import numpy as np
import pytest

from emulant.systems.halos import profiles
from emulant.systems.halos.baryons import Astrophysics, baryonify, scattered
from emulant.systems.halos.box import CRITICAL_DENSITY
from emulant.systems.halos.catalogue import concentration, find, shrinking_center

SIZE, CENTER, MASS, BARYONS = 20.0, np.array([0.2, 19.9, 10.0]), 1e13, 0.163
DENSITY = 0.3 * CRITICAL_DENSITY
N = 20


@pytest.fixture(scope="module")
def halo():
    """(positions, catalogue): a puffed-up halo across two edges of a box that is otherwise nearly empty."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    ball = CENTER + directions * (0.5 * rng.uniform(size=4000) ** (1 / 3))[:, None]
    field = rng.uniform(3, 8, (N**3 - 4000, 3))
    positions = np.mod(np.concatenate([ball, field]), SIZE).astype(np.float32)
    fine = positions.copy()
    catalogue = find(positions, fine, MASS / 4000, SIZE, DENSITY, 0, 0)
    place = next(i for i, member in enumerate(catalogue.members) if member[0] == 0)
    return fine, catalogue, place


def radii(positions, center):
    offsets = positions.astype(float) - center
    return np.linalg.norm(offsets - SIZE * np.rint(offsets / SIZE), axis=1)


def test_the_centre_of_a_halo_is_found_across_the_edges(halo):
    _, catalogue, place = halo
    offset = catalogue.halos.centers[place] - CENTER

    assert np.linalg.norm(offset - SIZE * np.rint(offset / SIZE)) < 0.1


def test_a_sharpened_halo_has_the_profile_and_mass_that_it_should(halo):
    fine, catalogue, place = halo
    halos, member = catalogue.halos, catalogue.members[place]
    found = np.sort(radii(fine[member], halos.centers[place]))
    mass = halos.fof_mass[place]
    R200m = (3 * mass / (800 * np.pi * DENSITY)) ** (1 / 3)

    assert found[-1] == pytest.approx(R200m, rel=1e-2)
    inside = found < halos.r200c[place]
    assert inside.sum() * mass / len(member) == pytest.approx(halos.m200c[place], rel=5e-3)
    density = halos.m200c[place] / (4 / 3 * np.pi * halos.r200c[place] ** 3)
    assert density == pytest.approx(200 * CRITICAL_DENSITY, rel=1e-6)
    half = found[len(found) // 2] / R200m
    expected = [
        profiles.radii_of(np.array([0.5]), profiles.nfw(concentration(mass) * 10**dex))[0] for dex in (0.33, -0.33)
    ]
    assert expected[0] < half < expected[1]


def test_no_mass_is_made_or_lost_and_only_halos_change(halo):
    fine, catalogue, _ = halo
    made = baryonify(fine, catalogue, SIZE, BARYONS, Astrophysics(), 0, 0)

    untouched = np.ones(len(fine), bool)
    for member in catalogue.members:
        untouched[member] = False
    assert len(made.dm) == len(made.gas) == len(fine)
    assert (made.dm[untouched] == fine[untouched]).all()
    assert (made.gas[untouched] == fine[untouched]).all()
    assert not made.is_star[untouched].any()
    for positions in (made.dm, made.gas):
        assert (positions >= 0).all()
        assert (positions < SIZE).all()


def test_stars_are_as_many_as_their_law_says_and_bound_gas_lies_inside(halo):
    fine, catalogue, place = halo
    physics, mass = Astrophysics(), catalogue.halos.m200c[place]
    made = baryonify(fine, catalogue, SIZE, BARYONS, physics, 0, 0)
    member = catalogue.members[place]

    stars, bound = scattered(physics.shares(mass, BARYONS), BARYONS, 0, 0, place)
    assert made.is_star[member].mean() == pytest.approx(stars / BARYONS, abs=1.5 / len(member))
    star_radii = np.sort(radii(made.gas[member][made.is_star[member]], catalogue.halos.centers[place]))
    assert np.median(star_radii) == pytest.approx(0.05 * np.log(2) * catalogue.halos.r200c[place], rel=0.1)
    assert 0 < bound < BARYONS - stars


@pytest.mark.parametrize("mass", [1e12, 1e13, 1e14, 1e15])
def test_feedback_acts_in_the_right_direction(mass):
    stars, bound = Astrophysics().shares(mass, BARYONS)

    assert stars + bound < BARYONS
    assert Astrophysics(A_SN1=4).shares(mass, BARYONS)[0] < stars
    assert Astrophysics(A_AGN1=4).shares(mass, BARYONS)[1] < bound
    assert Astrophysics(A_SN2=2).shares(mass, BARYONS)[1] < bound
    wide, usual = Astrophysics(A_AGN2=2).enclosed(), Astrophysics().enclosed()
    assert (wide[2] <= usual[2] + 1e-12).all()
    assert profiles.radii_of(np.array([0.5]), wide[2])[0] > profiles.radii_of(np.array([0.5]), usual[2])[0]


def test_siblings_share_their_scatter_and_other_halos_do_not():
    shares = Astrophysics().shares(1e13, BARYONS)

    assert scattered(shares, BARYONS, 0, 3, 5) == scattered(shares, BARYONS, 0, 3, 5)
    ratios = np.array([scattered(shares, BARYONS, 0, 3, halo) for halo in range(3000)]) / shares
    assert np.std(np.log10(ratios[:, 0])) == pytest.approx(0.15, rel=0.05)
    assert np.std(np.log10(ratios[:, 1])) == pytest.approx(0.04, rel=0.05)
    assert abs(np.corrcoef(np.log(ratios.T))[0, 1]) < 0.05


def test_enclosed_fractions_rise_from_0_to_1_and_invert():
    for enclosed in (profiles.nfw(7.0), profiles.exponential(0.05), profiles.cored(0.1, 2.0), profiles.gaussian(2.0)):
        assert enclosed[0] == 0
        assert (np.diff(enclosed) >= 0).all()
        assert enclosed[-1] == pytest.approx(1)
        ranks = np.linspace(0.01, 0.99, 50)
        assert np.allclose(np.interp(profiles.radii_of(ranks, enclosed), profiles.RADII, enclosed), ranks, atol=1e-9)
    from scipy.stats import chi

    assert profiles.radii_of(np.array([0.5]), profiles.gaussian(0.7))[0] == pytest.approx(
        0.7 * chi(3).median(), rel=1e-3
    )


def test_the_densest_part_is_the_centre_whatever_lies_beside_it():
    rng = np.random.default_rng(1)
    core, bridge = rng.normal(0, 0.05, (300, 3)), rng.uniform(0, 2, (500, 3))
    positions = np.mod(np.concatenate([core, bridge]) + 19.98, SIZE)

    found = shrinking_center(positions, np.arange(len(positions)), SIZE)

    assert np.linalg.norm((found - 19.98 + 10) % 20 - 10) < 0.05

"""What the embedded boxes are worth: figures over an ensemble, against oracles. Minutes."""

import numpy as np
import pytest
from scipy import fft

from emulant.systems.halos import mesh
from emulant.systems.halos.baryons import Astrophysics, baryonify
from emulant.systems.halos.catalogue import find
from emulant.systems.halos.cosmology import Cosmology
from emulant.systems.halos.gravity import Lattice, evolve, overdensity

pytestmark = pytest.mark.soak

SIZE, PARTICLES, MESH, BOXES = 50.0, 128, 256, 8
FIDUCIAL = Cosmology(0.3, 0.049, 0.6711, 0.8, 0.9624)
EDGES = [0.1, 0.3, 0.5, 0.8, 1.3, 2.0, 3.0, 4.5, 7.0]


def box(seed):
    """(sharpened positions, catalogue) of a box with fixed amplitudes."""
    lattice = Lattice(PARTICLES, SIZE)
    delta = overdensity(lattice, FIDUCIAL, np.random.default_rng(seed), fixed=True)
    coarse = evolve(lattice, FIDUCIAL, delta, steps=30)
    fine = coarse.copy()
    mass = FIDUCIAL.matter_density * SIZE**3 / len(fine)
    return fine, find(coarse, fine, mass, SIZE, FIDUCIAL.matter_density, 0, seed)


@pytest.fixture(scope="module")
def boxes():
    return [box(seed) for seed in range(BOXES)]


def power(*weighted):
    """Band powers of several sets of particles, each with a weight."""
    total = np.zeros((MESH,) * 3, np.float32)
    for positions, weight in weighted:
        counts = np.zeros_like(total)
        mesh.deposit(positions, counts, SIZE / MESH)
        total += weight * counts
    k = np.sqrt(Lattice(MESH, SIZE).k_squared())
    bands = np.digitize(k, EDGES).ravel()
    sums = np.bincount(bands, (np.abs(fft.rfftn(total)) ** 2).ravel(), len(EDGES) + 1)
    return sums[1 : len(EDGES)]


def suppression(fine, catalogue, seed, **strength):
    share = FIDUCIAL.baryon_fraction
    made = baryonify(fine, catalogue, SIZE, share, Astrophysics(**strength), 0, seed)
    return power((made.dm, 1 - share), (made.gas, share)) / power((fine, 1.0))


def test_there_are_as_many_massive_halos_as_there_should_be(boxes):
    """Within 15 % of Tinker et al. (2008) above 1e13 Msun/h in M200c."""
    cosmology = pytest.importorskip("colossus.cosmology.cosmology")
    mass_function = pytest.importorskip("colossus.lss.mass_function")
    cosmology.setCosmology(
        "emulant", flat=True, H0=67.11, Om0=0.3, Ob0=0.049, sigma8=0.8, ns=0.9624, persistence="", relspecies=False
    )
    masses = np.geomspace(1e13, 1e16, 400)
    density = mass_function.massFunction(masses, 0.0, mdef="200c", model="tinker08", q_out="dndlnM")
    expected = np.trapezoid(density, np.log(masses)) * SIZE**3

    found = np.mean([(catalogue.halos.m200c > 1e13).sum() for _, catalogue in boxes])

    assert found == pytest.approx(expected, rel=0.15)


def test_baryons_suppress_power_on_small_scales_only_and_feedback_acts_one_way(boxes):
    for seed, (fine, catalogue) in enumerate(boxes):
        usual = suppression(fine, catalogue, seed)
        assert np.abs(usual[:2] - 1).max() < 0.01
        assert 0.7 < usual[-1] < 0.92
        for name, strengths in {
            "A_SN1": (0.25, 1, 4),
            "A_AGN1": (0.25, 1, 4),
            "A_SN2": (0.5, 1, 2),
            "A_AGN2": (0.5, 1, 2),
        }.items():
            at_five = [suppression(fine, catalogue, seed, **{name: strength})[-1] for strength in strengths]
            assert at_five == sorted(at_five, reverse=True), name

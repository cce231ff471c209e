import numpy as np
import pytest

from emulant.systems.halos.cosmology import Cosmology

FIDUCIAL = Cosmology(0.3, 0.049, 0.6711, 0.8, 0.9624)


def test_without_dark_energy_structure_grows_as_the_scale_factor():
    flat = Cosmology(1.0, 0.05, 0.7, 0.8, 0.96)

    for a in (0.1, 0.35, 1.0):
        assert flat.growth(a) == pytest.approx(a, rel=1e-12)
        assert flat.momentum_growth(a) == pytest.approx(a**1.5, rel=1e-12)


def test_momenta_grow_by_the_force_of_linear_theory():
    a, step = 0.6, 1e-4
    slope = (FIDUCIAL.momentum_growth(a + step) - FIDUCIAL.momentum_growth(a - step)) / (2 * step)

    assert slope == pytest.approx(1.5 * 0.3 * FIDUCIAL.growth(a) / (a**2 * float(FIDUCIAL.expansion(a))), rel=1e-6)
    difference = (FIDUCIAL.growth(a + step) - FIDUCIAL.growth(a - step)) / (2 * step)
    assert FIDUCIAL.momentum_growth(a) == pytest.approx(a**3 * float(FIDUCIAL.expansion(a)) * difference, rel=1e-6)


def test_power_has_the_variance_it_is_scaled_to():
    k = np.geomspace(1e-4, 50, 20000)
    window = 3 * (np.sin(8 * k) - 8 * k * np.cos(8 * k)) / (8 * k) ** 3
    variance = np.trapezoid(k**3 * FIDUCIAL.linear_power(k) * window**2 / (2 * np.pi**2), np.log(k))

    assert np.sqrt(variance) == pytest.approx(0.8, rel=1e-4)
    assert FIDUCIAL.linear_power(np.zeros(1)) == 0


@pytest.mark.parametrize(
    ("cosmology", "tolerance"),
    [
        (FIDUCIAL, 0.04),
        (Cosmology(0.2, 0.049, 0.6711, 0.7, 0.9624), 0.06),
        (Cosmology(0.4, 0.049, 0.6711, 0.9, 0.9624), 0.05),
    ],
)
def test_power_is_that_of_a_boltzmann_code(cosmology, tolerance):
    camb = pytest.importorskip("camb")
    h = cosmology.h
    settings = camb.set_params(
        H0=100 * h,
        ombh2=cosmology.Omega_b * h**2,
        omch2=(cosmology.Omega_m - cosmology.Omega_b) * h**2,
        ns=cosmology.n_s,
        mnu=0,
        num_massive_neutrinos=0,
        As=2e-9,
        WantTransfer=True,
    )
    settings.set_matter_power(redshifts=[0.0], kmax=40)
    results = camb.get_results(settings)
    k, _, power = results.get_linear_matter_power_spectrum(hubble_units=True, k_hunit=True)
    asked = np.geomspace(0.02, 30, 60)
    expected = np.exp(np.interp(np.log(asked), np.log(k), np.log(power[0])))
    expected *= (cosmology.sigma8 / results.get_sigma8_0()) ** 2

    assert np.abs(cosmology.linear_power(asked) / expected - 1).max() < tolerance

"""Growth rates against closed forms, published anchors and an independent eigenvalue problem on fixed directions."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from flavor_cells import ANCHOR_A, ANCHOR_B, cell
from scipy.optimize import minimize

from emulant.systems.flavor import growth
from emulant.systems.flavor.angles import lebedev
from emulant.systems.flavor.crossings import Pair, find_pairs
from emulant.systems.flavor.fields import COUPLING
from emulant.systems.flavor.growth import fastest_mode
from emulant.systems.flavor.sampling import draw


def independent(pair: Pair, wave_vector: np.ndarray, count: int = 434) -> float:
    """The largest Im ω of M_ij = k·v_i δ_ij - G_i w_j (1 - v_i·v_j) on Lebedev directions."""
    v, w = lebedev(count)
    matrix = np.diag(v @ wave_vector) - pair.at(v)[:, None] * w * (1.0 - v @ v.T)
    return float(np.linalg.eigvals(matrix).imag.max())


def test_anchors() -> None:
    beam = np.array([0.0, 0.0, 1 / 3])
    zero = 0.0 * beam
    beams = cell([[0.5, 0, 0], [0.5, 0, 0]], [[beam, zero, zero], [-beam, zero, zero]])
    rates = []
    for f4 in (ANCHOR_A, ANCHOR_B, beams):
        found = fastest_mode(find_pairs(f4[0])[0])
        assert found is not None
        rates.append(found.mode.growth)
    assert rates[:2] == pytest.approx([0.0927, 0.0931], abs=1e-4)
    assert rates[2] * COUPLING * 2 * 4.891290819e32 == pytest.approx(6.48e10, rel=2e-3)


def test_dipole_of_anchor_b() -> None:
    found = fastest_mode(find_pairs(ANCHOR_B[0])[0])
    assert found is not None
    assert found.dipole == pytest.approx([0.396, -0.819, -0.416], abs=1e-3)


@pytest.mark.parametrize("sampler", ["random", "nsm"])
def test_same_as_eigenvalues_on_434_directions_at_the_fastest_wave_vector(sampler: str) -> None:
    ratios = []
    for number in range(6):
        pair = find_pairs(draw(sampler, np.random.default_rng([5, number])).f4)[0]
        found = fastest_mode(pair) if pair.margin > 0.02 else None
        if found:
            ratios.append(independent(pair, found.mode.wave_vector) / found.mode.growth)
    assert len(ratios) >= 3
    assert np.array(ratios) == pytest.approx(1.0, abs=0.01)


def _slowness(pair: Pair, wave_vector: np.ndarray) -> float:
    return -independent(pair, wave_vector, 302)


@pytest.mark.soak
def test_no_other_search_finds_a_faster_mode() -> None:
    """An independent search: random wave vectors on 302 directions, the best climbed by a simplex."""
    errors = []
    for number in range(12):
        generator = np.random.default_rng([6, number])
        pair = find_pairs(draw("nsm" if number % 2 else "random", generator).f4)[0]
        found = fastest_mode(pair) if pair.margin > 0.02 else None
        if found is None:
            continue
        slowness = partial(_slowness, pair)
        best = min(generator.normal(size=(30, 3)) * pair.greater, key=slowness)
        climbed = minimize(slowness, best, method="Nelder-Mead", options={"maxfev": 80})
        errors.append(found.mode.growth / -climbed.fun - 1.0)
    assert len(errors) >= 8
    assert np.median(np.abs(errors)) < 0.01
    assert np.quantile(np.abs(errors), 0.95) < 0.03


def test_the_narrow_bands_of_shallow_crossings_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan twice as dense finds nothing faster. In steps of I>/3 a mode half as fast had been taken for the best."""
    pair = find_pairs(draw("shallow", np.random.default_rng([8, 0])).f4)[0]
    found = fastest_mode(pair)
    monkeypatch.setattr(growth, "SPACING", 0.5 * growth.SPACING)
    denser = fastest_mode(pair)
    assert found is not None
    assert denser is not None
    assert found.mode.growth > 0.5 * pair.sigma
    assert found.mode.growth == pytest.approx(denser.mode.growth, rel=0.01)


def test_growth_scales_with_density_alone() -> None:
    f4 = draw("nsm", np.random.default_rng(7)).f4
    one, other = fastest_mode(find_pairs(f4)[0]), fastest_mode(find_pairs(f4 * 1e9)[0])
    assert one is not None
    assert other is not None
    assert one.mode.growth == pytest.approx(other.mode.growth, rel=1e-4)

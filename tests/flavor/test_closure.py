"""The closure against its defining equations, and grids of directions against polynomials they must integrate."""

from __future__ import annotations

import numpy as np
import pytest
from flavor_cells import ANCHOR_A, ANCHOR_B, ANCHOR_C, adversarial
from hypothesis import given
from hypothesis import strategies as st

from emulant.systems.flavor.angles import LEBEDEV_ORDERS, frames, in_frame, lebedev, product_grid
from emulant.systems.flavor.closure import closure, concentration, total_density
from emulant.systems.flavor.crossings import find_pairs


def test_concentration_at_known_places() -> None:
    known = {0.1: 0.301817, 0.3: 0.953149, 0.5: 1.796756, 0.7: 3.303544, 0.9: 10.000000, 0.0: 0.0}
    assert concentration(np.array(list(known))) == pytest.approx(list(known.values()), abs=1e-6)


@given(st.floats(1e-12, 0.98))
def test_concentration_solves_its_equation(factor: float) -> None:
    z = float(concentration(np.array(factor)))
    exact = z / 3 - z**3 / 45 if z < 1e-3 else 1 / np.tanh(z) - 1 / z
    assert exact == pytest.approx(factor, rel=1e-9, abs=1e-14)


def test_distribution_has_the_moments_that_it_was_made_of() -> None:
    generator = np.random.default_rng(0)
    cells = adversarial(generator, 40)
    flux, density = cells[:, :3], cells[:, 3]
    length = np.sqrt(np.sum(flux**2, axis=1))
    moderate = (length <= 0.98 * density).all(axis=(1, 2)) & (total_density(cells) > 0)
    cells = cells[moderate] / total_density(cells[moderate])[:, None, None, None]
    directions, weights = lebedev(5810)
    g = closure(cells).at(directions)
    moments = np.einsum("csan,n,nm->cmsa", g, weights, np.c_[directions, np.ones(len(directions))])
    assert len(cells) > 5
    assert np.abs(moments - cells).max() < 1e-12
    assert g.min() >= 0.0


def test_closure_of_nothing_and_of_beams_is_finite() -> None:
    cell = np.zeros((4, 2, 3))
    cell[3, 0, 0], cell[2, 0, 0] = 1e45, 1e45
    g = closure(cell).at(lebedev(110)[0])
    assert np.isfinite(g).all()
    assert (g[1] == 0.0).all()


@pytest.mark.parametrize("count", LEBEDEV_ORDERS)
def test_lebedev_rules_are_what_their_names_say(count: int) -> None:
    directions, weights = lebedev(count)
    assert len(directions) == len(weights) == count
    assert weights.sum() == pytest.approx(4 * np.pi)
    assert (weights * directions[:, 2] ** 4).sum() == pytest.approx(4 * np.pi / 5)


def test_product_grid_integrates_polynomials() -> None:
    directions, weights = product_grid(8, 12)
    x, _, z = directions.T
    assert weights.sum() == pytest.approx(4 * np.pi)
    assert (weights * x**4 * z**6).sum() == pytest.approx(4 * np.pi / 231, rel=1e-12)  # 4π 3!! 5!! / 11!!


def test_frames_turn_with_the_cell() -> None:
    generator = np.random.default_rng(1)
    cells = adversarial(generator, 200)
    cells = cells[total_density(cells) > 0]
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    turned = cells.copy()
    turned[:, :3] = np.einsum("kl,clsa->cksa", turn, cells[:, :3])
    own, other = frames(cells), frames(turned)
    assert np.abs(own @ own.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
    directions = product_grid(8, 12)[0]
    flux = cells[:, :3].sum(axis=(2, 3))
    several = np.linalg.matrix_rank(np.moveaxis(cells[:, :3], 1, 2).reshape(len(cells), 2, 9)) > 1
    same = np.abs(in_frame(own, directions) @ turn.T - in_frame(other, directions)).max(axis=(1, 2))
    across = np.sqrt(np.sum(np.cross(flux, own[:, 2]) ** 2, axis=1)) / total_density(cells)
    clear = several & (across > 1e-3)
    assert clear.sum() > 50
    assert same[clear].max() < 1e-8


def test_crossings_of_the_anchors() -> None:
    a, b, c = (find_pairs(cell[0])[0] for cell in (ANCHOR_A, ANCHOR_B, ANCHOR_C))
    assert (a.positive, a.negative) == pytest.approx((0.069858, 0.069858), abs=2e-5)
    assert (b.positive, b.negative) == pytest.approx((0.047752, 0.097752), abs=2e-5)
    assert (c.positive, c.negative, c.margin, c.sigma) == pytest.approx((0.2, 0.0, 0.0, 0.0), abs=1e-12)

"""The box: its kernel against plain double precision, what it conserves, limits, anchors, convergence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from flavor_cells import ANCHOR_A, ANCHOR_B

from emulant.systems.flavor.angles import lebedev
from emulant.systems.flavor.box import Saturated, Setting, saturate
from emulant.systems.flavor.closure import with_equal_heavies
from emulant.systems.flavor.crossings import find_pairs
from emulant.systems.flavor.growth import fastest_mode
from emulant.systems.flavor.reaction import react

Array = np.ndarray


def streams(count: int, first: int = 0) -> Callable[[], list[np.random.Generator]]:
    return lambda: [np.random.default_rng([first, number]) for number in range(count)]


def run(f4: Array, seeds: int = 2, cells: int = 64, directions: int = 110, first: int = 0) -> Saturated:
    pair = find_pairs(with_equal_heavies(f4))[0]
    fastest = fastest_mode(pair)
    assert fastest is not None
    return saturate(
        f4, pair, Setting(fastest.dipole, fastest.mode.growth, cells, directions, 4000), streams(seeds, first)
    )


def plain_rate(psi: Array, weights: Array, v: Array) -> Array:
    four = np.concatenate([v, np.ones((len(v), 1))], axis=1)
    moments = np.einsum("j,jm,jaz,jbz->mabz", weights, four, psi, psi.conj())
    hamiltonian = moments[3] - np.einsum("jk,kabz->jabz", v, moments[:3])
    return np.asarray(-1j * np.einsum("jabz,jbz->jaz", hamiltonian, psi))


def random_state(count: int = 50, points: int = 32) -> tuple[Array, Array, Array]:
    generator = np.random.default_rng(0)
    psi = generator.normal(size=(count, 3, points)) + 1j * generator.normal(size=(count, 3, points))
    psi /= np.sqrt(np.sum(np.abs(psi) ** 2, axis=1, keepdims=True))
    v, w = lebedev(count)
    return psi, w * generator.normal(size=count) * 0.02, v


def test_kernel_is_the_equation_of_motion() -> None:
    psi, weights, v = random_state()
    moved, survival = psi.astype(np.complex64), np.empty(len(v))
    dt = 0.05
    mixed = react(moved, weights.astype(np.float32), v.astype(np.float32), np.float32(dt), survival)
    stages = [plain_rate(psi, weights, v)]
    for share in (0.5, 0.5, 1.0):
        stages.append(plain_rate(psi + share * dt * stages[-1], weights, v))
    expected = psi + dt / 6 * (stages[0] + 2 * stages[1] + 2 * stages[2] + stages[3])
    assert np.abs(expected - psi).max() > 1e-3
    assert np.abs(moved - expected).max() < 1e-6
    assert survival == pytest.approx((np.abs(expected[:, 0]) ** 2).mean(axis=1), abs=1e-6)
    off = np.einsum("j,jz,jaz->az", weights, psi[:, 0], psi[:, 1:].conj())
    assert mixed == pytest.approx(np.sqrt((np.abs(off) ** 2).sum(axis=0)).mean(), rel=1e-5)


def test_kernel_conserves_the_polarisation_and_the_norm() -> None:
    psi, weights, v = random_state()
    moved, survival = psi.astype(np.complex64), np.empty(len(v))

    def number(state: Array) -> Array:
        return np.einsum("j,jaz,jbz->abz", weights, state, state.conj())

    before = number(moved.astype(complex))
    for _ in range(200):
        react(moved, weights.astype(np.float32), v.astype(np.float32), np.float32(0.5), survival)
    assert np.abs(number(moved.astype(complex)) - before).max() < 2e-5 * np.abs(before).max()
    assert np.abs((np.abs(moved) ** 2).sum(axis=1) - 1.0).max() < 1e-6


def test_anchors() -> None:
    a, b = run(ANCHOR_A[0]), run(ANCHOR_B[0])
    assert a.saturated
    assert a.final[3, :, 0] == pytest.approx(0.181, abs=0.004)
    assert a.final[3, 0, 1] == pytest.approx(0.159, abs=0.004)
    assert (a.final[2, 0, 0], a.final[2, 1, 0], a.final[2, 0, 1]) == pytest.approx((0.037, 0.080, 0.046), abs=0.003)
    assert (b.final[3, 0, 0], b.final[3, 1, 0], b.final[3, 0, 1]) == pytest.approx((0.183, 0.233, 0.146), abs=0.004)


def test_what_is_conserved_is_conserved_to_rounding() -> None:
    end = run(ANCHOR_B[0], seeds=1)
    change = end.final - ANCHOR_B[0]
    assert np.abs(change).max() > 0.05
    assert np.abs(change.sum(axis=-1)).max() < 1e-15
    assert np.abs(change[3, 0] - change[3, 1]).max() < 1e-15
    assert end.stddev is None


def test_two_flavors_reach_one_half_where_three_reach_a_third() -> None:
    """Where the crossing is symmetric (nearly) every direction mixes fully: to 1/NF."""
    three = ANCHOR_A[0]
    two = np.concatenate([three[..., :1], three[..., 1:2]], axis=-1)
    for f4, mixed in ((two, 1 / 2), (three, 2 / 3)):
        final = run(f4 / f4[3].sum(), seeds=1).final * f4[3].sum()
        moved = f4[3, 0, 0] - final[3, 0, 0]
        assert np.abs((final - f4).sum(axis=-1)).max() < 1e-14
        assert moved / (f4[3, 0, 0] - f4[3, 0, 1]) == pytest.approx(mixed, abs=0.09)


def test_settled_against_other_seeds_and_finer_boxes() -> None:
    def rms(one: Saturated, other: Saturated) -> float:
        return float(np.sqrt(np.mean((one.final - other.final) ** 2)))

    coarse = run(ANCHOR_B[0])
    assert rms(coarse, run(ANCHOR_B[0], first=9)) < 1e-3
    assert rms(coarse, run(ANCHOR_B[0], cells=128)) < 1.5e-3
    assert rms(coarse, run(ANCHOR_B[0], directions=194)) < 1.5e-3


def test_growth_seen_in_the_box_is_somewhat_below_linear_analysis() -> None:
    fastest = fastest_mode(find_pairs(ANCHOR_A[0])[0])
    assert fastest is not None
    assert 0.6 < run(ANCHOR_A[0]).growth / fastest.mode.growth < 1.05


def test_the_same_seeds_give_the_same_bytes() -> None:
    assert run(ANCHOR_A[0]).final.tobytes() == run(ANCHOR_A[0]).final.tobytes()

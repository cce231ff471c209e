from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emulant.errors import UsageError
from emulant.systems.swarm.config import FAMILIES, SystemTable, family
from emulant.systems.swarm.initial import positions, unit_vectors


def draw(name, **fields):
    system = SystemTable(**{"N": 5000, "Lx": 24.0, "Ly": 15.0, **fields})
    return positions(name, system, np.random.default_rng(7)), system


def test_families_take_turns():
    assert [family(case) for case in range(5)] == [
        "uniform",
        "gaussian_cluster",
        "ring",
        "two_clusters",
        "uniform",
    ]


def test_families_differ_from_each_other():
    radius = {name: np.hypot(*(draw(name, Lx=15.0)[0] - 7.5).T) for name in FAMILIES}
    for one, other in combinations(FAMILIES, 2):
        assert stats.ks_2samp(radius[one], radius[other]).pvalue < 1e-6


def test_uniform_fills_the_box():
    x, system = draw("uniform")
    for axis, length in enumerate((system.Lx, system.Ly)):
        assert stats.kstest(x[:, axis], stats.uniform(0, length).cdf).pvalue > 1e-3


@pytest.mark.parametrize("bc", ["periodic", "reflecting"])
def test_the_cluster_is_normal_about_the_centre(bc):
    x, _ = draw("gaussian_cluster", bc=bc)
    for axis, centre in enumerate((12.0, 7.5)):  # 15/6; what is folded back at 3 sd is 0.3 %
        assert stats.kstest(x[:, axis], stats.norm(centre, 2.5).cdf).pvalue > 1e-3


def test_the_ring_has_its_radius_and_width_and_goes_all_around():
    x, _ = draw("ring")
    away = x - [12.0, 7.5]
    assert stats.kstest(np.hypot(*away.T), stats.norm(15 / 4, 15 / 40).cdf).pvalue > 1e-3
    assert stats.kstest(np.arctan2(*away.T), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_two_clusters_share_the_particles():
    x, _ = draw("two_clusters", N=5001)
    for members, centre in ((x[:2500], 12 - 4), (x[2500:], 12 + 4)):
        assert stats.kstest(members[:, 0], stats.norm(centre, 15 / 8).cdf).pvalue > 1e-3
        assert stats.kstest(members[:, 1], stats.norm(7.5, 15 / 8).cdf).pvalue > 1e-3


@settings(deadline=None)  # the first example compiles
@given(
    st.sampled_from(FAMILIES),
    st.sampled_from(["periodic", "reflecting"]),
    st.integers(1, 50),
    st.floats(0.5, 100),
    st.floats(0.5, 100),
)
def test_every_particle_is_in_the_box(name, bc, N, Lx, Ly):
    system = SystemTable(N=N, bc=bc, Lx=Lx, Ly=Ly)
    x = positions(name, system, np.random.default_rng(N))
    assert x.shape == (N, 2)
    assert ((x >= 0) & (x < [Lx, Ly])).all()


def test_what_leaves_one_side_comes_back_by_the_rule_of_the_walls():
    # in a box this narrow the walls are 2.7 sd from the clusters' centres
    rng = {bc: np.random.default_rng(3) for bc in ("periodic", "reflecting")}
    wrapped, mirrored = (positions("two_clusters", SystemTable(N=4000, Lx=3.0, Ly=15.0, bc=bc), rng[bc]) for bc in rng)
    out = wrapped[:, 0] != mirrored[:, 0]
    assert 5 < out.sum() < 50
    np.testing.assert_allclose(wrapped[out, 0] + mirrored[out, 0], 3.0, atol=1e-12)


def test_an_unknown_family_is_refused_by_name():
    with pytest.raises(UsageError, match="spiral"):
        draw("spiral")


def test_unit_vectors():
    angles = np.linspace(-7, 7, 101)
    np.testing.assert_allclose(unit_vectors(angles), np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-15)

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from emulant.systems.halos.friends import groups


def by_brute_force(positions, linking_length, size):
    """The same by all pairs of a k-d tree."""
    pairs = cKDTree(positions, boxsize=size).query_pairs(linking_length, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(positions),) * 2)
    labels = connected_components(graph, directed=False)[1]
    return {frozenset(np.nonzero(labels == label)[0].tolist()) for label in range(labels.max() + 1)}


@pytest.mark.parametrize("linking_length", [0.05, 0.4, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_friends_are_those_of_all_pairs_across_the_edges_too(seed, linking_length):
    rng = np.random.default_rng(seed)
    clumps = rng.uniform(0, 10, (12, 3))[rng.integers(0, 12, 600)] + rng.normal(0, 0.3, (600, 3))
    positions = np.concatenate([clumps, rng.uniform(0, 10, (600, 3))]) % 10.0

    found = groups(positions, linking_length, 10.0, 2)

    expected = {group for group in by_brute_force(positions, linking_length, 10.0) if len(group) >= 2}
    assert {frozenset(group.tolist()) for group in found} == expected
    assert [len(group) for group in found] == sorted((len(group) for group in found), reverse=True)
    assert all((np.diff(group) > 0).all() for group in found)


def test_a_box_without_friends_has_no_groups():
    lattice = np.stack(np.meshgrid(*[np.arange(8.0)] * 3, indexing="ij"), -1).reshape(-1, 3)

    assert groups(lattice, 0.2, 8.0, 2) == []
    assert len(groups(lattice, 1.0, 8.0, 2)[0]) == 8**3

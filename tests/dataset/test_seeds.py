"""Streams follow from the seed, a purpose and numbers, and never collide."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulant.dataset import seeds

numbers = st.lists(st.integers(0, 2**32 - 1), max_size=3).map(tuple)
keys = st.tuples(st.sampled_from(list(seeds.PURPOSES)), numbers)


@given(st.integers(0, 2**63), keys)
def test_a_stream_is_a_function_of_its_key(root, key):
    purpose, rest = key
    first, second = (seeds.stream(root, purpose, *rest).integers(2**63, size=4) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@given(st.integers(0, 2**32), keys, keys)
def test_two_keys_give_two_streams(root, one, other):
    first = seeds.stream(root, one[0], *one[1]).integers(2**63, size=4)
    second = seeds.stream(root, other[0], *other[1]).integers(2**63, size=4)
    assert (one == other) == bool((first == second).all())


def test_cases_of_all_splits_are_distinct_where_index_arithmetic_collides():
    drawn = {
        tuple(seeds.case_sequence(0, split, case).generate_state(4))
        for split in ("training", "test")
        for case in range(2000)
    }
    assert len(drawn) == 4000


def test_the_key_of_a_case_is_the_documented_one():
    sequence = seeds.case_sequence(7, "test", 3)
    assert (sequence.entropy, sequence.spawn_key) == (7, (0, 2, 3))

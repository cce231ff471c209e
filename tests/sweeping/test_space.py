"""What `--over` says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import UsageError
from emulant.sweeping.space import Range, grid, name, read


def test_values_are_toml_and_commas_within_brackets_separate_nothing():
    space = read(["a.b=1e-5,5e-6", 'c=adam, "s,gd" ', "d=[1, 2],[3]", "e=true"])
    assert space == {"a.b": [1e-5, 5e-6], "c": ["adam", "s,gd"], "d": [[1, 2], [3]], "e": [True]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5..1e-2", Range(1e-5, 1e-2)),
        ("1e-5..1e-2:log", Range(1e-5, 1e-2, log=True)),
        ("16..64", Range(16, 64)),
        ("-1..0.5", Range(-1, 0.5)),
    ],
)
def test_ranges(text, expected):
    assert read([f"key={text}"]) == {"key": expected}
    assert expected.whole == (text == "16..64")


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ([], "needs something to go over"),
        (["training.learning_rate"], "not of the form"),
        (["key="], "not of the form"),
        (["key=1", "key=2"], "stands there twice"),
        (["key=1,2,1"], "the same value stands there twice"),
        (["key=3..1"], "LOW < HIGH"),
        (["key=0..1:log"], "0 < LOW"),
    ],
)
def test_what_is_no_space_is_told(over, told):
    with pytest.raises(UsageError, match=told):
        read(over)


def test_a_grid_is_every_combination_and_takes_no_range():
    assert list(grid({"a": [1, 2], "b": ["x"]})) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    with pytest.raises(UsageError, match="--optimize"):
        list(grid({"a": Range(0, 1)}))


VALUES = st.dictionaries(
    st.text("abc._", min_size=1, max_size=4),
    st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=200), st.lists(st.integers(), max_size=3)),
    min_size=1,
    max_size=2,
)


@settings(max_examples=60)
@given(VALUES, VALUES)
def test_a_name_is_that_of_a_folder_and_of_one_point(one, other):
    assert set(name(one)) <= set(name(one)) - set("/\\:\0")
    assert len(name(one)) <= 130
    assert name(one) not in ("", ".", "..")
    if name(one) == name(other):
        assert {key: str(value) for key, value in one.items()} == {key: str(value) for key, value in other.items()}

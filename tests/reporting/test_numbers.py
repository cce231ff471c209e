"""Numbers as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulant.reporting.numbers import duration, interval, lead_text, number, percent, size, tick


@pytest.mark.parametrize(
    ("value", "perfect", "text"),
    [
        (0.82414, 1.0, "0.824"),
        (-1.5487, 1.0, "-1.55"),
        (0.0213, 1.0, "0.021"),
        (-0.00041, 1.0, "-0.0004"),
        (-0.00001, 1.0, "0.0000"),
        (1.0, 1.0, "1.00"),
        (0.9996, 1.0, "0.9996"),
        (0.99996, 1.0, "0.99996"),
        (12.34, 0.0, "12.3"),
        (0.05034, 0.0, "0.0503"),
        (4157.2, 0.0, "4160"),
        (-1.23e9, 1.0, "-1.2e9"),
        (3.14e-16, 0.0, "3.1e-16"),
        (0.0, 0.0, "0"),
        (math.inf, 0.0, "diverged"),
        (-math.inf, 1.0, "diverged"),
        (math.nan, 1.0, "undefined"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float, perfect: float, text: str) -> None:
    assert number(value, perfect) == text


@given(st.floats(-1e300, 1e300), st.sampled_from([0.0, 1.0]))
def test_a_number_reads_back_near_to_itself(value: float, perfect: float) -> None:
    text = number(value, perfect)
    assert len(text) <= 12
    assert float(text) == pytest.approx(value, rel=0.051, abs=6e-4 if perfect else 0.0)


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_nothing_short_of_perfect_is_printed_as_perfect(value: float) -> None:
    if 1 - value > 1e-9:
        assert float(number(value, 1.0)) < 1.0
        assert float(percent(value).split()[0]) < 100


def test_intervals_and_their_edges() -> None:
    assert interval(0.8, 0.9, 1.0) == "[0.800, 0.900]"
    assert interval(-math.inf, 0.2, 1.0) == "[-∞, 0.200]"
    assert interval(0.0, 0.0) == ""
    assert interval(math.nan, 1.0) == ""


def test_sizes_and_durations() -> None:
    assert [size(count) for count in (830, 71_234_567, 5_000_000_000_000)] == ["830 B", "71.2 MB", "5.0 TB"]
    assert [duration(s) for s in (0.041, 12.34, 245, 7380)] == ["0.04 s", "12.3 s", "4 min 05 s", "2 h 03 min"]


def test_ticks_are_plain_where_they_can_be() -> None:
    assert [tick(value) for value in (0, 0.001, 0.05, 2000, 3e-5, 1e-18, 1e6, -0.5)] == [
        "0", "0.001", "0.05", "2000", "3e-5", "1e-18", "1e6", "-0.5"
    ]  # fmt: skip


def test_lead_times_have_three_digits_at_most_and_no_exponent() -> None:
    assert [lead_text(text) for text in ("0.0166667", "1.7", "10", "999.5", "12345")] == [
        "0.0167", "1.7", "10", "999.5", "12345"
    ]  # fmt: skip


def test_a_point_has_no_interval() -> None:
    assert interval(0.5, 0.5 + 1e-16) == ""
    assert interval(0.5, 0.5001) == "[0.500, 0.500]"

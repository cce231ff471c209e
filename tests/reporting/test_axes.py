"""Axes of scores: logarithmic where errors span a decade, ticks that can be read, nothing lost on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from emulant.reporting.axes import Window, logarithmic, window_of
from emulant.reporting.boards import Board, Meaning

ERROR = Meaning("px", "error", "lower", 0.0)
SCORE = Meaning("1", "r2", "higher", 1.0)


def window(meaning, **values):
    """The window of some surrogates (their names) and a baseline `drift`."""
    kinds = {name: "baseline" if name == "drift" else "surrogate" for name in values}
    board = Board("test", "", kinds, (), (), {})
    curves = {name: tuple(np.array([value, 0.9 * value, 1.1 * value])[:, None]) for name, value in values.items()}
    return window_of(board, meaning, curves)


def test_errors_over_a_decade_are_logarithmic_and_all_in_view():
    found = window(ERROR, good=0.001, poor=0.5, drift=0.1)
    assert found.logarithmic
    assert found.low < 0.001
    assert found.high > 0.5


def test_errors_within_a_decade_and_scores_are_not():
    assert not window(ERROR, good=0.05, drift=0.1).logarithmic
    assert not window(SCORE, good=0.9, poor=0.01, drift=0.5).logarithmic


def test_a_few_exact_zeros_do_not_hinder_and_many_do():
    assert window(ERROR, exact=0.0, good=0.001, poor=0.1, drift=0.1).logarithmic
    assert not window(ERROR, exact=0.0, too=0.0, drift=0.1).logarithmic


def test_a_diverging_model_does_not_squash_the_rest():
    assert window(ERROR, good=0.01, gone=1e9, drift=0.2).high < 10


@pytest.mark.parametrize("found", [Window(0.0, 2.0), Window(0.01, 100.0, logarithmic=True)])
def test_the_middle_of_an_axis_is_its_middle(found):
    middle = 1.0
    np.testing.assert_allclose(found.share(np.array([found.low, middle, found.high, 1e9])), [0, 0.5, 1, 1])
    assert found.share(np.array([-5.0]))[0] == 0


@given(st.floats(-12, 6), st.floats(0.01, 14), st.integers(2, 8))
def test_logarithmic_ticks_are_few_round_and_on_the_axis(start, span, most):
    low, high = 10.0**start, 10.0 ** (start + span)
    axes = Figure().add_subplot()
    logarithmic(axes.xaxis, low, high, most)
    ticks = axes.xaxis.get_majorticklocs()
    assert 1 <= len(ticks) <= max(most, 2)
    assert all(0.98 * low <= tick <= 1.02 * high for tick in ticks)
    assert axes.get_xscale() == "log"
    assert axes.get_yscale() == "linear"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emulant.errors import SurrogateError
from emulant.surrogates.codes import FieldCodes, StateCodes, codes_from, codes_of
from emulant.surrogates.view import View, valid_time

ANGLES = arrays(float, (2, 6, 4), elements=st.floats(-3, 3))


@given(steps=ANGLES, periodic=st.sampled_from([(), (0,), (0, 1), (1, 3)]))
def test_states_come_back_from_their_codes_with_all_turns(steps: Any, periodic: tuple[int, ...]) -> None:
    states = np.cumsum(steps, axis=1)  # |step| < pi, so which turn is meant is clear
    codes = StateCodes(4, periodic)
    encoded = codes.encode(states)
    assert encoded.shape == (2, 6, 4 + len(periodic))
    np.testing.assert_allclose(codes.decode(encoded[:, 1:], states[:, 0]), states[:, 1:], atol=1e-9)


def test_the_order_is_sines_cosines_and_the_rest() -> None:
    state = np.array([[[0.3, 2.0, 5.0, 7.0]]])
    expected = [np.sin(0.3), np.sin(2.0), np.cos(0.3), np.cos(2.0), 5.0, 7.0]
    np.testing.assert_allclose(StateCodes(4, (0, 1)).encode(state)[0, 0], expected)


def test_codes_that_have_left_every_bound_decode_to_inf() -> None:
    decoded = StateCodes(2, (0,)).decode(np.array([[[0.0, 1.0, 2.0], [np.inf, np.inf, np.inf]]]), np.zeros((1, 2)))
    np.testing.assert_array_equal(decoded, [[[0.0, 2.0], [np.inf, np.inf]]])


def test_fields_are_seen_by_their_modes(dataset: Callable[..., Any]) -> None:
    fields = np.random.default_rng(0).normal(size=(5, 8, 3, 4))
    codes = codes_of(dataset({"rho": fields}), energy=1.0)
    assert isinstance(codes, FieldCodes)
    np.testing.assert_allclose(codes.decode(codes.encode(fields), fields[:, 0]), fields, atol=1e-10)
    again = codes_from(codes.arrays())
    np.testing.assert_array_equal(again.encode(fields), codes.encode(fields))
    with pytest.raises(SurrogateError, match="continues vectors of states"):
        codes_of(dataset({"rho": fields}))
    with pytest.raises(SurrogateError, match=r"grid is \(4, 3\)"):
        codes.encode(fields.swapaxes(2, 3))


def test_a_view_scales_by_the_training_split_and_sees_what_varies(
    dataset: Callable[..., Any], context: Callable[..., Any]
) -> None:
    states = np.random.default_rng(1).normal(3, 2, size=(6, 9, 2))
    train = dataset({"state": states}, targets=("state",))
    length, mass = np.linspace(1, 2, 6), np.ones(6)
    train = replace(train, cases=train.cases.with_columns(length=pl.Series(length), mass=pl.Series(mass)))
    view = View.of(train)
    seen = view.see(train)
    np.testing.assert_allclose(seen.codes.mean(axis=(0, 1)), 0, atol=1e-12)
    np.testing.assert_allclose(seen.codes.std(axis=(0, 1)), 1)
    np.testing.assert_allclose(seen.parameters[:, 0], (length - 1.5) / length.std())
    assert view.parameters == ("length",)
    given_context = context({"state": states}, 4)
    with pytest.raises(SurrogateError, match="no parameter `length`"):
        view.see_context(given_context, 2)
    told = replace(given_context, parameters={"length": length})
    np.testing.assert_array_equal(view.see_context(told, 2).codes, seen.codes[:, 2:4])
    with pytest.raises(SurrogateError, match="has 4 frames, the model needs 5"):
        view.see_context(told, 5)
    again = View.restored(view.about(), view.arrays())
    np.testing.assert_array_equal(again.see(train).parameters, seen.parameters)


def test_data_that_are_not_finite_are_named(dataset: Callable[..., Any]) -> None:
    states = np.zeros((3, 4, 2))
    states[1, 2, 0] = np.nan
    with pytest.raises(SurrogateError, match="`state` of case 1 is not finite"):
        View.of(dataset({"state": states}, targets=("state",)))


def test_valid_time_is_the_steps_before_the_first_bad_one() -> None:
    truth = np.zeros((4, 5, 2))
    forecast = truth.copy()
    forecast[1, 3] = 0.5
    forecast[2, 0] = np.inf
    forecast[3, 1, 0] = np.nan
    assert valid_time(truth, forecast, step=0.1) == pytest.approx(0.1 * np.mean([5, 3, 0, 1]))
    forecast[1, 3] = [0.5, 0.0]  # the root of the mean square over two codes is 0.35
    assert valid_time(truth, forecast, step=0.1) == pytest.approx(0.1 * np.mean([5, 5, 0, 1]))

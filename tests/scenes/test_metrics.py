"""Scores against values worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from small_scenes import Recordings, box, chain, crowd, disc, scene, swing, tower

from emulant.dataset.seams import Array
from emulant.systems.scenes.energy import kinetic, potential
from emulant.systems.scenes.metrics import METRICS, Headers
from emulant.systems.scenes.scene import STEP, Force

H = 20


def info(data: Recordings) -> dict[str, Any]:
    frame = pl.DataFrame({"case": range(len(data)), "split": ["test"] * len(data)})
    return {"times": STEP * np.arange(1, H + 1), "cases": frame, "headers": Headers(lambda split: data)}


def scored(name: str, data: Recordings, change: Any = None) -> Array:
    """The metric of the truth, changed in place by `change`."""
    truth = data.after(horizon=H)
    forecast = {"state": truth["state"].copy()}
    if change is not None:
        change(forecast["state"])
    return METRICS[name].score(truth, forecast, info(data))


@pytest.fixture(scope="module")
def data() -> Recordings:
    return Recordings([crowd(0), tower(3), swing()])


PERFECT = {"within_1px": 1.0, "coverage": 1.0, "contact_f1": 1.0, "valid_time": H * STEP}


@pytest.mark.parametrize("name", METRICS)
def test_the_truth_scores_perfectly(name: str, data: Recordings) -> None:
    values = scored(name, data)
    assert values.shape == (3, H)
    last = values[:, -1]
    np.testing.assert_allclose(last[~np.isnan(last)], PERFECT.get(name, 0.0), atol=1e-12)
    assert not np.isnan(last[0])


def test_errors_are_means_over_bodies_that_are_there(data: Recordings) -> None:
    def shift(state: Array) -> None:
        state[:, 5:, 0, 0] += 3.0  # one body, one coordinate, from the sixth frame on
        state[:, :, 0, 4] -= 2.0

    bodies = np.array([6, 3, 1])
    np.testing.assert_allclose(scored("position_mse", data, shift)[:, -1], 9 / 2 / bodies * 15 / 20)
    np.testing.assert_allclose(scored("position_mse", data, shift)[:, 4], 0)
    np.testing.assert_allclose(scored("velocity_mse", data, shift)[:, -1], 4 / 2 / bodies)
    np.testing.assert_allclose(scored("within_1px", data, shift)[:, -1], 1 - 15 / 20 / bodies)


def test_valid_time_ends_for_good_when_the_rms_distance_exceeds_five_pixels(data: Recordings) -> None:
    def shift(state: Array) -> None:
        state[:, 7, 0, 1] += 5.01 * np.sqrt([6, 3, 1])

    np.testing.assert_allclose(scored("valid_time", data, shift)[:, -1], 7 * STEP)


def test_what_has_diverged_is_counted_everywhere(data: Recordings) -> None:
    def diverge(state: Array) -> None:
        state[:, 10:, 0] = np.inf

    for name in METRICS:
        last = scored(name, data, diverge)[0, -1]
        if METRICS[name].better == "lower" and name != "contact_mse":
            assert last == np.inf, name
    assert scored("coverage", data, diverge)[0, -1] == pytest.approx(1 - 0.5 / 6)
    assert scored("contact_mse", data, diverge)[1, -1] == np.inf


def test_momentum_is_weighed_with_true_masses() -> None:
    pair = Recordings(
        [scene([disc(5, (200, 300), (50, 0), mass=1), disc(5, (400, 300), (-50, 0), mass=9)], gravity=(0, 0))]
    )

    def shift(state: Array) -> None:
        state[:, :, 1, 3] += 10

    assert scored("momentum_drift", pair, shift)[0, -1] == pytest.approx(90 / 500)


@pytest.mark.parametrize(
    "each",
    [
        scene([disc(8, (300, 500), (60, 20), mass=3)], substeps=1),
        scene([disc(5, (520, 320), (0, 170))], gravity=(0, 0), force=Force("central", 4e6, (400, 320), 30.0)),
        scene([disc(5, (300, 300), mass=20), disc(4, (460, 300), (0, 60))], gravity=(0, 0), force=Force("mutual", 2e4)),
        swing(),
    ],
    ids=["fall", "central", "mutual", "swing"],
)
def test_energy_is_what_the_engine_conserves(each: Any) -> None:
    one = Recordings([each], 30)
    motion, height = kinetic(one.state, one.static), potential(one.state, one.static)
    assert np.ptp(motion + height) < 0.02 * np.ptp(motion)


def test_a_forecast_that_gains_energy_is_told() -> None:
    one = Recordings([scene([disc(8, (300, 300), (60, 0), mass=3)], gravity=(0, 0))])
    gained = scored("energy_drift", one, lambda state: state.__setitem__((..., 3), 120.0))[0, -1]
    assert gained == pytest.approx(3, rel=0.01)


def collision() -> Recordings:
    """Two discs that meet 5 frames after the context, and a block that lies."""
    return Recordings(
        [scene([disc(10, (200, 300), (120, 0)), disc(10, (250, 300)), box(30, 20, (600, 62))], gravity=(0, -1.0))]
    )


def test_a_contact_begins_once_and_may_be_a_frame_late() -> None:
    data = collision()
    assert scored("contact_f1", data)[0, -1] == 1

    def late(frames: int) -> Any:
        def shift(state: Array) -> None:
            state[:, frames:] = state[:, :-frames].copy()

        return shift

    assert scored("contact_f1", data, late(1))[0, -1] == 1
    assert scored("contact_f1", data, late(3))[0, -1] == 0


def test_a_contact_that_never_comes_or_that_is_made_up_costs() -> None:
    def miss(state: Array) -> None:
        state[:, :, 0, 1] += 60

    assert scored("contact_f1", collision(), miss)[0, -1] == 0
    alone = Recordings([swing()])
    assert np.isnan(scored("contact_f1", alone)[0, -1])


def test_contact_mse_is_that_of_bodies_in_contact() -> None:
    def shift(state: Array) -> None:
        state[:, :, 2, 0] += 2  # the block lies on the floor all the time

    data = collision()
    resting = scored("contact_mse", data, shift)[0]
    assert resting[0] == pytest.approx(2.0)
    assert 1.0 < resting[-1] < 2.0  # the discs touch for a frame or two
    assert np.isnan(scored("contact_mse", Recordings([swing()]))).all()


def test_padding_counts_for_nothing() -> None:
    together, alone = Recordings([swing(), chain(12)]), Recordings([swing()])

    def shift(state: Array) -> None:
        state[:, :, 0, 0] += 0.5

    for name in ("position_mse", "within_1px", "energy_drift", "momentum_drift", "coverage"):
        assert scored(name, together, shift)[0, -1] == pytest.approx(scored(name, alone, shift)[0, -1])

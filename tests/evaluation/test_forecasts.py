from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulant.dataset.seams import Forecaster, Oracle
from emulant.dataset.tables import Table
from emulant.errors import DataError, SurrogateError, UsageError
from emulant.evaluation.forecasts import Start, context, forecast, frame_times, starts, truth


class Fitted:
    """What forecasters and oracles have in common; `seen` keeps the contexts that were shown."""

    Config = Table
    lag = 2

    def __init__(self, config=None):
        self.seen = []

    def fit(self, train, validation=None): ...

    def save(self, folder: Path): ...

    @classmethod
    def load(cls, folder, config): ...


class Last(Fitted):
    """Persistence; `answer` may change what is put out."""

    def __init__(self, config=None, answer=lambda array: array):
        super().__init__(config)
        self.answer = answer

    def forecast(self, context, horizon):
        self.seen.append(context)
        return {"rho": self.answer(np.repeat(context.fields["rho"][:, -1:], horizon, axis=1))}


class Peeking(Last):
    """Does all it can to see the future: looks behind the arrays, and could take the truth as an oracle does."""

    def forecast(self, context, horizon):
        found = sum(
            np.sum(array if array.base is None else array.base)
            for array in (*context.fields.values(), context.times, *context.parameters.values())
        )
        return {"rho": super().forecast(context, horizon)["rho"] + found}

    def forecast_with_truth(self, context, truth):
        return dict(truth)


class Truth(Fitted):
    def forecast_with_truth(self, context, truth):
        self.seen.append(context)
        return {name: array + 1 for name, array in truth.items()}


TIMES = np.arange(21) * 0.1


def test_cold_and_warm_starts():
    kept, notes = starts(TIMES, 4, (1.0, 0.3))
    assert kept == (Start("", 3), Start("@1", 10), Start("@0.3", 3))
    assert notes == ()
    assert kept[1].lead_times(TIMES) == pytest.approx(np.arange(1, 11) * 0.1)


@pytest.mark.parametrize(("time", "reason"), [(0.2, "fewer than 4"), (2.0, "end at 2"), (7.0, "end at 2")])
def test_a_warm_start_that_cannot_be_is_left_out_and_said(time, reason):
    kept, notes = starts(TIMES, 4, (time, 1.5))
    assert [start.label for start in kept] == ["", "@1.5"]
    assert len(notes) == 1
    assert reason in notes[0]


def test_a_warm_start_between_frames_takes_the_earlier_one_and_says_so():
    kept, notes = starts(np.arange(11) * 0.3, 2, (1.0,))
    assert kept[1] == Start("@1", 3)
    assert "starts at 0.9" in notes[0]


def test_cases_too_short_for_any_forecast():
    with pytest.raises(UsageError, match="context of 21"):
        starts(TIMES, 21)
    assert starts(TIMES, 20)[0] == (Start("", 19),)


def test_times_come_from_the_field_or_the_step(make_dataset):
    dataset = make_dataset()
    assert np.array_equal(frame_times(dataset), dataset.arrays["times"][0])
    del dataset.schema["times"]
    dataset.geometry["step"] = 0.5
    assert np.array_equal(frame_times(dataset), np.arange(21) * 0.5)


def test_cases_on_different_time_axes_are_refused_by_name(make_dataset):
    dataset = make_dataset()
    dataset.arrays["times"][3, -1] += 1
    with pytest.raises(DataError, match="100 and 103"):
        frame_times(dataset)
    with pytest.raises(DataError, match="no case"):
        frame_times(make_dataset(cases=0))


def test_the_context_holds_what_was_and_nothing_else(make_dataset):
    dataset = make_dataset(temperature=[float(case) for case in range(8)], name=["x"] * 8)
    dataset.schema["mask"] = dataset.schema["spin"]
    dataset.arrays["mask"] = dataset.arrays["spin"] > 0.5
    seen = context(dataset, [105, 101], Start("", 3))
    assert set(seen.fields) == {"rho", "spin"}
    assert np.array_equal(seen.fields["rho"], dataset.arrays["rho"][[5, 1], :4])
    assert np.array_equal(seen.mask, dataset.arrays["mask"][[5, 1], :4])
    assert np.array_equal(seen.times, dataset.arrays["times"][0, :4])
    assert seen.step == 0.1
    assert {name: array.tolist() for name, array in seen.parameters.items()} == {"temperature": [5.0, 1.0]}
    assert all(array.base is None for array in (*seen.fields.values(), seen.times, seen.mask))


def test_forecasts_come_in_batches_and_in_order(make_dataset):
    dataset, model = make_dataset(cases=7), Last()
    parts = list(forecast(model, dataset, Start("", 3), batch_cases=3))
    assert [cases for cases, _ in parts] == [(100, 101, 102), (103, 104, 105), (106,)]
    together = np.concatenate([fields["rho"] for _, fields in parts])
    assert np.array_equal(together, np.repeat(dataset.arrays["rho"][:, 3:4], 17, axis=1))
    [(_, fields)] = forecast(model, dataset, Start("", 3), 5)
    assert fields["rho"].shape == (7, 5, 3, 2)


@pytest.mark.parametrize("model", [Last(), Peeking()])
def test_a_forecaster_cannot_see_the_future(make_dataset, model):
    dataset, start = make_dataset(), Start("@1", 10)
    [(_, as_it_was)] = forecast(model, dataset, start)
    [(_, otherwise)] = forecast(model, dataset.changed_after(start.index), start)
    assert np.array_equal(as_it_was["rho"], otherwise["rho"])
    [(_, past_changed)] = forecast(model, dataset.changed_after(start.index - 1), start)
    assert not np.array_equal(as_it_was["rho"], past_changed["rho"])


def test_an_oracle_is_given_the_truth_after_the_start(make_dataset):
    dataset, oracle = make_dataset(), Truth()
    assert isinstance(oracle, Oracle)
    assert not isinstance(oracle, Forecaster)
    [(cases, fields)] = forecast(oracle, dataset, Start("", 3), 6)
    assert np.array_equal(fields["rho"], dataset.arrays["rho"][:, 4:10] + 1)
    assert np.array_equal(fields["rho"], truth(dataset, cases, Start("", 3), 6)["rho"] + 1)
    assert oracle.seen[0].frames == 4


def test_a_frame_that_was_not_put_out_is_an_error_that_names_it(make_dataset):
    def forget(array):
        array[2, 4, 1, 1] = np.nan
        return array

    with pytest.raises(SurrogateError, match=r"forgetful: .*'rho' for case 102, frame 5 "):
        list(forecast(Last(answer=forget), make_dataset(), Start("", 3), name="forgetful"))


def test_a_diverged_forecast_is_no_error(make_dataset):
    def explode(array):
        return array * np.full(array.shape, 1e200) * 1e200

    [(_, fields)] = forecast(Last(answer=explode), make_dataset(), Start("", 3))
    assert np.isinf(fields["rho"]).all()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda array: array[:, :-1], r"\(8, 16, 3, 2\)"),
        (lambda array: array[:-1], r"\(7, 17, 3, 2\)"),
        (lambda array: array.astype(complex), "complex128"),
        (lambda array: array.astype(object), "object"),
    ],
)
def test_a_forecast_of_the_wrong_shape_or_type_is_an_error(make_dataset, answer, message):
    with pytest.raises(SurrogateError, match=message):
        list(forecast(Last(answer=answer), make_dataset(), Start("", 3)))


def test_a_forecast_without_a_target_is_an_error(make_dataset):
    dataset = make_dataset()
    dataset.targets = ("rho", "spin")
    with pytest.raises(SurrogateError, match="Last: the forecast has no field 'spin'"):
        list(forecast(Last(), dataset, Start("", 3)))

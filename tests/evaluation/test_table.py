import pytest
from pydantic import ValidationError

from emulant.evaluation.table import EvaluationTable, as_text


def test_a_study_may_leave_everything_out():
    table = EvaluationTable()
    assert table.context_frames is None
    assert table.warm_starts == (1.0,)
    assert table.resamples >= 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {"context_frames": 0},
        {"warm_starts": (0.0,)},
        {"warm_starts": (1.0, 1.0000001)},
        {"horizons": ()},
        {"horizons": (0.5, 0.5)},
        {"horizons": (float("inf"),)},
        {"resamples": 999},
        {"confidence": 1.0},
        {"batch_cases": 0},
        {"resample": 2000},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        EvaluationTable(**wrong)


def test_times_are_written_without_rounding_noise():
    assert as_text(0.1 + 0.2) == "0.3"
    assert as_text(1.0) == "1"

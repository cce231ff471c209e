"""The figure of a training: what is read, what is drawn, which epoch is marked."""

import numpy as np
import pytest

from emulant.errors import DataError
from emulant.reporting.curves import Curves, overlaid, read_curves, training
from emulant.reporting.style import LIGHT

ROWS = """epoch,step,train_loss,validation_loss,validation_vpt,train_max_a,train_a,validation_a,train_b,learning_rate
1,10,8.0,,,3.0,0.5,,0.0,0.1
2,20,4.0,5.0,0.25,3.0,0.25,0.5,0.0,0.1
3,30,1.0,2.0,0.75,3.0,0.125,0.25,0.0,0.1
"""


@pytest.fixture
def curves(tmp_path):
    (tmp_path / "metrics.csv").write_text(ROWS)
    return read_curves(tmp_path / "metrics.csv", kept=2)


def test_parts_are_told_from_what_stays_in_the_file(curves):
    assert curves.parts == ["vpt", "a"]  # max_a is the largest of a, b is nothing throughout
    np.testing.assert_array_equal(curves.of("loss")["training"], [8.0, 4.0, 1.0])
    np.testing.assert_array_equal(curves.of("loss")["validation"], [np.nan, 5.0, 2.0])
    assert list(curves.of("vpt")) == ["validation"]


def test_every_curve_is_drawn_and_the_kept_epoch_is_marked(curves):
    drawing = training("net", {"net": "surrogate", "drift": "baseline"}, curves)
    loss, *parts = drawing.draw(LIGHT).axes
    assert [axes.get_title(loc="left") for axes in parts] == ["vpt", "a"]
    drawn = {line.get_label(): line.get_xydata() for line in loss.lines}
    np.testing.assert_array_equal(drawn["training"], [[1, 8], [2, 4], [3, 1]])
    np.testing.assert_array_equal(drawn["validation"], [[2, 5], [3, 2]])
    assert any(list(line.get_xdata()) == [2, 2] for line in loss.lines)
    assert [text.get_text() for text in loss.texts] == ["kept: epoch 2"]
    assert "epoch 2 kept" in drawing.alt
    assert "validation loss from 5.00 to 2.00" in drawing.alt
    assert drawing.section == "training"


def test_nothing_is_marked_where_nobody_knows_the_epoch(curves):
    unknown = Curves(curves.epochs, curves.columns)
    drawing = training("net", {"net": "surrogate"}, unknown)
    assert not drawing.draw(LIGHT).axes[0].texts
    assert "kept" not in drawing.caption + drawing.alt


def test_losses_over_a_factor_of_three_are_logarithmic_and_others_are_not(curves):
    loss, vpt, _ = training("net", {"net": "surrogate"}, curves).draw(LIGHT).axes
    assert loss.get_yscale() == "log"
    ticks = [float(label.get_text()) for label in loss.get_yticklabels()]
    assert all(1 <= tick <= 8 for tick in ticks)
    assert len(ticks) >= 3
    assert vpt.get_yscale() == "linear"


def test_runs_are_overlaid_by_what_was_validated(curves):
    untold = Curves(curves.epochs, {"train_loss": curves.columns["train_loss"]})
    drawing = overlaid({"one": curves, "two": untold}, "net")
    lines = {line.get_label(): line.get_ydata() for line in drawing.draw(LIGHT).axes[0].lines}
    np.testing.assert_array_equal(lines["one"], [5.0, 2.0])
    np.testing.assert_array_equal(lines["two"], [8.0, 4.0, 1.0])
    assert "one 2.00, two 1.00" in drawing.alt


@pytest.mark.parametrize("text", ["", "epoch,train_loss\n1,much\n", "a,b\n1,2\n"])
def test_what_is_no_training_is_a_data_error(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(DataError, match="not the curves of a training"):
        read_curves(tmp_path / "metrics.csv")

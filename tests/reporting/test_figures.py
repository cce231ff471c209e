"""Figures: deterministic bytes, both themes, looks, limits and labels."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import minimize

from emulant.dataset.seams import Metric
from emulant.reporting.axes import spread
from emulant.reporting.boards import Meaning, boards, described
from emulant.reporting.figures import Picture, histogram, singular_values, time_series
from emulant.reporting.ladders import forest, lead_time
from emulant.reporting.style import DARK, LIGHT, THEMES, looks
from emulant.reporting.verdict import Headline


def test_every_figure_is_written_light_dark_and_png(run: Path, pictures: list[Picture]) -> None:
    assert {picture.section for picture in pictures} == {"leaderboard", "lead_time", "groups", "system"}
    for picture in pictures:
        ElementTree.fromstring((run / picture.light).read_text())
        assert DARK.ink in (run / picture.dark).read_text()
        assert DARK.ink not in (run / picture.light).read_text()
        with Image.open(run / picture.png) as image:
            assert np.asarray(image.convert("L")).std() > 5
        assert all((picture.title, picture.caption, picture.alt))


def test_equal_data_give_equal_bytes(tmp_path: Path) -> None:
    drawing = singular_values(np.exp(-np.arange(30) / 5), 12, 0.99)
    first, second = (drawing.save(tmp_path / name, "energy") for name in ("a", "b"))
    assert first == second
    for place in (first.light, first.dark, first.png):
        assert (tmp_path / "a" / place).read_bytes() == (tmp_path / "b" / place).read_bytes()


def test_a_model_keeps_its_look_whatever_stands_beside_it_in_a_figure() -> None:
    models = {"b": "surrogate", "a": "surrogate", "drift": "baseline", "ceiling": "oracle"}
    turned = dict(reversed(models.items()))
    for theme in THEMES:
        look = looks(models, theme)
        assert look == looks(turned, theme)
        assert len({(each.color, each.marker) for each in look.values()}) == len(models)
        assert look["a"].dashes == "solid"
        assert look["drift"].dashes != "solid"


def _luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", THEMES, ids=("light", "dark"))
def test_curves_stand_out_from_the_paper(theme: object) -> None:
    theme = LIGHT if theme is LIGHT else DARK
    for colour in (*theme.surrogates, *theme.baselines, theme.oracle, theme.muted):
        brighter, darker = sorted((_luminance(colour), _luminance(theme.paper)), reverse=True)
        assert (brighter + 0.05) / (darker + 0.05) >= 3.0, colour


def test_a_diverging_model_does_not_squash_the_rest(metrics: pl.DataFrame, meanings: dict[str, Metric]) -> None:
    board = next(board for board in boards(metrics) if board.name == "test_long")
    axes = lead_time(board, Headline("r2", described(meanings)["r2"])).draw(LIGHT).axes[0]
    low, high = axes.get_ylim()
    assert -2.0 < low < -0.6
    assert 1.0 <= high < 1.2
    assert any(text.get_text() == "pod_mvar ↓ -1.2e9" for text in axes.texts)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_are_moved_apart_and_stay_in_order_and_inside(heights: list[float]) -> None:
    wanted = np.array(heights)
    moved = spread(wanted, 0.1)
    assert np.all(np.diff(np.sort(moved)) >= 0.1 - 1e-9)
    assert moved.min() >= -1e-9
    assert moved.max() <= 1 + 1e-9
    order = np.argsort(wanted, kind="stable")
    assert np.all(np.diff(moved[order]) > 0)


def test_labels_are_moved_as_little_as_possible() -> None:
    wanted, gap = np.array([0.02, 0.05, 0.06, 0.7]), 0.1
    constraints = [{"type": "ineq", "fun": lambda y, i=i: y[i + 1] - y[i] - gap} for i in range(3)]
    best = minimize(lambda y: np.sum((y - wanted) ** 2), wanted, bounds=[(0, 1)] * 4, constraints=constraints)
    assert spread(wanted, gap) == pytest.approx(best.x, abs=1e-5)


def test_a_histogram_counts_every_defined_case() -> None:
    drawing = histogram({"a": [0.1, 0.2, 0.3, np.inf, np.nan]}, {"a": "surrogate"}, "rmse", bins=5)
    patch = drawing.draw(LIGHT).axes[0].patches[0]
    tops = patch.get_data().values
    assert "`a` 1" in drawing.caption
    counts = -tops / 0.85 * int(drawing.caption.split("holds ")[1].split()[0])
    assert np.sum(counts) == pytest.approx(4)


def test_the_energy_of_the_kept_modes_is_told() -> None:
    assert "first 2 modes hold 0.962 of the energy" in singular_values([4.0, 3.0, 1.0], 2).caption


def test_a_time_series_speaks_of_a_band_only_if_there_is_one() -> None:
    times = np.arange(5.0)
    assert "Band" in time_series(times, {"a": np.ones((3, 5))}, "order").caption
    assert "Band" not in time_series(times, {"a": np.ones(5)}, "order").caption


def test_the_dark_figure_is_what_drawing_in_the_dark_theme_gives(tmp_path: Path) -> None:
    """It is made from the light one by exchanging colours: nothing else of a drawing may depend on the theme."""
    models = {"a": np.arange(9.0), "b": np.arange(9.0) ** 1.1, "drift": np.arange(9.0) + 2, "ceiling": np.ones(9)}
    kinds = {"a": "surrogate", "b": "surrogate", "drift": "baseline", "ceiling": "oracle"}
    drawings = [
        histogram(models, kinds, "error"),
        singular_values(np.exp(-np.arange(30) / 5), 12, 0.99),
        time_series(np.arange(9.0), models, "order"),
    ]
    for drawing in drawings:
        made = drawing.save(tmp_path, "x")
        with mpl.rc_context(DARK.rc):  # type: ignore[arg-type]
            drawing.draw(DARK).savefig(
                tmp_path / "dark.svg", metadata={"Date": None, "Creator": None}, facecolor="none"
            )
        exchanged, drawn = ((tmp_path / name).read_text() for name in (made.dark, "dark.svg"))
        colors = re.compile("#[0-9a-f]{6}")
        assert colors.findall(exchanged) == colors.findall(drawn)
        names = re.compile(r"[a-z][0-9a-f]{10}")  # hashes of content, colours included
        assert names.sub("", exchanged) == names.sub("", drawn)


def test_where_there_is_no_perfect_score_the_best_model_is_never_cut_off() -> None:
    rows = [
        ("best", "surrogate", 9.0),
        ("poor", "surrogate", -50.0),
        ("still", "baseline", 1.0),
        ("line", "baseline", 2.0),
    ]
    columns = ("split", "model", "kind", "metric", "group", "horizon", "value", "ci_low", "ci_high", "n")
    frame = pl.DataFrame(
        [("test", name, kind, "vpt", "all", "all", value, value - 0.5, value + 0.5, 20) for name, kind, value in rows],
        schema=list(columns),
        orient="row",
    )
    by = Headline("vpt", Meaning("s", "valid time", "higher", np.inf))
    left, right = forest(boards(frame)[0], by).draw(LIGHT).axes[0].get_xlim()
    assert right > 9.5
    assert left > -5

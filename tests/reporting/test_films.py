"""Films: frames, sizes, scales, bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from emulant.errors import UsageError
from emulant.reporting.films import (
    DIFFERENCE,
    FIELD,
    LEVELS,
    MISSING,
    Panel,
    Reel,
    comparison,
    film,
    limits,
    palette,
)
from emulant.reporting.frames import Film

TIMES = np.arange(6) * 0.1


def _reel(truth: np.ndarray, forecast: np.ndarray) -> Reel:
    return Reel(comparison(truth, forecast, "hero"), TIMES, 2, "ring")


def _ramp() -> np.ndarray:
    """(6, 8, 12), rising with y and with time."""
    return np.linspace(0, 1, 8)[:, None] * np.ones(12) * np.linspace(0.5, 1, 6)[:, None, None]


def test_films_decode_with_every_frame_and_stay_small(run: Path, films: list[Film]) -> None:
    for each in films:
        with Image.open(run / each.file) as moving:
            assert moving.n_frames == 21
            assert moving.info["loop"] == 0
        with Image.open(run / each.still) as still:
            assert still.size[0] > 3 * 192
        assert (run / each.file).stat().st_size < 600_000
        assert "21 frames, 0 to 2.00 s, the first 4 given" in each.alt


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    reel = _reel(_ramp(), 0.9 * _ramp())
    first, second = (film(reel, tmp_path / name, "x") for name in "ab")
    assert first == second
    for place in (first.file, first.still):
        assert (tmp_path / "a" / place).read_bytes() == (tmp_path / "b" / place).read_bytes()


def _pixels(tmp_path: Path, reel: Reel) -> np.ndarray:
    """The still, as palette indices."""
    with Image.open(tmp_path / film(reel, tmp_path, "x").still) as still:
        return np.asarray(still).astype(int)


def test_y_points_upwards_and_the_error_has_its_sign(tmp_path: Path) -> None:
    indices = _pixels(tmp_path, _reel(_ramp(), _ramp() + 0.3))
    panel = indices[25 : 25 + 128, 10 : 10 + 192]
    assert panel[:5].min() > panel[-5:].max()
    assert np.all((panel >= FIELD) & (panel < FIELD + LEVELS))
    error = indices[25 : 25 + 128, 10 + 2 * 202 : 10 + 2 * 202 + 192]
    assert np.all(error > DIFFERENCE + LEVELS // 2)
    assert np.all(error < DIFFERENCE + LEVELS)


def test_no_error_is_the_middle_of_its_scale_and_missing_is_grey(tmp_path: Path) -> None:
    forecast = _ramp()
    forecast[:, :2] = np.nan
    indices = _pixels(tmp_path, _reel(_ramp(), forecast))
    error = indices[25 : 25 + 128, 10 + 2 * 202 : 10 + 2 * 202 + 192]
    assert np.all(error[:64] == DIFFERENCE + LEVELS // 2)
    assert np.array_equal(palette()[error[0, 0]], mpl.colormaps["berlin"](0.5, bytes=True)[:3])
    assert np.all(error[-20:] == MISSING)


def test_a_diverging_forecast_saturates_instead_of_setting_the_scale() -> None:
    wild = _ramp() * 1e9
    wild[-1] = np.inf
    panels = comparison(_ramp(), wild, "hero")
    assert limits(panels) == pytest.approx((0.0, 1.0), abs=0.01)
    assert limits([Panel("flat", np.zeros((2, 4, 4)))]) == (0.0, 1.0)


def test_a_diverging_forecast_can_be_filmed(tmp_path: Path) -> None:
    wild = _ramp() * 1e9
    wild[-1] = np.inf
    with Image.open(tmp_path / film(_reel(_ramp(), wild), tmp_path, "x").file) as moving:
        assert moving.n_frames == 6


def test_held_pixels_are_never_more_than_a_level_off(tmp_path: Path, blobs: Callable[[float], np.ndarray]) -> None:
    truth = blobs(1.0)
    reel = Reel([Panel("truth", truth)], np.arange(21) * 0.1, 4, "ring")
    kept = film(reel, tmp_path, "x")
    wanted = np.clip(truth[-1], 0, limits(reel.panels)[1])
    with Image.open(tmp_path / kept.file) as moving:
        moving.seek(20)
        colours = np.asarray(moving.convert("RGB")).astype(int)[25 : 25 + 192, 10 : 10 + 192]
    scale = palette()[FIELD : FIELD + LEVELS].astype(int)
    levels = np.abs(colours[:, :, None] - scale[None, None]).sum(axis=3).argmin(axis=2)
    # The middle pixel of every cell of 3 x 3 shows the cell's own value.
    shown = np.flipud(levels[1::3, 1::3])
    assert np.abs(shown - np.clip(wanted / wanted.max() * LEVELS, 0, LEVELS - 1).astype(int)).max() <= 1


def test_mp4_has_every_frame(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    made = film(_reel(_ramp(), 0.9 * _ramp()), tmp_path, "x", format="mp4", fps=5)
    again = film(_reel(_ramp(), 0.9 * _ramp()), tmp_path / "again", "x", format="mp4", fps=5)
    assert (tmp_path / made.file).read_bytes() == (tmp_path / "again" / again.file).read_bytes()
    decoded = subprocess.run(
        [ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / made.file), "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"frame=\s*(\d+)", decoded.stderr)[-1] == "10"


def test_mp4_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"pip install 'emulant\[video\]'"):
        film(_reel(_ramp(), _ramp()), tmp_path, "x", format="mp4")

"""What a pendulum's report shows: cases chosen by rule, errors against Lyapunov times, the map of chaos, the films."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from emulant.runs import Run
from emulant.systems.pendulum.chosen import best_median_worst
from emulant.systems.pendulum.files import COLUMNS
from emulant.systems.pendulum.films import FINE, bobs, refined
from emulant.systems.pendulum.growth import power_spectrum, quartiles
from emulant.systems.pendulum.kept import Kept, kept_forecasts
from emulant.systems.pendulum.landscape import exponent_map, largest_exponents
from emulant.systems.pendulum.lyapunov import spectrum
from emulant.systems.pendulum.portraits import wrapped

ALIKE = np.array([1.0, 1.0, 1.0, 1.0, 9.81])
OURS = {"growth_chaotic", "growth_regular", "trajectories", "phase", "energy", "spectra", "exponent_map"}


def test_a_report_has_the_figures_and_two_films_and_stays_small(small_run: Path) -> None:
    report = json.loads((small_run / "report.json").read_text())
    drawn = {Path(picture["png"]).stem for picture in report["pictures"]}
    assert drawn >= OURS | {"exponents", "training_lstm"}
    assert len(report["films"]) == 2
    assert (small_run / "report.html").stat().st_size < 5_000_000
    rules = [
        picture["caption"] for picture in report["pictures"] if Path(picture["png"]).stem in ("trajectories", "phase")
    ]
    assert all("Best, median and worst" in rule and "`lstm`" in rule for rule in rules)


# -- the rule -----------------------------------------------------------------------------------------------------


def scored(values: dict[int, tuple[str, float]]) -> Any:
    rows = [
        {"split": "test", "model": "m", "start": "", "case": c, "family": f, "metric": "vpt_nrse_0.4", "value": v}
        for c, (f, v) in values.items()
    ]
    return SimpleNamespace(case_scores=pl.DataFrame(rows))


def test_best_median_and_worst_are_of_the_chaotic_cases() -> None:
    values = {0: ("regular", 9.0), 1: ("chaotic", 2.0), 2: ("chaotic", 5.0), 3: ("chaotic", 1.0), 4: ("regular", 0.0)}
    rule, cases = best_median_worst(scored(values), "m", "test")
    assert cases == {"best": 2, "median": 1, "worst": 3}
    assert "chaotic cases" in rule


def test_without_chaos_all_cases_count_and_none_is_shown_twice() -> None:
    rule, cases = best_median_worst(scored({7: ("regular", 1.0)}), "m", "test")
    assert cases == {"best": 7}
    assert "worst of the cases" in rule


# -- errors and spectra -------------------------------------------------------------------------------------------


def test_errors_are_laid_on_each_cases_own_lyapunov_times() -> None:
    """Errors that grow as exp(λt) fall onto one curve, whatever λ is."""
    rates, lead = np.array([0.5, 1.0, 2.0]), 0.01 * np.arange(1, 801)
    states = np.zeros((3, 800, 4))
    states[..., 3] = 1e-4 * np.exp(rates[:, None] * lead)
    cases = pl.DataFrame({"case": [0, 1, 2], "group": "chaotic", "lyapunov_1": rates})
    sigma = np.full(6, 1 / np.sqrt(6))
    clock, curves = quartiles(Kept(cases, lead, np.zeros_like(states), states), sigma, in_lyapunov_times=True)
    assert clock[-1] == pytest.approx(8.0)
    inside = (clock > 0.05) & (clock < 4.0)
    for curve in curves:
        assert curve[inside] == pytest.approx(1e-4 * np.exp(clock[inside]), rel=1e-3)


def test_a_spectrum_has_its_peak_and_its_power() -> None:
    times = 0.05 * np.arange(400)
    signals = np.stack([3 * np.sin(2 * np.pi * 2.0 * times), np.cos(2 * np.pi * 4.5 * times)], axis=-1)[None]
    frequencies, power = power_spectrum(signals, 0.05)
    assert frequencies[power.argmax(axis=0)] == pytest.approx([2.0, 4.5])
    assert power.sum(axis=0) * frequencies[1] == pytest.approx([4.5, 0.5], rel=0.01)


def test_kept_forecasts_lie_beside_their_truth(small_run: Path) -> None:
    run = Run.open(small_run)
    kept = kept_forecasts(run, "persistence", "test")
    assert kept.states.shape == kept.truth.shape == (8, 61, 4)
    given = run.dataset("test").read(["state"])["state"][:, 19]
    assert np.array_equal(kept.states, np.repeat(given[:, None], 61, axis=1))
    assert np.array_equal(kept.truth[:, 0], run.dataset("test").read(["state"])["state"][:, 20])
    assert kept.lead[0] == 0.05
    assert len(kept.only("chaotic").cases) + len(kept.only("regular").cases) == 8


def test_angles_are_wrapped_to_half_a_turn() -> None:
    assert wrapped(np.array([0.0, np.pi, 1.5 * np.pi, -np.pi, 7.0])) == pytest.approx(
        [0.0, np.pi, -0.5 * np.pi, np.pi, 7.0 - 2 * np.pi]
    )


# -- the map ------------------------------------------------------------------------------------------------------


def test_two_trajectories_give_the_exponent_of_the_tangent_dynamics(pendulums: Callable[..., Any]) -> None:
    states, parameters = pendulums(6, seed=3)
    ours, theirs = largest_exponents(states, parameters, 400.0), spectrum(states, parameters, 400.0)
    scatter = 4 * np.nan_to_num(theirs.standard_error) + 0.03
    assert np.all(np.abs(ours - theirs.exponents[:, 0]) < scatter)


def test_the_map_is_its_own_mirror_image_and_quiet_in_the_middle() -> None:
    found = exponent_map(ALIKE, 50.0, points=12)
    assert np.array_equal(found, found[::-1, ::-1])
    assert np.abs(found[5:7, 5:7]).max() < 0.1
    assert found[0, 0] > 0.5
    corner = np.array([[np.pi * 11 / 12, -np.pi * 7 / 12, 0.0, 0.0]])
    assert found[2, 11] == pytest.approx(largest_exponents(corner, ALIKE[None], 50.0)[0], rel=1e-3)


# -- films --------------------------------------------------------------------------------------------------------


def test_between_samples_a_path_is_the_cubic_with_their_velocities() -> None:
    times = 0.1 * np.arange(6)
    angles = np.stack([times**3 - times, 2 - times**2], axis=1)
    velocities = np.stack([3 * times**2 - 1, -2 * times], axis=1)
    fine = refined(np.concatenate([angles, velocities], axis=1), 0.1)
    between = 0.1 * np.arange(5 * FINE + 1) / FINE
    assert fine == pytest.approx(np.stack([between**3 - between, 2 - between**2], axis=1), abs=1e-12)


def test_bobs_hang_below_and_their_rods_have_their_lengths() -> None:
    joints = bobs(np.array([[0.0, 0.0], [np.pi / 2, np.pi]]), (1.0, 3.0))
    assert joints[0] == pytest.approx(np.array([[0.0, 0.25], [0.0, 1.0]]))
    assert joints[1] == pytest.approx(np.array([[0.25, 0.0], [0.25, -0.75]]), abs=1e-12)


def rendered(emulant: Any, run: Path, *words: Any) -> tuple[int, list[Path], str]:
    code, out, told = emulant("render", run, *words)
    return code, [Path(line) for line in out.split()], told


def test_render_draws_the_case_that_is_asked_for_in_real_time(emulant: Any, small_run: Path) -> None:
    code, files, _ = rendered(emulant, small_run, "--case", 3, "--fps", 10, "--trail", 0.5)
    assert code == 0
    assert len(files) == 1
    with Image.open(files[0]) as film:
        assert film.n_frames == 41  # 81 samples at dt = 0.05 s, 10 frames per second
    content = files[0].read_bytes()
    assert rendered(emulant, small_run, "--case", 3, "--fps", 10, "--trail", 0.5)[0] == 0
    assert files[0].read_bytes() == content


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--case", 99), "has cases 0 to 7"),
        (("--split", "validation"), "the run has test"),
        (("--surrogate", "gru"), "has no surrogate `gru`"),
        (("--fps", 0), "--fps 0"),
        (("--format", "avi"), "--format avi"),
    ],
)
def test_render_refuses(emulant: Any, small_run: Path, words: tuple[Any, ...], told: str) -> None:
    code, _, said = rendered(emulant, small_run, *words)
    assert code == 2
    assert told in said


def test_a_forecast_without_numbers_leaves_its_panel_empty() -> None:
    states = np.full((2, 4), np.inf)
    assert not np.isfinite(bobs(refined(states, 0.1), (1.0, 1.0))).any()


# -- at the command line ------------------------------------------------------------------------------------------


def test_the_terminal_shows_the_chosen_metrics_and_json_all(emulant: Any, small_run: Path) -> None:
    code, out, _ = emulant("evaluate", small_run)
    assert code == 0
    head = next(line for line in out.splitlines() if line.startswith("model"))
    assert "vpt_nrse_0.4_lyapunov" in head
    assert "rmse_theta1" not in head
    scores = json.loads(emulant("evaluate", small_run, "--json")[1])
    assert all("rmse_theta1" in row for row in scores)


def test_one_split_is_exported_as_one_file(emulant: Any, small_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "one.parquet"
    words = ["export", small_run / "training", "--format", "parquet", "-o", target]
    assert emulant(*words)[:2] == (0, f"{target}: 1 file written\n")
    table, content = pl.read_parquet(target), target.read_bytes()
    assert table.columns == list(COLUMNS)
    assert len(table) == 24 * 81
    assert table.filter(sim_id="training_000005")["theta1"].to_list() == pytest.approx(
        Run.open(small_run).dataset("training").read(["state"], [5])["state"][0, :, 0].tolist(), rel=1e-15
    )
    target.write_bytes(b"somebody's work")
    code, _, told = emulant(*words)
    assert (code, target.read_bytes()) == (2, b"somebody's work")
    assert "--overwrite" in told
    assert emulant(*words, "--overwrite")[0] == 0
    assert target.read_bytes() == content
    assert emulant("export", small_run, "--format", "parquet", "-o", tmp_path / "all.parquet")[0] == 2

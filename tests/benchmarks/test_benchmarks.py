"""The benchmarks' machinery at tiny sizes: their clocks, their tables, and that both sides compute the same."""

from __future__ import annotations

import importlib
import importlib.util
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("table", "timing", "vicsek_step", "density", "pod", "mvar", "leaderboard", "pendulum", "whole_run", "__main__")


@pytest.fixture(scope="module")
def bench() -> Any:
    """The modules of benchmarks/, which is no part of the package."""
    for peer in ("KDEpy", "opinf", "pydmd", "sklearn", "statsmodels"):
        pytest.importorskip(peer, reason="the extra `bench` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield SimpleNamespace(**{name: importlib.import_module(f"benchmarks.{name}") for name in NAMES})


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_contest_gives_seconds_per_call_and_the_ratio(bench: Any) -> None:
    found = bench.timing.contest({"ours": lambda: spin(0.002), "peer": lambda: spin(0.006)}, seconds=0.0, rounds=(3, 3))
    assert found.median("ours") == pytest.approx(0.002, rel=0.2)
    assert found.ratio("peer") == pytest.approx(3.0, rel=0.2)
    assert len(found.samples["peer"]) == 3


def test_ratio_is_taken_within_rounds(bench: Any) -> None:
    slowed = bench.timing.Contest({"ours": [1.0, 10.0, 2.0], "peer": [3.0, 30.0, 6.0]})
    assert slowed.ratio("peer") == 3.0
    assert slowed.said("ours") == "2.00 s (min 1.00 s)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.345, "12.3 s"), (0.4, "400 ms"), (1.1e-3, "1.10 ms"), (2.7e-6, "2.70 µs"), (0.0, "0.00 µs")],
)
def test_durations(bench: Any, seconds: float, text: str) -> None:
    assert bench.timing.duration(seconds) == text


def test_peak_memory_counts_what_a_call_adds(bench: Any) -> None:
    snapshots = np.random.default_rng(0).normal(size=(400, 4096))
    peak = bench.timing.peak_memory(bench.pod.missed, (np.eye(2), snapshots[:3, :2]), (np.eye(4096)[:, :2], snapshots))
    assert np.isnan(peak) or 20 < peak < 60  # `missed` holds up to three times the 12.5 MB of the snapshots


def test_the_table_leaves_out_empty_columns_and_shows_what_is_missed(bench: Any) -> None:
    row = bench.table.Row
    text = bench.table.comparison([row("a", "1 ms", "b 2 ms", 2.0, "≥ 3 x", False), row("c", "4 ms")])
    lines = text.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["what", "ours", "peer", "ratio", "target", "met"]
    assert "**no**" in lines[2]
    assert len({len(line) for line in lines}) == 1


def test_vicsek_recipe_and_kernel_take_the_same_steps(bench: Any) -> None:
    setting = bench.vicsek_step.Setting(200, 12.0, 1.5, 4, 2, least_ratio=0.1, least_rate=1.0)
    speed, rate = bench.vicsek_step.rows(0.0, [setting])
    assert speed.met
    assert rate.met
    apart = [float(number) for number in re.findall(r"\d+e-?\d+", speed.accuracy)]
    assert len(apart) == 2
    assert max(apart) < 1e-11


def test_vicsek_recipes_agree(bench: Any) -> None:
    step = bench.vicsek_step
    system, rng = step.swarm(300, 10.0, 1.2, 1), np.random.default_rng(1)
    positions, headings = rng.uniform(0, 10, (300, 2)), rng.normal(size=(300, 2))
    np.testing.assert_allclose(
        step.matrix_sums(positions, headings, system), step.pair_sums(positions, headings, system), atol=1e-12
    )


def test_density_peers_estimate_the_same_field(bench: Any) -> None:
    setting = bench.density.Setting(60, 32, 3.0, 2, 1e-10, least_ratio=0.01, most_seconds=1.0)
    *peers, error, seconds = bench.density.rows(0.0, [setting])
    assert error.met
    assert seconds.met
    theirs = {row.peer.split(" (")[0].rsplit(" ", 2)[0]: float(row.accuracy.split()[-1]) for row in peers}
    assert theirs["KDEpy with images"] < 0.03
    assert theirs["gaussian_filter"] < 0.1


def test_images_bring_back_what_leaves_the_box(bench: Any) -> None:
    density = bench.density
    table, box = density.DensityTable(nx=32, ny=32, bandwidth=3.0), density.Box(15.0, 15.0, True)
    points = np.random.default_rng(0).uniform(0, 15, (500, 2))
    truth = density.exact(points, table, box)
    error = [
        np.linalg.norm(density.KDEpyGrid(table, box, images=images)(points) - truth) / np.linalg.norm(truth)
        for images in (False, True)
    ]
    assert error[0] > 0.1
    assert error[1] < 0.01


def test_pod_bases_are_as_good_as_the_best(bench: Any) -> None:
    found = list(bench.pod.rows(0.0, cases=3, cells=16, rank=5))
    assert len(found) == 5
    for row in (found[0], found[2]):
        ours, peer = (float(number) for number in re.findall(r"-?\d+e[-+]\d+", row.accuracy))
        assert abs(ours) < 1e-9
        assert abs(peer) < 1e-3


def test_the_stream_is_read_twice_and_agrees(bench: Any) -> None:
    seconds, _, error = bench.pod.streamed(300, 32, 4)
    assert seconds > 0
    assert error < 1e-9


def test_windows_across_runs_cost_var_the_truth(bench: Any) -> None:
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    runs = np.empty((20, 6, 2))
    runs[:, 0] = np.random.default_rng(0).normal(size=(20, 2))
    for t in range(1, 6):
        runs[:, t] = runs[:, t - 1] @ turn.T
    own = bench.mvar.MVAR.fit(runs, 1, 1e-9).matrices
    np.testing.assert_allclose(own, [turn], atol=1e-6)
    assert bench.mvar.one_step_r2(own, runs) == pytest.approx(1.0)
    assert bench.mvar.one_step_r2(bench.mvar.var(runs, 1), runs) < 0.999


def test_mvar_row(bench: Any) -> None:
    (row,) = bench.mvar.rows(0.0, cases=10, cells=16, rank=4, lag=2)
    assert row.met
    assert row.ratio > 0.1


def test_leaderboard_scores_everybody_on_a_small_task(bench: Any) -> None:
    small = [f"splits.{name}" for name in ("training=6", "test=4")]
    grid = ["density.nx=16", "density.ny=16", "density.bandwidth=1.5"]
    found = bench.leaderboard.scores(0, [*small, *grid], ranks=(3,))
    assert set(bench.leaderboard.RIVALS) < set(found)
    assert {"spectral", "pod_mvar", "persistence", "climatology", "drift"} < set(found)
    assert all(np.isfinite(score) and score <= 1 for name, score in found.items() if name in bench.leaderboard.RIVALS)
    assert found["spectral"] > max(found["persistence"], found["climatology"])


def test_pendulum_peers_solve_the_same_equations(bench: Any) -> None:
    """The rows tell how much of each is right at 10 s; numbers of regular cases must agree."""
    pendulum = bench.pendulum
    states, parameters = pendulum.starts(40)
    regular = np.flatnonzero(np.abs(states[:, :2]).max(axis=1) < 1.0)[:2]
    states, parameters = states[regular], parameters[regular]
    ours = pendulum.integrate(states, parameters, pendulum.FINE, trust=False).states
    assert np.abs(pendulum.with_scipy(states, parameters) - ours).max() < 1e-4
    if importlib.util.find_spec("numbalsoda"):
        for method in ("lsoda", "dop853"):
            assert np.abs(pendulum.numbalsoda_solver(method)(states, parameters) - ours).max() < 1e-4
    if importlib.util.find_spec("heyoka"):
        assert np.abs(pendulum.heyoka_solver(1e-12)(states, parameters) - ours).max() < 1e-6


def test_pendulum_rows(bench: Any) -> None:
    pendulum = bench.pendulum
    speed, trusted, *peers = pendulum.simulation(0.0, cases=16)
    assert "a core" in speed.ours
    assert "trusted to the end" in trusted.accuracy
    assert peers[0].ratio > 10
    assert next(pendulum.shards(0.0, (4, 5))).ratio > 0.3
    write, stored, windows = pendulum.storage(0.0, cases=20)
    assert float(stored.ours.split()[0]) < 20
    assert "Mrows/s" in write.ours
    assert "/s" in windows.ours
    assert next(pendulum.exponents(0.0, cases=4, time=5.0)).met


@pytest.mark.soak
def test_overhead_of_the_training_loop(bench: Any) -> None:
    lstm, mlp = bench.pendulum.overhead(0.0, steps=8)
    assert "%" in lstm.accuracy
    assert "ms" in mlp.accuracy


def test_stages_add_up(bench: Any) -> None:
    events = {"simulate": 2.0, "train spectral": 0.5, "train pod_mvar": 1.0, "evaluate drift": 0.25, "figures": 1.0}
    found = bench.whole_run.stages(events, 6.0)
    assert found["train"] == 1.5
    assert found["imports and the page"] == pytest.approx(1.25)
    assert found["in all"] == 6.0


def test_the_page_names_no_host_and_no_path(bench: Any) -> None:
    import platform

    section = bench.table.Section("Title", "How.", [bench.table.Row("a", "1 ms", target="< 2 ms", met=True)])
    text = bench.__main__.page([section], bench.timing.machine())
    assert "Targets: 1 of 1 met" in text
    assert str(ROOT) not in text
    assert platform.node() not in text

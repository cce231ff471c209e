"""`emulant validate` and bad input, as a user meets them: what is wrong is named, and the exit code says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pendulum_files import PARAMETERS, frame, simulate
from scipy.integrate import solve_ivp

from emulant import study as studies
from emulant.cli import main

Command = Callable[..., tuple[int, str, str]]
SMALL = ["--quiet", "--workers", "1", "--set", "splits.training=6", "--set", "splits.validation=2"]
SMALL += ["--set", "splits.test=4", "--set", "dataset.shard_cases=3"]
TERMS = ("coriolis1", "coriolis2", "weight1", "weight2")


def rates(y: np.ndarray, flipped: str = "") -> list[float]:
    """M q̈ = f with nothing equal to one; the sign of one term of the force may be wrong."""
    l1, l2, m1, m2, g = PARAMETERS.values()
    sign = {term: -1.0 if term == flipped else 1.0 for term in TERMS}
    s, c = np.sin(y[0] - y[1]), np.cos(y[0] - y[1])
    mass = np.array([[(m1 + m2) * l1**2, m2 * l1 * l2 * c], [m2 * l1 * l2 * c, m2 * l2**2]])
    force = [
        -sign["coriolis1"] * m2 * l1 * l2 * s * y[3] ** 2 - sign["weight1"] * (m1 + m2) * g * l1 * np.sin(y[0]),
        sign["coriolis2"] * m2 * l1 * l2 * s * y[2] ** 2 - sign["weight2"] * m2 * g * l2 * np.sin(y[1]),
    ]
    return [*y[2:], *np.linalg.solve(mass, force)]


def integrated(flipped: str = "", **settings: Any) -> pl.DataFrame:
    """The eleven columns of three pendulums, made by scipy."""
    starts = np.zeros((3, 4))
    starts[:, :2] = np.random.default_rng(4).uniform(0.5, 2.5, (3, 2))
    times = np.arange(41) * 0.05
    paths = [solve_ivp(lambda _, y: rates(y, flipped), (0, 2), start, t_eval=times, **settings).y.T for start in starts]
    return frame(np.stack(paths))


# -- files that emulant did not make ------------------------------------------------------------------------------


def test_sound_data_of_others_pass(emulant: Command, tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    integrated(rtol=1e-8, atol=1e-8).write_parquet(path)
    for target in (path, tmp_path):
        code, out, err = emulant("validate", target, "--deep", "2")
        assert code == 0, out + err
        assert "3 cases" in out
        assert "9.81 m/s² is assumed" in out
        assert "hashes are not compared" in out


def test_the_default_tolerance_of_scipy_fails(emulant: Command, tmp_path: Path) -> None:
    integrated().write_parquet(tmp_path / "theirs.parquet")
    code, out, _ = emulant("validate", tmp_path / "theirs.parquet")
    assert code == 1
    for sim in range(3):
        assert f"theirs.parquet: {sim}: equations: the step to t = " in out


def test_between_the_two_the_tolerance_decides(emulant: Command, tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    integrated(rtol=1e-6, atol=1e-6).write_parquet(path)
    assert emulant("validate", path, "--tolerance", "1e-7")[0] == 1
    assert emulant("validate", path, "--tolerance=1e-3")[0] == 0


@pytest.mark.parametrize("term", TERMS)
def test_a_wrong_sign_fails(emulant: Command, tmp_path: Path, term: str) -> None:
    integrated(term, rtol=1e-10, atol=1e-10).write_parquet(tmp_path / "theirs.parquet")
    code, out, _ = emulant("validate", tmp_path)
    assert code == 1
    assert "theirs.parquet: 0: equations: the step to t = 0.05 s" in out or "theirs.parquet: 0: equations" in out


def test_another_g_is_another_world(emulant: Command, tmp_path: Path) -> None:
    integrated(rtol=1e-10, atol=1e-10).write_parquet(tmp_path / "theirs.parquet")
    code, out, _ = emulant("validate", tmp_path, "--g", "9.8")
    assert (code, "equations" in out) == (1, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table[[0, 2, 1, *range(3, len(table))]], "time"),
        (lambda table: pl.concat([table[:5], table[4:]]), "time"),
        (lambda table: table.with_columns(t=pl.col("t") + 0.05), "time"),
        (lambda table: table.with_columns(theta2=pl.lit(np.nan)), "values: `theta2` has 41 numbers"),
        (lambda table: pl.concat([table, table[:41]]), "duplicate"),
        (lambda table: table.drop("m2"), "file: has no column `m2`"),
    ],
    ids=["shuffled", "row twice", "shifted", "nan", "case twice", "a column less"],
)
def test_faults_are_named(emulant: Command, tmp_path: Path, change: Any, said: str) -> None:
    change(frame(simulate(3, 41, substeps=40))).write_parquet(tmp_path / "x.parquet")
    code, out, _ = emulant("validate", tmp_path)
    assert (code, "x.parquet" in out, said in out) == (1, True, True), out


def test_a_torn_file_does_not_hide_the_others(emulant: Command, tmp_path: Path) -> None:
    frame(simulate(3, 41, substeps=40)).write_parquet(tmp_path / "good.parquet")
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "good.parquet").read_bytes()[:900])
    (tmp_path / "text.parquet").write_text("theta1,theta2\n")
    code, out, _ = emulant("validate", tmp_path)
    assert code == 1
    assert "torn.parquet: file: " in out
    assert "text.parquet: file: " in out
    assert "3 cases" in out


def test_wrong_options_are_refused(emulant: Command, tmp_path: Path) -> None:
    frame(simulate(1, 5)).write_parquet(tmp_path / "x.parquet")
    code, _, err = emulant("validate", tmp_path, "--tolerence", "1")
    assert (code, "Did you mean --tolerance?" in err) == (2, True)
    assert emulant("validate", tmp_path, "--g", "-1")[0] == 2
    assert emulant("validate", tmp_path, "--deep", "-1")[0] == 2
    assert emulant("validate", tmp_path / "nothing.parquet")[0] == 2


# -- runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three splits of a small study, simulated."""
    folder = tmp_path_factory.mktemp("data") / "run"
    assert main(["generate", "pendulum:smoke", "-o", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data, tmp_path / "run"))


def test_our_own_data_pass_every_test(emulant: Command, run: Path) -> None:
    code, out, err = emulant("validate", run, "--deep", "6", "--resimulate", "1")
    assert code == 0, out + err


def test_a_wrong_trust_horizon_is_found(emulant: Command, run: Path) -> None:
    path = run / "training" / "shard_00000.parquet"
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    metadata[b"cases"] = metadata[b"cases"].replace(b"4.0", b"1.0")
    assert metadata[b"cases"] != table.schema.metadata[b"cases"]
    pq.write_table(table.replace_schema_metadata(metadata), path)
    code, out, _ = emulant("validate", run / "training", "--deep", "3")
    assert (code, "chaos: a finer integration differs" in out) == (1, True), out


def test_verlet_is_reported(emulant: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert emulant("generate", "pendulum:smoke", "-o", run, *SMALL, "--set", "system.integrator=verlet")[0] == 0
    code, out, _ = emulant("validate", run)
    assert (code, "`verlet` holds no tolerance: the energy drifts by up to" in out) == (1, True), out


def test_cases_that_two_splits_share_are_a_leak(emulant: Command, run: Path) -> None:
    test, training = (pq.read_table(run / split / "shard_00000.parquet") for split in ("test", "training"))
    names = [name.replace("training", "test") for name in training["sim_id"].to_pylist()]
    moved = training.set_column(0, "sim_id", pa.array(names)).replace_schema_metadata(test.schema.metadata)
    pq.write_table(moved, run / "test" / "shard_00000.parquet")
    code, out, _ = emulant("validate", run)
    assert code == 1
    assert "test/shard_00000.parquet: test_000000: leak: starts exactly as training_000000 of training" in out


def test_out_of_tolerance_is_rejected_and_told(emulant: Command, as_json: Any, tmp_path: Path) -> None:
    tight = ["--set", "system.tolerance=1e-15", "--set", "system.integrator=rk4"]
    code, _, err = emulant("generate", "pendulum:smoke", "-o", tmp_path / "run", *SMALL, *tight)
    assert code == 0, err
    assert as_json("status", tmp_path / "run")
    sidecars = "".join(path.read_text() for path in sorted((tmp_path / "run").rglob(".shards/*.json")))
    assert '"rejected"' in sidecars
    assert "more than the tolerance 1e-15" in sidecars
    assert '"failed"' not in sidecars
    code, _, err = emulant("train", tmp_path / "run")
    assert code == 1
    assert "none of its" in err
    assert "is rejected: with" in err
    assert "the energy still drifts" in err


def test_a_simulation_that_diverges_fails_the_command(emulant: Command, tmp_path: Path) -> None:
    fast = ["--set", "system.initial.theta1_dot=1e7"]
    code, _, err = emulant("generate", "pendulum:smoke", "-o", tmp_path / "run", *SMALL, *fast)
    assert code == 1
    assert "case 0" in err
    assert "diverged" in err or "beyond" in err


def test_damage_is_named_by_every_stage(emulant: Command, run: Path) -> None:
    path = run / "training" / "shard_00001.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    for command in ("validate", "train"):
        code, out, err = emulant(command, run)
        assert code == 1
        assert "00001" in out + err


def test_weights_of_another_study_are_refused(emulant: Command, run: Path, tmp_path: Path) -> None:
    quick = ["--set", "surrogates.lagrangian.training.max_epochs=1", "--set", "surrogates.lstm.training.max_epochs=1"]
    assert emulant("train", run, "--quiet", *quick)[0] == 0
    lstm, lagrangian = (run / "models" / name / "best.safetensors" for name in ("lstm", "lagrangian"))
    shutil.copy(lagrangian, lstm)
    code, _, err = emulant("evaluate", run)
    assert (code, "lstm" in err) == (1, True), err


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("system.T=4.03", "not a whole number"),
        ("system.dt=5.0", "shorter than dt"),
        ("evaluation.context=20.0", "evaluation.context: forecasts start from 400 frames, but cases have 81"),
        ("training.monitor=vtp", "training.monitor: `lstm` has no 'vtp' (allowed: loss, score, vpt)"),
        (
            "surrogates.lagrangian.training.monitor=lss",
            ".lagrangian.training.monitor: `lagrangian` has no 'lss'",
        ),
        ("system.integrater='rk8'", "integrator"),
    ],
)
def test_faults_of_a_study_write_nothing(emulant: Command, tmp_path: Path, setting: str, said: str) -> None:
    code, _, err = emulant("run", "pendulum:smoke", "-o", tmp_path / "run", "--set", setting)
    assert (code, said in err) == (2, True), err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("monitor", ["vpt", "score", "loss"])
def test_every_network_has_the_documented_monitors(monitor: str) -> None:
    networks = [f"surrogates.{name}={{}}" for name in ("gru", "rnn", "residual_mlp")]
    assert len(studies.load("pendulum:smoke", [f"training.monitor={monitor}", *networks]).surrogates) == 5


def test_trees_of_others_have_a_hash_of_their_own(tmp_path: Path) -> None:
    from emulant.runs import Run

    for split in ("training", "test"):
        (tmp_path / split).mkdir()
        frame(simulate(3, 41, substeps=40)).write_parquet(tmp_path / split / "x.parquet")
    before = Run.open(tmp_path, "pendulum:smoke").dataset_sha256("training")
    frame(simulate(3, 41, substeps=40, seed=1)).write_parquet(tmp_path / "training" / "x.parquet")
    assert Run.open(tmp_path, "pendulum:smoke").dataset_sha256("training") != before

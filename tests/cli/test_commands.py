"""Every command, as a user calls it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emulant.dataset.store import Manifest


def test_help_is_there_at_once_and_without_the_heavy_packages():
    probe = (
        "import sys; from emulant.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'polars', 'torch', 'numba', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    best = 9.0
    for _ in range(4):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
        best = min(best, time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert "generate" in done.stdout
    print(f"help: {best:.2f} s")  # the figure is measured in benchmarks/, not asserted on a machine that is busy


def test_python_dash_m_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "emulant", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.1.0"


def test_a_smoke_run_has_the_tree_of_the_source_document(smoke):
    for case in range(8):
        folder = smoke / "training" / f"train_{case:03d}"
        assert {path.name for path in folder.iterdir()} == {"traj.npz", "density.npz", "metadata.json"}
    for case in range(4):
        folder = smoke / "test" / f"test_{case:03d}"
        assert {path.name for path in folder.iterdir()} == {
            "traj.npz", "density.npz", "order_params.npz", "metadata.json"
        }  # fmt: skip
    models = {path.name for path in (smoke / "models").iterdir() if path.is_file()}
    assert models == {"pod_model.npz", "mvar_model.npz", "training_metadata.json", "index_mapping.csv"}
    for name in ("spectral", "pod_mvar"):
        assert (smoke / "models" / name / "model.json").is_file()
    for name in ("study.toml", "report.json", "report.html", "evaluation/metrics.csv", "logs/events.jsonl"):
        assert (smoke / name).is_file()


def test_the_files_have_the_documented_keys_types_and_shapes(smoke):
    T, N, n = 21, 40, 32
    expected = {
        "traj.npz": {"positions": (T, N, 2), "times": (T,), "config": (), "headings": (T, N)},
        "density.npz": {
            "rho": (T, n, n), "times": (T,), "x_edges": (n + 1,), "y_edges": (n + 1,), "extent": (4,)
        },
        "order_params.npz": {"polarization": (T,), "mean_speed": (T,), "nematic": (T,), "times": (T,)},
    }  # fmt: skip
    for file, keys in expected.items():
        with np.load(smoke / "test" / "test_000" / file, allow_pickle=False) as arrays:
            assert {name: arrays[name].shape for name in arrays.files} == keys
            assert all(arrays[name].dtype == "<f8" for name in arrays.files if name != "config")
            if file == "traj.npz":
                assert json.loads(str(arrays["config"]))["system"]["N"] == 40
    metadata = json.loads((smoke / "test" / "test_001" / "metadata.json").read_text())
    assert metadata["ic_type"] == "gaussian_cluster"
    assert metadata["seed"] == {"entropy": 0, "spawn_key": [0, 2, 1]}
    assert (metadata["split"], metadata["case"]) == ("test", 1)
    for name, keys in {
        "pod_model.npz": {"U", "S", "mean", "energy", "R_POD", "target_energy"},
        "mvar_model.npz": {"A_matrices", "p", "alpha", "train_r2", "train_rmse"},
    }.items():
        with np.load(smoke / "models" / name, allow_pickle=False) as arrays:
            assert keys <= set(arrays.files)
    index = pl.read_csv(smoke / "models" / "index_mapping.csv")
    assert index.columns == ["global_idx", "run_name", "ic_type", "time_idx"]
    assert len(index) == 8 * T


def test_metrics_are_tidy_complete_and_follow_from_the_stored_predictions(smoke):
    metrics = pl.read_csv(smoke / "evaluation" / "metrics.csv")
    assert metrics.columns == [
        "split", "model", "kind", "metric", "group", "horizon", "value", "ci_low", "ci_high", "n"
    ]  # fmt: skip
    assert set(metrics["model"]) == {
        "spectral", "pod_mvar", "persistence", "climatology", "drift", "pod_ceiling"
    }  # fmt: skip
    assert {"all", "ring", "all@1", "ring@1"} <= set(metrics["group"])
    assert metrics["horizon"].null_count() == 0
    assert metrics.filter(split="test", model="drift", metric="r2", group="all").height >= 6
    scores = []
    for case in range(4):
        truth = np.load(smoke / "test" / f"test_{case:03d}" / "density.npz")["rho"]
        with np.load(smoke / "evaluation" / "predictions" / "spectral" / f"test_{case:03d}.npz") as kept:
            forecast, context = kept["rho"], int(kept["context"])
        future = truth[context:]
        scores.append(1 - ((forecast - future) ** 2).sum() / ((future - future.mean()) ** 2).sum())
    row = metrics.filter(split="test", model="spectral", metric="r2", group="all", horizon="all")
    assert row["value"][0] == pytest.approx(np.mean(scores), abs=1e-12)


def test_status_and_systems(as_json, smoke):
    state = as_json("status", smoke)
    assert {name: facts["state"] for name, facts in state["models"].items()} == dict.fromkeys(state["models"], "fitted")
    assert state["splits"]["training"]["ok"] == 8
    assert state["evaluated"] is True
    known = as_json("systems")
    assert {"pod_mvar", "spectral"} <= set(known["swarm"]["surrogates"])
    assert {"swarm", "swarm:smoke", "swarm:recommended"} <= set(known["swarm"]["studies"])


def test_new_writes_a_study_that_runs_and_overwrites_nothing(emulant, tmp_path):
    path = tmp_path / "mine.toml"
    assert emulant("new", "swarm", path)[0] == 0
    assert "# particles" in path.read_text()
    code, _, err = emulant("new", "swarm", path)
    assert (code, "exists already" in err) == (2, True)
    code, _, _ = emulant(
        "generate", path, "-o", tmp_path / "run", "--split", "test", "--set", "splits.test=2", "--workers", 1
    )
    assert code == 0
    assert (tmp_path / "run" / "test" / "test_001" / "traj.npz").is_file()


def test_a_second_run_does_nothing_and_says_the_same(emulant, smoke):
    before = {path: path.stat().st_mtime_ns for path in smoke.rglob("*.npz")}
    assert emulant("run", "swarm:smoke", "-o", smoke, "--set", "report.films=false")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in smoke.rglob("*.npz")} == before


def test_changed_settings_make_just_their_stage_stale(emulant, as_json, smoke, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(smoke, run)
    data = (run / "training" / "manifest.json").stat().st_mtime_ns
    spectral = (run / "models" / "spectral" / "model.json").stat().st_mtime_ns
    assert as_json("train", run, "--set", "surrogates.pod_mvar.ridge=1.0")["pod_mvar"] is True
    assert (run / "models" / "spectral" / "model.json").stat().st_mtime_ns == spectral
    assert (run / "training" / "manifest.json").stat().st_mtime_ns == data
    code, _, err = emulant("train", run, "--set", "system.N=30")
    assert (code, "settings of [surrogates] only" in err) == (2, True)


def test_seeds_change_the_data_and_workers_do_not(emulant, smoke, tmp_path):
    for name, options in {"one": ["--workers", 1], "other": ["--seed", 1]}.items():
        assert emulant("generate", "swarm:smoke", "-o", tmp_path / name, "--split", "test", *options)[0] == 0
    digest = {name: Manifest.read(path / "test").dataset_sha256 for name, path in
              {"smoke": smoke, "one": tmp_path / "one", "other": tmp_path / "other"}.items()}  # fmt: skip
    assert digest["smoke"] == digest["one"] != digest["other"]


def test_a_study_without_surrogates_ends_in_a_report_of_baselines(emulant, smoke, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(smoke, run)
    off = ["--set", "surrogates.spectral.enabled=false", "--set", "surrogates.pod_mvar.enabled=false"]
    code, out, err = emulant("run", "swarm:smoke", "-o", run, *off)
    assert code == 0, err
    assert "drift" in out
    assert "spectral" not in out


def test_failures_within_the_limit_are_told_and_end_in_exit_code_1(emulant, smoke, tmp_path, monkeypatch):
    from emulant.systems.swarm.swarm import Swarm

    simulate = Swarm.simulate_case

    def fails(self, split, case, config):
        if (split, case) == ("training", 3):
            raise FloatingPointError("the swarm burst")
        return simulate(self, split, case, config)

    monkeypatch.setattr(Swarm, "simulate_case", fails)
    from concurrent.futures import ThreadPoolExecutor

    import emulant as package

    overrides = ["dataset.allowed_failures=0.5", "report.films=false"]
    with ThreadPoolExecutor(1) as executor:
        package.generate("swarm:smoke", tmp_path, overrides=overrides, executor=executor)
    study = ["swarm:smoke", "-o", tmp_path, "--set", overrides[0], "--set", overrides[1]]
    code, out, _ = emulant("run", *study)
    assert (code, "1 case failed" in out) == (1, True)
    assert "case 3 failed: FloatingPointError: the swarm burst" in emulant("status", tmp_path)[1]
    monkeypatch.undo()
    assert emulant("run", *study, "--retry-failed", "--workers", 1)[0] == 0
    assert Manifest.read(tmp_path / "training").dataset_sha256 == Manifest.read(smoke / "training").dataset_sha256


# -- validate -----------------------------------------------------------------------------------------------------


def test_validate_passes_a_good_run_and_one_split_of_it(emulant, smoke):
    code, out, _ = emulant("validate", smoke, "--resimulate", 1)
    assert (code, "largest deviation 0\n" in out, "nothing found" in out) == (0, True, True)
    assert emulant("validate", smoke / "test")[0] == 0


@pytest.fixture
def broken(smoke, tmp_path):
    """A copy of the smoke run, to be broken."""
    run = tmp_path / "run"
    shutil.copytree(smoke, run)
    return run


def rewrite(path, **changes):
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **(arrays | {name: change(arrays[name]) for name, change in changes.items()}))


def sign_again(run, split="training"):
    """What a thorough forger does: make receipts fit the changed files, so that only the physics can tell."""
    from emulant.dataset.atomic import write_json
    from emulant.dataset.store import Sidecar, StoredFile

    folder = run / split
    for path in (folder / ".shards").glob("*.json"):
        old = Sidecar.model_validate_json(path.read_bytes())
        files = tuple(StoredFile.of(folder / file.path, folder) for file in old.files)
        again = Sidecar.make(
            type("S", (), {"id": old.shard, "split": old.split}), old.key,
            [type("R", (), {"case": c.case, "status": c.status, "reason": c.reason}) for c in old.cases], files, 0.0,
        )  # fmt: skip
        write_json(path, again.model_dump())


def test_data_of_another_version_are_told_in_a_line_for_each_split(emulant, as_json, broken):
    from emulant.dataset.atomic import write_json
    from emulant.dataset.store import Sidecar

    assert as_json("status", broken)["splits"]["training"]["other_key"] == 0
    for path in (broken / "training" / ".shards").glob("*.json"):
        write_json(path, Sidecar.model_validate_json(path.read_bytes()).model_dump() | {"key": "of another version"})
    state = as_json("status", broken)["splits"]["training"]
    assert (state["done"], state["other_key"]) == (0, state["shards"])
    next((broken / "models" / "spectral").glob("*.npz")).write_bytes(b"torn")
    told = emulant("status", broken)[1]
    assert f"{state['shards']} are there, but of another study, another version" in told
    assert "stale: of other data or settings" in told
    assert emulant("validate", broken)[1].count("training: study: ") == 1


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("flip", "is damaged"),
        ("truncate", "bytes where"),
        ("delete", "is missing"),
        ("stranger", "belongs to no shard"),
        ("receipt", "are not done (first: "),
    ],
)
def test_validate_finds_damage_and_generate_mends_it(emulant, broken, damage, said):
    path = broken / "training" / "train_003" / "density.npz"
    content = bytearray(path.read_bytes())
    match damage:
        case "flip":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "truncate":
            path.write_bytes(content[:-7])
        case "delete":
            path.unlink()
        case "stranger":
            (path.parent / "notes.npz").write_bytes(content)
        case "receipt":
            (broken / "training" / ".shards" / "00001.json").unlink()
    before = Manifest.read(broken / "training").dataset_sha256
    code, out, _ = emulant("validate", broken)
    assert (code, said in out) == (1, True), out
    assert "train_003" in out or "00001" in out
    assert emulant("generate", "swarm:smoke", "-o", broken, "--set", "report.films=false", "--workers", 1)[0] == 0
    assert Manifest.read(broken / "training").dataset_sha256 == before
    if damage != "stranger":
        assert emulant("validate", broken)[0] == 0


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("traj.npz", {"positions": lambda a: a + 20.0}, "outside the box"),
        ("traj.npz", {"positions": lambda a: np.roll(a, 1, axis=0)}, "steps are not v0 dt"),
        ("traj.npz", {"headings": lambda a: a + 0.1}, "steps are not v0 dt"),
        ("density.npz", {"rho": lambda a: 1.1 * a}, "integrates to 40 particles but for 10.00%"),
        ("density.npz", {"rho": lambda a: np.where(a > a.mean(), np.nan, a)}, "not finite"),
        ("density.npz", {"rho": lambda a: a[:-1]}, "along time"),
    ],
)
def test_validate_finds_wrong_physics_even_under_matching_hashes(emulant, broken, file, changes, said):
    rewrite(broken / "training" / "train_002" / file, **changes)
    sign_again(broken)
    code, out, _ = emulant("validate", broken)
    assert (code, said in out) == (1, True), out
    assert "training: case 2" in out


def test_validate_finds_leaks_and_edited_values_by_simulating_again(emulant, broken):
    shutil.copy(broken / "training" / "train_000" / "density.npz", broken / "test" / "test_000" / "density.npz")
    sign_again(broken, "test")
    code, out, _ = emulant("validate", broken, "--resimulate", 4)
    assert code == 1
    assert "leak: test case 0 starts exactly as training case 0" in out
    assert "`rho` differs by up to" in out


# -- predict, export, render ----------------------------------------------------------------------------------------


def test_predict_continues_a_case_folder_and_a_bare_density(emulant, smoke, tmp_path):
    case = smoke / "test" / "test_000"
    out = tmp_path / "forecast.npz"
    assert emulant("predict", smoke, case, "-o", out, "--context", 4, "--horizon", 17)[0] == 0
    with np.load(out) as made, np.load(smoke / "evaluation/predictions/spectral/test_000.npz") as kept:
        np.testing.assert_array_equal(made["rho"], kept["rho"])
        np.testing.assert_allclose(made["times"], kept["times"], atol=1e-12)
    with np.load(case / "density.npz") as arrays:
        np.savez(tmp_path / "mine.npz", rho=arrays["rho"][:6])
    code, _, err = emulant("predict", smoke, tmp_path / "mine.npz", "-o", out)
    assert (code, "is there already" in err) == (2, True), err
    for name in ("spectral", "pod_mvar", "persistence", "climatology", "drift"):
        words = ["predict", smoke, tmp_path / "mine.npz", "-o", out, "--surrogate", name, "--horizon=5"]
        code, _, err = emulant(*words, "--overwrite")
        assert code == 0, err
        assert np.load(out)["rho"].shape == (5, 32, 32)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"sigma": np.zeros(3)}, "has no array `rho`"),
        ({"rho": np.zeros((6, 16, 16))}, "shape (6, 16, 16)"),
        ({"rho": np.zeros((2, 32, 32))}, "has 2 frames"),
        ({"rho": np.float64(3)}, "shape ()"),
        ({"rho": np.zeros((6, 32, 32)), "times": np.arange(6) * 0.3}, "not 0.1 apart"),
        ({"rho": np.full((6, 32, 32), np.nan)}, "not finite"),
        ({"rho": np.zeros((6, 32, 32)), "headings": np.zeros((5, 40))}, "`headings` has 5 frames"),
    ],
)
def test_predict_refuses_what_it_cannot_use_and_leaves_nothing_behind(emulant, smoke, tmp_path, arrays, said):
    np.savez(tmp_path / "mine.npz", **arrays)
    code, _, err = emulant("predict", smoke, tmp_path / "mine.npz", "-o", tmp_path / "out.npz")
    assert (code, said in err, err.count("\n")) == (1, True, 1), err
    assert not (tmp_path / "out.npz").exists()


def test_exports_hold_what_the_run_holds(as_json, smoke, tmp_path):
    as_json("export", smoke, "--format", "flat", "-o", tmp_path / "flat")
    names = {path.name for path in (tmp_path / "flat").iterdir()}
    assert {"train_000_traj.npz", "train_007_density.npz", "test_003_order_params.npz"} <= names
    as_json("export", smoke / "test", "--format", "stacked", "-o", tmp_path / "stacked")
    with np.load(tmp_path / "stacked" / "test.npz", allow_pickle=False) as arrays:
        assert arrays["rho"].shape == (4, 21, 32, 32)
        assert arrays["family"].tolist() == ["uniform", "gaussian_cluster", "ring", "two_clusters"]
    as_json("export", smoke, "--format", "csv", "-o", tmp_path / "csv")
    table = pl.read_csv(tmp_path / "csv" / "test.csv")
    order = np.load(smoke / "test" / "test_002" / "order_params.npz")["polarization"]
    np.testing.assert_array_equal(table.filter(case=2)["polarization"].to_numpy(), order)


def test_render_draws_the_film_that_was_asked_for(as_json, emulant, broken):
    drawn = as_json("render", broken, "--case", 2, "--surrogate", "pod_mvar", "--start", "1")
    assert [Path(path).name for path in drawn] == ["pod_mvar_test_002_at_1.gif"]
    assert Path(drawn[0]).read_bytes()[:4] == b"GIF8"
    assert "--case 9" in emulant("render", broken, "--case", 9)[2]


# -- wrong usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "swarm:smok", "-o", "x"], 2, "Did you mean `swarm:smoke`?"),
        (["run", "swarm:smoke"], 2, 'Command "run" parameter --output is missing.'),
        (["new"], 2, 'Command "new" STUDY is missing.'),
        (["run", "swarm:smoke", "-o", "x", "--engine", "abacus"], 2, 'Choose from: "local"'),
        (["run", "swarm:smoke", "-o", "x", "--workers", "0"], 2, "--workers 0"),
        (["run", "swarm:smoke", "-o", "x", "--workers", "many"], 2, "many"),
        (["run", "swarm:smoke", "-o", "x", "--nonsense"], 2, "--nonsense"),
        (["run", "swarm:smoke", "-o", "x", "--set", "system.speeed=1"], 2, "did you mean system.speed?"),
        (["generate", "swarm:smoke", "-o", "x", "--split", "tets"], 2, "no split `tets`"),
        (["generate", "swarm:smoke", "-o", "x", "--shards", "9-2"], 2, "--shards 9-2"),
        (["new", "pendulums"], 2, "there is no study `pendulums`"),
        (["frobnicate"], 2, "frobnicate"),
        (["status", "nowhere"], 2, "no such run folder"),
        (["validate", "nowhere"], 2, "nowhere"),
    ],
)
def test_wrong_usage_is_one_clear_line_and_writes_nothing(emulant, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    found, out, err = emulant(*arguments)
    assert (found, said in err) == (code, True), err
    assert out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "RUN", "nothing.npz", "-o", "x.npz"], "nothing.npz: there is no such file"),
        (["predict", "RUN", "RUN/test/test_000", "-o", "x.npz", "--horizn", "3"], "Did you mean --horizon?"),
        (["predict", "RUN", "RUN/test/test_000", "-o", "x.npz", "--horizon", "0"], "--horizon 0"),
        (["predict", "RUN", "RUN/test/test_000", "-o", "x.npz", "--surrogate", "lstm"], "no surrogate `lstm`"),
        (["predict", "RUN", "RUN/test/test_000", "-o", "x.npz", "--surrogate", "pod_ceiling"], "is an oracle"),
        (["predict", "RUN", "RUN/test/test_000", "-o", "x.npz", "--context", "2"], "--context 2"),
        (["render", "RUN", "--split", "training"], "--split training"),
        (["export", "RUN", "--format", "xml", "-o", "x"], "writes hf, croissant, flat, stacked, csv"),
    ],
)
def test_wrong_options_name_what_there_is(emulant, smoke, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = emulant(*(argument.replace("RUN", str(smoke)) for argument in arguments))
    assert (code, said in err) == (2, True), err


def test_stages_that_lack_the_one_before_say_which_command_makes_it(emulant, tmp_path):
    assert emulant("generate", "swarm:smoke", "-o", tmp_path, "--split", "test", "--workers", 1)[0] == 0
    code, _, err = emulant("train", tmp_path)
    assert (code, "training: is missing" in err, "emulant generate" in err) == (1, True, True)
    code, _, err = emulant("report", tmp_path)
    assert (code, "emulant evaluate" in err) == (1, True), err


def test_a_damaged_model_is_refused_by_name(emulant, broken):
    path = broken / "models" / "pod_model.npz"
    path.write_bytes(path.read_bytes()[:-9])
    code, _, err = emulant(
        "predict", broken, broken / "test" / "test_000", "-o", broken / "x.npz", "--surrogate", "pod_mvar"
    )
    assert (code, "pod_model.npz" in err, "emulant train" in err) == (1, True, True)


def test_a_traceback_is_shown_on_request_only(tmp_path):
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "emulant", "status", str(tmp_path / "nowhere")]
    quiet = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    loud = subprocess.run([*command, "--debug"], capture_output=True, text=True, env=environment, check=False)
    assert (quiet.returncode, "Traceback" in quiet.stderr) == (2, False)
    assert "Traceback" in loud.stderr


def test_the_verbs_of_the_package_can_be_used_again_and_again(tmp_path):
    import emulant as package

    for _ in range(2):
        package.generate("swarm:smoke", tmp_path, splits=["test"], workers=1)
        assert package.open(tmp_path).splits == ("test",)
        assert callable(package.run)


def test_films_are_refused_before_anything_is_computed_if_they_cannot_be_written(emulant, tmp_path, monkeypatch):
    monkeypatch.setattr("emulant.reporting.table.find_spec", lambda _name: None)
    code, _, err = emulant("run", "swarm:smoke", "-o", tmp_path / "run", "--set", "report.film_format=mp4")
    assert (code, "emulant[video]" in err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_what_a_study_does_to_the_simulations_is_told_in_the_report(emulant, tmp_path):
    forces = ["--set", "system.forces.la=2.5", "--set", "density.bandwidth=1.0", "--set", "splits.test=0"]
    code, out, err = emulant("run", "swarm:smoke", "-o", tmp_path, *forces)
    assert code == 0, err
    assert "each pair acts once, at its shortest distance" in out
    assert "each frame is rescaled to the number of particles" in out
    assert "test_long" in (tmp_path / "report.html").read_text()

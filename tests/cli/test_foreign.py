"""Trees that were made elsewhere to the source document: opened as they are, never overwritten, never unpickled."""

import json
import shutil

import numpy as np
import pytest


class Canary:
    """Unpickling this leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


DOCUMENT = {
    "sim": {"N": 40, "Lx": 15.0, "Ly": 15.0, "bc": "periodic", "T": 2.0, "dt": 0.1, "save_every": 1},
    "model": {"speed": 1.0},
    "params": {"R": 2.0},
    "noise": {"kind": "gaussian", "eta": 0.3},
}


@pytest.fixture
def foreign(smoke, tmp_path):
    """What another program might have written: no receipts, no headings, `config` a pickled dictionary."""
    root = tmp_path / "oscar_outputs"
    for split in ("training", "test"):
        for source in sorted((smoke / split).glob("*_0*")):
            target = root / split / source.name
            target.mkdir(parents=True)
            for path in source.glob("*.npz"):
                with np.load(path, allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files if name not in ("headings", "config")}
                if path.name == "traj.npz":
                    config = np.empty((), dtype=object)
                    config[()] = {"canary": Canary(tmp_path / "unpickled")}
                    arrays["config"] = config
                np.savez(target / path.name, **arrays)
            kind = json.loads((source / "metadata.json").read_text())["ic_type"]
            (target / "metadata.json").write_text(json.dumps({"ic_type": kind, "seed": 1000, "config": DOCUMENT}))
    return root


def test_a_foreign_tree_goes_through_validate_train_evaluate_and_report(emulant, as_json, foreign, tmp_path):
    before = {path: path.read_bytes() for path in foreign.rglob("*") if path.is_file()}
    code, out, _ = emulant("validate", foreign)
    assert code == 1
    assert "test/test_000/traj.npz and 11 others: pickle: `config` is an array of Python objects" in out
    assert "training: 8 cases (uniform 2, gaussian_cluster 2, ring 2, two_clusters 2)" in out
    assert as_json("train", foreign)["spectral"] is True
    rows = {row["model"]: row for row in as_json("evaluate", foreign)}
    assert rows["spectral"]["r2"] > rows["persistence"]["r2"]
    assert {"drift", "climatology", "pod_ceiling", "pod_mvar"} <= rows.keys()
    assert emulant("report", foreign, "--set", "report.films=false")[0] == 0
    assert (foreign / "report.html").is_file()
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "unpickled").exists()


def test_the_study_may_be_named_where_the_files_do_not_say(emulant, foreign):
    for path in foreign.rglob("metadata.json"):
        path.unlink()
    code, _, err = emulant("train", foreign)
    assert (code, "Say it with --study" in err) == (2, True), err
    study = ["--study", "swarm:smoke"]
    assert emulant("train", foreign, *study)[0] == 0
    assert emulant("evaluate", foreign)[0] == 0


def test_models_that_were_made_elsewhere_are_evaluated(emulant, as_json, foreign, smoke):
    (foreign / "models").mkdir()
    for name in ("pod_model.npz", "mvar_model.npz"):
        with np.load(smoke / "models" / name, allow_pickle=False) as file:
            keys = ("U", "S", "mean", "energy", "R_POD", "target_energy", "A_matrices", "p", "alpha", "train_r2")
            np.savez(foreign / "models" / name, **{key: file[key] for key in file.files if key in keys})
    rows = {row["model"]: row for row in as_json("evaluate", foreign)}
    ours = {row["model"]: row for row in json.loads(emulant("evaluate", smoke, "--json")[1])}
    assert rows["pod_mvar"]["r2"] == pytest.approx(ours["pod_mvar"]["r2"], abs=1e-3)
    assert "spectral" not in rows


def test_generating_into_a_foreign_tree_is_refused(emulant, foreign):
    before = {path: path.read_bytes() for path in foreign.rglob("*") if path.is_file()}
    code, _, err = emulant("run", "swarm:smoke", "-o", foreign)
    assert (code, "did not make" in err) == (2, True)
    assert {path: path.read_bytes() for path in foreign.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("truncated", "test_002"),
        ("nan", "not finite"),
        ("missing", "1 cases are not there (first: case 2)"),
        ("keys", "positions"),
    ],
)
def test_faults_of_a_foreign_tree_are_named(emulant, foreign, damage, said):
    case = foreign / "test" / "test_002"
    with np.load(case / "traj.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in ("positions", "times")}
    match damage:
        case "truncated":
            (case / "density.npz").write_bytes((case / "density.npz").read_bytes()[:1000])
        case "nan":
            arrays["positions"][3, 2] = np.nan
            np.savez(case / "traj.npz", **arrays)
        case "missing":
            shutil.rmtree(case)
        case "keys":
            np.savez(case / "traj.npz", times=arrays["times"])
    code, out, err = emulant("validate", foreign)
    assert (code, said in out) == (1, True), out + err

"""Whatever is lost, damaged, exchanged or stale: the next command says so or mends it. It never uses it in silence."""

import io
import json
import shutil
import zipfile

import numpy as np
import polars as pl
import pytest

from emulant.dataset.store import Manifest

STUDY = ["swarm:smoke", "--set", "report.films=false", "--workers", 1]


@pytest.fixture
def run(smoke, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(smoke, folder)
    return folder


def scores(run):
    table = pl.read_csv(run / "evaluation" / "metrics.csv")
    return table.filter(metric="r2", group="all", horizon="all").sort("split", "model")["value"].to_list()


def lose_receipt(run, split):
    (run / split / ".shards" / "00000.json").unlink()


def exchange(run, split):
    one, two = (run / split / f"{'train' if split == 'training' else split}_00{n}" / "density.npz" for n in (0, 1))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


def lose_split(run, split):
    shutil.rmtree(run / split)


@pytest.mark.parametrize("damage", [lose_receipt, exchange, lose_split])
@pytest.mark.parametrize(("split", "stage"), [("training", "train"), ("test", "evaluate"), ("test_long", "evaluate")])
def test_a_stage_refuses_data_that_are_not_whole_and_run_mends_them(emulant, smoke, run, damage, split, stage):
    damage(run, split)
    shutil.rmtree(run / ("models" if stage == "train" else "evaluation"))
    code, _, err = emulant(stage, run)
    assert (code, "emulant generate" in err, str(split) in err) == (1, True, True), err
    code, _, err = emulant("run", *STUDY, "-o", run)
    assert code == 0, err
    assert scores(run) == scores(smoke)


@pytest.mark.parametrize("what", ["lost", "empty", "damaged"])
def test_data_are_safe_from_another_study_even_without_their_own(emulant, run, what):
    path = run / "study.toml"
    path.unlink() if what == "lost" else path.write_text("" if what == "empty" else "[[")
    before = Manifest.read(run / "training").dataset_sha256
    code, _, err = emulant("generate", *STUDY, "-o", run, "--seed", 5)
    assert (code, "--fresh" in err) == (2, True), err
    assert Manifest.read(run / "training").dataset_sha256 == before
    assert emulant("generate", *STUDY, "-o", run)[0] == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../esc", "is not a name"), ("persistence", "is the name of a baseline"), ("pod_ceiling", "is the name of")],
)
def test_a_surrogate_cannot_take_a_name_that_is_a_path_or_taken(emulant, tmp_path, name, said):
    study = tmp_path / "study.toml"
    study.write_text(f'[system]\nname = "swarm"\n[surrogates."{name}"]\nkind = "spectral"\n')
    code, _, err = emulant("run", study, "-o", tmp_path / "run")
    assert (code, said in err) == (2, True), err
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_two_surrogates_of_one_kind_keep_out_of_each_others_way(emulant, run):
    second = ["--set", "surrogates.other.kind=pod_mvar", "--set", "surrogates.other.rank=3"]
    code, out, err = emulant("run", *STUDY, "-o", run, *second)
    assert code == 0, err
    assert "other" in out
    assert (run / "models" / "other" / "pod_model.npz").is_file()
    assert np.load(run / "models" / "other" / "pod_model.npz")["R_POD"] == 3
    assert np.load(run / "models" / "pod_model.npz")["R_POD"] > 3


def test_stale_surrogates_are_not_scored(emulant, run):
    assert emulant("generate", *STUDY, "-o", run, "--set", "splits.training=16")[0] == 0
    code, _, err = emulant("evaluate", run)
    assert (code, "is not trained, or its data" in err, "emulant train" in err) == (1, True, True), err


def test_overridden_settings_are_kept_for_the_next_command(emulant, run):
    assert emulant("train", run, "--set", "surrogates.pod_mvar.lag=2")[0] == 0
    assert "lag = 2" in (run / "study.toml").read_text()
    assert emulant("evaluate", run)[0] == 0


@pytest.mark.parametrize("content", [b"[]"])
@pytest.mark.parametrize(
    "file",
    [
        "training/manifest.json",
        "models/spectral/model.json",
        "evaluation/predictions/spectral/predictions.json",
        "evaluation/evaluation.json",
        "evaluation/metrics.csv",
        "logs/events.jsonl",
        "training/.shards/00001.json",
    ],
)
def test_a_damaged_card_is_told_or_made_anew_and_never_a_traceback(emulant, smoke, run, file, content):
    (run / file).write_bytes(content)
    for stage in ("train", "evaluate", "report", "status", "validate"):
        code, _, err = emulant(stage, run)
        assert code in (0, 1)
        assert "internal error" not in err
        assert err.count("\n") <= 2 or stage in ("train", "evaluate", "report")
    code, _, err = emulant("run", *STUDY, "-o", run)
    assert code == 0, err
    assert scores(run) == scores(smoke)


def test_edited_scores_are_not_reported(emulant, run):
    path = run / "evaluation" / "metrics.csv"
    path.write_text(path.read_text().replace("0.9", "0.8"))
    code, _, err = emulant("report", run)
    assert (code, "metrics.csv" in err, "emulant evaluate" in err) == (1, True, True), err


def test_an_edited_model_card_is_not_believed(emulant, run):
    path = run / "models" / "spectral" / "model.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"files": []}))
    code, _, err = emulant("evaluate", run)
    assert (code, "spectral" in err) == (1, True), err


def test_a_file_that_would_unfold_without_end_is_refused(emulant, smoke, tmp_path):
    entry = io.BytesIO()
    np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (40000, 32, 32)})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as file, file.open("rho.npy", "w") as rho:
        rho.write(entry.getvalue())
        for _ in range(320):
            rho.write(bytes(1 << 20))
    code, _, err = emulant("predict", smoke, tmp_path / "bomb.npz", "-o", tmp_path / "out.npz")
    assert (code, "would unfold" in err) == (1, True), err


def test_a_script_without_a_guard_is_told_where_to_put_it(tmp_path):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text('import emulant\nemulant.generate("swarm:smoke", "run", workers=1, splits=["test"])\n')
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert '__name__ == "__main__"' in done.stderr

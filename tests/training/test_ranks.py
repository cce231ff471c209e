"""Several processes train one network: the same weights to rounding, one of them writes, kills cost an epoch."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import EngineError, UsageError
from emulant.training import ranks
from emulant.training.batches import share_of_rows
from emulant.training.table import TrainingTable

TOLERANCE = 1e-4
"""Relative: how far the losses and scores of several processes may be from those of one, as the documentation says."""
STUDY = """
[system]
name = "pendulum"
T = 4.0
[splits]
training = 8
validation = 4
test = 4
[dataset]
shard_cases = 4
[surrogates.residual_mlp]
width = 16
[training]
max_epochs = 6
epoch_batches = 17
batch_size = 15              # an odd number: the shares are not equal
gradient_accumulation = 3    # and the last step of an epoch takes what is left
max_steps = 30
warmup = 0.2
ema = 0.9
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A run folder with data."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "study.toml").write_text(STUDY)
    emulant("generate", folder / "study.toml", "-o", folder / "run", "--workers", "1")
    return folder / "run"


def emulant(*arguments, code=0, **options):
    words = [sys.executable, "-m", "emulant", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, **options)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The run trained by one process, and by two."""
    folder = tmp_path_factory.mktemp("trained")
    found = []
    for processes in (1, 2):
        run = Path(shutil.copytree(data, folder / str(processes)))
        done = emulant("train", run, "--surrogate", "residual_mlp", "--devices", processes)
        found.append((run, done))
    return found


def curves(run):
    with (run / "logs" / "residual_mlp" / "metrics.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_two_processes_train_what_one_trains(trained):
    (one, _), (two, done) = trained
    expected, found = curves(one), curves(two)
    assert len(found) == len(expected) == 5, "max_steps counts the optimizer's steps, six an epoch"
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert (ours[name] == "") == (value == "")
            assert not value or float(ours[name]) == pytest.approx(float(value), rel=TOLERANCE), name
    assert found != expected, "the second training has not been shared at all"
    assert done.stdout == "residual_mlp: fitted\n", "one process speaks for all"
    weights = [torch.load(run / "models" / "residual_mlp" / "last.ckpt", weights_only=True) for run in (one, two)]
    for name, tensor in weights[0]["state_dict"].items():
        torch.testing.assert_close(weights[1]["state_dict"][name], tensor, rtol=1e-3, atol=1e-5)


def test_where_a_network_was_trained_is_no_reason_to_train_it_again(trained):
    run, _ = trained[1]
    assert (
        emulant("train", run, "--surrogate", "residual_mlp", "--devices", 1).stdout == "residual_mlp: was up to date\n"
    )


def processes_of(run):
    """The processes that train a run: the one that was called and its followers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"train" in words and str(run).encode() in words:
            found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="it finds processes by /proc")
@pytest.mark.parametrize("victim", [0, 1], ids=["leader", "follower"])
def test_whoever_is_killed_the_same_command_ends_as_if_nothing_had_happened(data, trained, tmp_path, victim):
    run = Path(shutil.copytree(data, tmp_path / "run"))
    words = [sys.executable, "-m", "emulant", "train", str(run), "--surrogate", "residual_mlp", "--devices", "2"]
    # seen from outside an epoch takes no time at all: a checkpoint every epoch is what a kill can hit
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 90
        while len(found := processes_of(run)) < 2 or not (run / "logs" / "residual_mlp" / "metrics.csv").is_file():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid if victim == 0 else next(pid for pid in found if pid != process.pid), signal.SIGKILL)
        _, said = process.communicate(timeout=90)
    if victim == 1 and process.returncode:
        assert "one of the processes that train together has ended" in said
    deadline = time.monotonic() + 30
    while processes_of(run):
        assert time.monotonic() < deadline, "a follower has outlived its leader"
        time.sleep(0.1)
    emulant("train", run, "--surrogate", "residual_mlp", "--devices", "2")
    assert curves(run) == curves(trained[1][0])
    best = Path("models") / "residual_mlp" / "best.safetensors"
    assert (run / best).read_bytes() == (trained[1][0] / best).read_bytes()


@pytest.mark.parametrize(
    ("settings", "present", "told"),
    [
        ({"devices": 2, "nodes": 2}, "", "asks for 4 processes, and there are 1.*`srun emulant train RUN`"),
        ({"devices": 2}, "3", "asks for 2 processes, and there are 3"),
    ],
)
def test_processes_that_are_too_few_or_on_other_nodes_are_told(monkeypatch, settings, present, told):
    if present:
        monkeypatch.setenv("SLURM_STEP_NUM_TASKS", present)
        monkeypatch.setenv("SLURM_PROCID", "0")
    with pytest.raises(UsageError, match=told), ranks.gathered(TrainingTable(**settings), ["false"]):
        pass


def test_a_follower_that_does_not_start_is_told_at_once():
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(EngineError, match="has not started"), ranks.gathered(TrainingTable(devices=2), command):
        raise AssertionError("nobody is there to train with")
    assert ranks.here() == ranks.Place(), "the environment is as it was"


def test_the_place_of_a_process_is_what_its_starter_says(monkeypatch):
    assert ranks.here() == ranks.Place()
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert ranks.here().starter == "", "the shell of a job is no step of it"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert ranks.here() == ranks.Place(3, 4, "slurm")
    assert ranks.here().follows


def test_devices_are_counted():
    assert ranks.wanted(TrainingTable(devices=3, nodes=2)) == 6
    assert ranks.wanted(TrainingTable(devices="auto", accelerator="cpu", nodes=2)) == 2


@settings(max_examples=50)
@given(count=st.integers(1, 9), processes=st.integers(1, 4))
def test_the_shares_of_a_batch_make_the_whole_of_it(count, processes):
    batch = (torch.arange(count), torch.arange(2 * count).reshape(count, 2))
    shares = [share_of_rows(batch, rank, processes) for rank in range(processes)]
    assert sum(part for _, part in shares) == pytest.approx(1)
    rows = torch.cat([own[0] for own, part in shares if part])
    assert sorted(rows.tolist()) == list(range(count))
    mean = sum(part * own[1].double().mean() for own, part in shares)
    assert float(mean) == pytest.approx(float(batch[1].double().mean()))
    assert all(len(own[0]) for own, _ in shares), "every process has something to compute"


def test_what_came_of_a_training_stands_beside_its_weights(trained):
    mark = json.loads((trained[1][0] / "models" / "residual_mlp" / "training.json").read_bytes())
    assert mark["epochs"] == 5
    assert 1 <= mark["best_epoch"] <= 5

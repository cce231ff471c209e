"""The toy as an installed system, so that processes of their own (ranks, jobs) find it; and a study of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w

from emulant.dataset.store import Manifest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Environment in which `emulant` knows the system `toy`."""
    folder = tmp_path_factory.mktemp("installed")
    described = folder / "toy-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[emulant.systems]\ntoy = toy:system\n")
    return {**os.environ, "PYTHONPATH": f"{folder}:{TESTS}"}


@pytest.fixture
def command(environment):
    """Call the command in a process of its own, behind `before` (mpirun): the finished process."""

    def call(*arguments, before=(), code=0):
        words = [*before, sys.executable, "-m", "emulant", *map(str, arguments)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stderr
        return done

    return call


@pytest.fixture
def study(tmp_path):
    """Write a study of the toy (12 training shards, 2 of test); tables by keyword."""

    def write(**system):
        document = {
            "system": {"name": "toy", **system},
            "splits": {"training": 24, "test": 4},
            "dataset": {"shard_cases": 2},
            "evaluation": {"resamples": 1000},
            "report": {"films": False},
        }
        path = tmp_path / "toy.toml"
        path.write_text(tomli_w.dumps(document))
        return path

    return write


@pytest.fixture(scope="session")
def expected(environment, tmp_path_factory):
    """The hashes of the toy study, by the engine `local`."""
    folder = tmp_path_factory.mktemp("local")
    study = folder / "toy.toml"
    study.write_text(
        "[system]\nname = 'toy'\n[splits]\ntraining = 24\ntest = 4\n[dataset]\nshard_cases = 2\n", encoding="utf-8"
    )
    words = [sys.executable, "-m", "emulant", "generate", str(study), "-o", str(folder / "run"), "--quiet"]
    subprocess.run(words, env=environment, check=True, timeout=60)
    return hashes(folder / "run")


def hashes(folder):
    return {split: Manifest.read(folder / split).dataset_sha256 for split in ("training", "test")}


@pytest.fixture(name="hashes", scope="session")
def hashes_of_a_run():
    return hashes


@pytest.fixture
def receipts():
    """When each finished training shard of a run was written: a shard that is done again would be written anew."""

    def read(run):
        return {path.name: path.stat().st_mtime_ns for path in (run / "training" / ".shards").glob("*.json")}

    return read

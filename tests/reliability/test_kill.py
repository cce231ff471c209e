"""Kill anything at any moment: the same command goes on and ends in the same hash."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emulant.dataset.store import Manifest

DRIVER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
sys.path.insert(0, {tests!r})
import toy
from emulant import api, study

if __name__ == "__main__":
    document = {{"system": {{"name": "toy", "seconds": 0.02}}, "splits": {{"training": 24, "test": 4}},
                 "dataset": {{"shard_cases": 2}}}}
    api.generate(study.from_document(document, "test", toy.system), sys.argv[1], workers=2)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    path = tmp_path_factory.mktemp("driver") / "driver.py"
    path.write_text(DRIVER.format(tests=str(Path(__file__).parents[1])))
    return path


@pytest.fixture(scope="module")
def undisturbed(driver, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run([sys.executable, driver, folder], check=True, timeout=60)
    return hashes(folder)


def hashes(folder):
    return {split: Manifest.read(folder / split).dataset_sha256 for split in ("training", "test")}


def workers_of(pid):
    """The processes that descend from `pid`."""
    found, parents = [], {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended while we looked
    wave = [pid]
    while wave:
        wave = [child for child, parent in parents.items() if parent in wave]
        found += wave
    return found


def wait_for(folder, shards):
    deadline = time.monotonic() + 30
    while len(list((folder / "training" / ".shards").glob("*.json"))) < shards:
        assert time.monotonic() < deadline, "the driver makes no progress"
        time.sleep(0.005)


SOAK = [pytest.param(trial, marks=pytest.mark.soak) for trial in range(3, 40)]


@pytest.mark.parametrize("trial", [0, 1, 2, *SOAK])
def test_the_driver_is_killed_and_the_same_command_goes_on(driver, undisturbed, tmp_path, trial):
    rng = random.Random(trial)
    process = subprocess.Popen([sys.executable, driver, tmp_path])
    wait_for(tmp_path, rng.randrange(8))
    time.sleep(rng.random() * 0.05)
    children = workers_of(process.pid)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() and "Z" not in state(child) for child in children):
        assert time.monotonic() < deadline, "workers outlive their driver"
        time.sleep(0.05)
    subprocess.run([sys.executable, driver, tmp_path], check=True, timeout=60)
    assert hashes(tmp_path) == undisturbed


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


@pytest.mark.parametrize("trial", [0, 1, *SOAK])
def test_a_worker_is_killed_and_the_run_itself_goes_on(driver, undisturbed, tmp_path, trial):
    rng = random.Random(100 + trial)
    process = subprocess.Popen([sys.executable, driver, tmp_path])
    wait_for(tmp_path, 1 + rng.randrange(4))
    for child in workers_of(process.pid):
        command = Path(f"/proc/{child}/cmdline").read_bytes().decode()
        if "forkserver" in command and workers_of(child) == []:
            os.kill(child, signal.SIGKILL)
            break
    assert process.wait(timeout=60) == 0
    assert hashes(tmp_path) == undisturbed


def test_ctrl_c_leaves_a_run_that_goes_on(driver, undisturbed, tmp_path):
    process = subprocess.Popen([sys.executable, driver, tmp_path], stderr=subprocess.DEVNULL)
    wait_for(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) != 0
    subprocess.run([sys.executable, driver, tmp_path], check=True, timeout=60)
    assert hashes(tmp_path) == undisturbed

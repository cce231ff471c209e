"""The disk fails at every single step of every write: an error, nothing half-written taken as done, and on it goes."""

import errno
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import toy

from emulant import stages
from emulant import study as studies
from emulant.cli import main
from emulant.dataset.store import Store
from emulant.engines.executor import OnExecutor
from emulant.errors import DataError

STUDY = studies.from_document(
    {"system": {"name": "toy"}, "splits": {"training": 4, "test": 0}, "dataset": {"shard_cases": 2}}, "test", toy.system
)


def generate(folder):
    with ThreadPoolExecutor(1) as executor:
        return stages.generate(STUDY, folder, engine=OnExecutor(executor))["training"]


class Fault:
    """Lets `after` calls of the operating system through and fails the next one."""

    def __init__(self, monkeypatch, after, code):
        self.left, self.code, self.fired = after, code, False
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "write_bytes")):
            monkeypatch.setattr(owner, name, self.wrap(getattr(owner, name)))

    def wrap(self, call):
        def guarded(*args, **options):
            self.left -= 1
            if self.left == -1:
                self.fired = True
                raise OSError(self.code, os.strerror(self.code))
            return call(*args, **options)

        return guarded


def test_a_full_disk_at_any_step_loses_nothing(tmp_path, monkeypatch):
    clean = generate(tmp_path / "clean")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "clean" / "training").glob("*.npz")}
    for step in itertools.count():
        run = tmp_path / str(step)
        with monkeypatch.context() as patch:
            fault = Fault(patch, step, errno.ENOSPC)
            if step < 400:
                try:
                    generate(run)
                except DataError as error:
                    assert "No space left" in str(error)
                    assert "Free some space" in str(error)
                else:
                    assert not fault.fired, f"the fault at step {step} was swallowed"
        for shard in toy.system.shards(STUDY.config, "cases", "training"):
            if Store(run / "training").is_done(shard, STUDY.data_key):
                assert (run / "training" / f"shard_{shard.id}.npz").read_bytes() == whole[f"shard_{shard.id}.npz"]
        assert generate(run).dataset_sha256 == clean.dataset_sha256
        if not fault.fired:
            break
    assert step > 15, "the faults did not reach the shards"


def test_a_folder_that_cannot_be_written_is_told_in_one_line(capsys):
    assert main(["run", "swarm:smoke", "-o", "/proc/emulant", "--quiet"]) == 1
    error = capsys.readouterr().err
    assert "/proc/emulant" in error
    assert "cannot be written" in error
    assert "Traceback" not in error


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_in_one_line(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["run", "swarm:smoke", "-o", str(tmp_path / "run"), "--quiet"]) == 1
    assert "You may not write there" in capsys.readouterr().err


def test_two_drivers_on_one_run_do_harmless_double_work(tmp_path):
    clean = generate(tmp_path / "clean")
    with ThreadPoolExecutor(2) as drivers:
        both = list(drivers.map(generate, [tmp_path / "run"] * 2))
    assert {summary.dataset_sha256 for summary in both} == {clean.dataset_sha256}

"""Real mpirun: the same bytes from any number of ranks, and a second call that does what a kill has left."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no mpirun: apt-get install openmpi-bin"),
    pytest.mark.skipif(find_spec("mpi4py") is None, reason="there is no mpi4py: pip install 'emulant[mpi]'"),
]


def mpirun(ranks):
    """Open MPI does not run as root, nor on fewer cores than ranks, unless it is told to; MPICH does so by itself."""
    said = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False).stdout
    allow = ["--allow-run-as-root", "--oversubscribe"] if "Open MPI" in said else []
    return ["mpirun", *allow, "-n", str(ranks)]


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_bytes_do_not_depend_on_the_ranks(tmp_path, command, study, expected, hashes, ranks):
    run, log = tmp_path / "run", tmp_path / "log"
    log.mkdir()
    done = command("generate", study(log=str(log)), "-o", run, "--engine", "mpi", before=mpirun(ranks))
    assert hashes(run) == expected
    assert len(list(log.iterdir())) == 28, "each case is simulated once"
    assert done.stdout.count("dataset_sha256") == 1, "one rank speaks for all"


def test_a_rank_is_killed_and_a_second_call_does_the_rest(
    tmp_path, environment, command, study, expected, hashes, receipts
):
    run, file = tmp_path / "run", study(seconds=0.15)
    words = [*mpirun(2), sys.executable, "-m", "emulant", "generate", str(file), "-o", str(run), "--engine", "mpi"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(receipts(run)) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline, "the ranks make no progress"
            time.sleep(0.01)
        os.kill(rank_of(process.pid, 1), signal.SIGKILL)
        assert process.wait(timeout=60) != 0
    before = receipts(run)
    assert 3 <= len(before) < 12
    command("generate", file, "-o", run, "--engine", "mpi", before=mpirun(2))
    after = receipts(run)
    assert {name: after[name] for name in before} == before, "what was done is done again"
    assert hashes(run) == expected


def rank_of(mpirun_pid, rank):
    """A rank's process: the nearest descendants of mpirun that run emulant (MPICH has a proxy in between)."""
    table = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    ranks, wave = [], {str(mpirun_pid)}
    while not ranks:
        children = [row for row in rows if row[1] in wave]
        assert children, "mpirun has no ranks"
        ranks = [int(pid) for pid, _, words in children if "-m emulant generate" in words]
        wave = {pid for pid, _, _ in children}
    return sorted(ranks)[rank]


def test_a_case_that_crashes_is_recorded_and_takes_no_rank_down(tmp_path, command, study, expected, hashes):
    file = study(behaviour={"training/3": "kill", "training/5": "crash"})
    done = command(
        *("generate", file, "-o", tmp_path / "run", "--set", "dataset.allowed_failures=0.5", "--engine", "mpi"),
        before=mpirun(2),
        code=1,
    )
    assert "training case 3: crashed its process (signal SIGKILL)" in done.stdout
    assert "training case 5: crashed its process (exit code 7)" in done.stdout
    assert hashes(tmp_path / "run")["test"] == expected["test"]


def test_a_call_that_cannot_be_carried_out_ends_on_all_ranks(tmp_path, command, study):
    done = command(
        *("generate", study(), "-o", tmp_path / "run", "--split", "tset", "--engine", "mpi"), before=mpirun(3), code=2
    )
    assert done.stderr.count("the study has no split `tset`") == 1

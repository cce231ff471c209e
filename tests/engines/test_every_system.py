"""Every system on every engine: the same hashes (soak)."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest

from emulant.cluster import jobs
from emulant.folder import RunFolder

CLUSTER = Path(__file__).parents[2] / ".ci" / "slurm"
SYSTEMS = ("swarm", "pendulum", "scenes", "flavor", "halos")
LIMIT = 7
"""MaxArraySize of the test cluster: some elements have several shards."""
pytestmark = pytest.mark.soak


def generate(system, run, *options, before=()):
    words = [*before, sys.executable, "-m", "emulant", "generate", f"{system}:smoke", "-o", str(run), *options]
    done = subprocess.run([*words, "--quiet"], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    return hashes(run)


def hashes(run):
    """`dataset_sha256` of every split."""
    paths = run.glob("*/manifest.json")
    return {path.parent.name: orjson.loads(path.read_bytes())["dataset_sha256"] for path in paths}


@pytest.fixture(scope="module", params=SYSTEMS)
def system(request):
    return request.param


@pytest.fixture(scope="module")
def expected(system, tmp_path_factory):
    """The hashes of a system by one process of this machine."""
    found = generate(system, tmp_path_factory.mktemp("one") / "run", "--workers", "1")
    assert found
    return found


def test_two_processes(system, expected, tmp_path):
    assert generate(system, tmp_path / "run", "--workers", "2") == expected


@pytest.mark.skipif(find_spec("distributed") is None, reason="there is no dask: pip install 'emulant[dask]'")
@pytest.mark.parametrize("timeout", [None, 600.0], ids=["", "bounded"])
def test_dask(system, expected, tmp_path, timeout):
    bound = () if timeout is None else ("--set", f"dataset.timeout={timeout}")
    assert generate(system, tmp_path / "run", "--engine", "dask", "--workers", "2", *bound) == expected


@pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no mpirun: apt-get install openmpi-bin")
@pytest.mark.skipif(find_spec("mpi4py") is None, reason="there is no mpi4py: pip install 'emulant[mpi]'")
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_mpi(system, expected, tmp_path, ranks):
    said = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False).stdout
    allow = ["--allow-run-as-root", "--oversubscribe"] if "Open MPI" in said else []
    before = ["mpirun", *allow, "-n", str(ranks)]
    assert generate(system, tmp_path / "run", "--engine", "mpi", before=before) == expected


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment in which a SLURM of this machine is found."""
    if shutil.which("slurmctld") is None or os.geteuid() != 0:
        pytest.skip("there is no SLURM that we may start: apt-get install slurm-wlm, and be root")
    folder = tmp_path_factory.mktemp("slurm")
    limited = {**os.environ, "MAX_ARRAY_SIZE": str(LIMIT)}
    subprocess.run([CLUSTER, "start", folder], env=limited, check=True, capture_output=True, timeout=120)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield {**os.environ}
    del os.environ["SLURM_CONF"]
    subprocess.run([CLUSTER, "stop", folder], check=True, timeout=120)


def test_slurm(system, expected, tmp_path, cluster):
    run = tmp_path / "run"
    words = [sys.executable, "-m", "emulant", "submit", f"{system}:smoke", "-o", str(run), "--dry-run"]
    subprocess.run(words, env=cluster, check=True, capture_output=True, timeout=300)
    script = run / "slurm" / "submit.sh"  # without what comes after the data
    lines = [line for line in script.read_text().splitlines() if not line.startswith(("job_train=", "job_evaluate="))]
    script.write_text("\n".join(lines) + "\n")
    subprocess.run(["bash", script], env=cluster, check=True, capture_output=True, timeout=120)
    deadline = time.monotonic() + 1800
    while any(job.get("running") or job.get("waiting") for job in jobs.status(RunFolder(run))):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert hashes(run) == expected

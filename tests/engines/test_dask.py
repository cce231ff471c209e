"""A real Dask cluster, here or elsewhere: the same bytes, killed workers survived, the right case blamed."""

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import toy

from emulant import stages
from emulant import study as studies
from emulant.engines.dask import Dask
from emulant.errors import EngineError

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="there is no dask: pip install 'emulant[dask]'"
)


@pytest.fixture(scope="module")
def cluster(environment):
    """Two workers with little patience: a task that has killed two of them is taken for a killer."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def generate(cluster, tmp_path):
    """Simulate a toy study on the cluster: what its splits hold."""
    from distributed import Client

    def call(timeout=None, **system):
        bounds = {} if timeout is None else {"timeout": timeout}
        document = {
            "system": {"name": "toy", **system},
            "splits": {"training": 24, "test": 4},
            "dataset": {"shard_cases": 2, "allowed_failures": 0.5, **bounds},
        }
        with Client(cluster) as client:
            study = studies.from_document(document, "test", toy.system)
            return stages.generate(study, tmp_path / "run", engine=Dask(client))

    return call


def test_the_command_starts_a_cluster_and_says_where_its_dashboard_is(tmp_path, command, study, expected, hashes):
    done = command("generate", study(), "-o", tmp_path / "run", "--engine", "dask", "--workers", "2")
    assert "dask dashboard: http://127.0.0.1:" in done.stderr
    assert hashes(tmp_path / "run") == expected


def test_the_command_uses_a_cluster_that_is_there(tmp_path, cluster, command, study, expected, hashes):
    command("generate", study(), "-o", tmp_path / "run", "--engine", "dask", "--scheduler", cluster.scheduler_address)
    assert hashes(tmp_path / "run") == expected


def test_a_worker_is_killed_and_the_call_goes_on(tmp_path, generate, expected, hashes):
    once = tmp_path / "once"
    once.mkdir()
    summaries = generate(behaviour={"training/3": "kill"}, once=str(once))
    assert list(once.iterdir()), "no worker was killed"
    assert summaries["training"].failed == 0
    assert hashes(tmp_path / "run") == expected


def test_a_case_that_kills_every_worker_is_recorded_and_the_others_finish(generate, expected):
    summaries = generate(behaviour={"training/3": "kill"})
    assert dict(summaries["training"].reasons) == {3: "crashed its worker"}
    assert summaries["training"].ok == 23
    assert summaries["test"].dataset_sha256 == expected["test"]


def test_a_case_that_hangs_is_ended_and_recorded(cluster, generate, expected):
    summaries = generate(behaviour={"training/3": "hang"}, timeout=1.0)
    assert dict(summaries["training"].reasons) == {3: "timed out: more than 1 s a case"}
    assert summaries["training"].ok == 23
    assert summaries["test"].dataset_sha256 == expected["test"]
    assert len(cluster.workers) == 2, "no worker had to die for it"


def test_a_fault_of_ours_on_a_worker_is_told_with_its_shard(cluster):
    from distributed import Client

    from emulant.dataset.seams import Shard
    from emulant.dataset.work import GenerateShards

    config = SimpleNamespace(dataset=SimpleNamespace(timeout=None))
    without_system = GenerateShards(None, config, Path(), "")  # workers know no test module
    with Client(cluster) as client, pytest.raises(EngineError, match="shard training/00000: AttributeError"):
        list(Dask(client).run([Shard("00000", "training", (0,))], without_system))


@pytest.mark.parametrize("address", [pytest.param("tcp://127.0.0.1:1", marks=pytest.mark.soak), "nowhere"])
def test_a_scheduler_that_is_not_there_is_told(tmp_path, command, study, address):
    done = command("generate", study(), "-o", tmp_path / "run", "--engine", "dask", "--scheduler", address, code=1)
    assert f"--scheduler {address}: there is no Dask scheduler to be reached" in done.stderr
    assert not (tmp_path / "run").exists()

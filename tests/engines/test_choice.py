"""Engines by name, and executors of other packages from Python."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import toy

from emulant import api
from emulant import study as studies
from emulant.errors import EngineError


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "slurm"], "`emulant submit STUDY -o RUN`"),
        (["--scheduler", "tcp://127.0.0.1:8786"], "is for --engine dask"),
        (["--workers", "0"], "--workers 0: there must be at least one"),
        (["--engine", "mpi", "--workers", "0"], "--workers 0: there must be at least one"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "generate"])
def test_options_that_do_not_go_together_write_nothing(tmp_path, emulant, verb, options, told):
    code, _, err = emulant(verb, "swarm:smoke", "-o", tmp_path / "run", *options)
    assert (code, told in err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_an_engine_whose_package_is_missing_says_what_to_install(tmp_path, emulant, monkeypatch):
    import sys

    for engine, package in {"mpi": "mpi4py", "dask": "distributed"}.items():
        monkeypatch.setitem(sys.modules, package, None)
        code, _, err = emulant("generate", "swarm:smoke", "-o", tmp_path / "run", "--engine", engine)
        assert (code, f"pip install 'emulant[{engine}]'" in err) == (2, True)


def toy_study(dataset=None, **system):
    document = {
        "system": {"name": "toy", **system},
        "splits": {"training": 24, "test": 4},
        "dataset": {"shard_cases": 2, **(dataset or {})},
    }
    return studies.from_document(document, "test", toy.system)


@pytest.fixture
def executor():
    loky = pytest.importorskip("loky")
    executor = loky.ProcessPoolExecutor(max_workers=2)
    yield executor
    executor.shutdown(kill_workers=True)


def test_a_case_that_hangs_on_an_executor_is_ended_and_recorded(tmp_path, expected):
    study = toy_study(behaviour={"training/3": "hang"}, dataset={"timeout": 1.0, "allowed_failures": 0.5})
    with ThreadPoolExecutor(2) as executor:
        found = api.generate(study, tmp_path / "run", executor=executor)
    assert dict(found["training"].reasons) == {3: "timed out: more than 1 s a case"}
    assert (found["training"].ok, found["test"].dataset_sha256) == (23, expected["test"])


def test_loky_gives_the_same_bytes(tmp_path, executor, expected):
    found = api.generate(toy_study(), tmp_path / "run", executor=executor)
    assert {split: summary.dataset_sha256 for split, summary in found.items()} == expected


def test_a_worker_of_loky_is_killed_and_a_second_call_does_the_rest(tmp_path, executor, expected, receipts):
    (tmp_path / "once").mkdir()
    study, run = toy_study(behaviour={"training/21": "kill"}, once=str(tmp_path / "once")), tmp_path / "run"
    with pytest.raises(EngineError, match="Nothing is lost"):
        api.generate(study, run, executor=executor)
    before = receipts(run)
    assert before, "nothing was kept"
    found = api.generate(study, run, workers=1)
    assert {split: summary.dataset_sha256 for split, summary in found.items()} == expected
    assert {name: time for name, time in receipts(run).items() if name in before} == before

"""Workers may raise, crash, hang or be killed: the others finish, and the right case gets the blame."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import toy

from emulant.dataset.seams import Shard
from emulant.dataset.store import Store
from emulant.dataset.tables import DatasetTable
from emulant.dataset.work import GenerateShards
from emulant.engines.executor import OnExecutor
from emulant.engines.local import Local
from emulant.errors import EngineError

SHARDS = [Shard(f"{i:05d}", "training", (2 * i, 2 * i + 1)) for i in range(4)]


def work(folder, timeout=None, **table):
    config = toy.ToyConfig(system=toy.ToyTable(**table), dataset=DatasetTable(timeout=timeout))
    Store(folder / "training").begin()
    return GenerateShards(toy.system, config, folder, "key")


def digest(folder):
    return Store(folder / "training").write_manifest("toy", "training", "key", dict(toy.Toy.fields), SHARDS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    generate = work(folder)
    for shard in SHARDS:
        generate(shard)
    return digest(folder)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_bytes_do_not_depend_on_the_workers(tmp_path, workers, undisturbed):
    outcomes = list(Local(workers).run(SHARDS, work(tmp_path)))
    assert sorted(outcome.shard.id for outcome in outcomes) == [shard.id for shard in SHARDS]
    assert digest(tmp_path) == undisturbed


def test_nor_on_the_order_or_the_engine(tmp_path, undisturbed):
    with ThreadPoolExecutor(3) as executor:
        list(OnExecutor(executor).run(SHARDS[::-1], work(tmp_path)))
    assert digest(tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "ValueError: the toy broke"),
        ("nan", "walk is not finite"),
        ("crash", "crashed its process (exit code 7)"),
        ("kill", "crashed its process (signal SIGKILL)"),
        ("hang", "timed out: more than 0.7 s a case"),
    ],
)
def test_a_bad_case_is_recorded_with_its_reason_and_the_others_finish(tmp_path, how, reason):
    generate = work(tmp_path, timeout=0.7, behaviour={"training/3": how})
    outcomes = {outcome.shard.id: outcome for outcome in Local(2).run(SHARDS, generate)}
    assert sum(outcome.ok for outcome in outcomes.values()) == 7
    assert outcomes["00001"].failed == 1
    cases = {case.case: case for case in Store(tmp_path / "training").sidecar("00001").cases}
    assert (cases[2].status, cases[3].status, cases[3].reason) == ("ok", "failed", reason)


def test_a_worker_that_is_killed_once_costs_nothing(tmp_path, undisturbed):
    """As the kernel does when memory runs out: no case is to blame, so none is lost."""
    (tmp_path / "once").mkdir()
    folder = tmp_path / "run"
    list(Local(2).run(SHARDS, work(folder, behaviour={"training/3": "kill"}, once=str(tmp_path / "once"))))
    assert digest(folder) == undisturbed


def test_workers_that_cannot_start_are_an_error_of_the_engine(tmp_path):
    class Unknown(toy.Toy):  # cannot be unpickled on the other side: it has no name there
        pass

    Unknown.__qualname__ = Unknown.__name__ = "system_of_nobody"
    toy.system_of_nobody = Unknown
    Unknown.__module__ = "toy"
    generate = GenerateShards(Unknown(), toy.ToyConfig(), tmp_path, "key")
    try:
        with pytest.raises(EngineError, match="workers cannot start"):
            list(Local(1).run(SHARDS, generate))
    finally:
        del toy.system_of_nobody


def test_an_executor_that_breaks_is_told_and_the_store_keeps_what_is_done(tmp_path):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    generate = work(tmp_path, behaviour={"training/7": "kill"})
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor, pytest.raises(EngineError, match="broke"):
        list(OnExecutor(executor).run(SHARDS, generate))
    assert [Store(tmp_path / "training").is_done(shard, "key") for shard in SHARDS] == [True, True, True, False]


def test_a_worker_that_is_killed_before_it_has_begun_costs_nothing(tmp_path, undisturbed, monkeypatch):
    from emulant.engines import local

    begin, killed = local._Worker.__init__, []

    def begin_and_die(self, context, work):
        begin(self, context, work)
        if len(killed) < 2:
            killed.append(self.process.pid)
            self.process.kill()

    monkeypatch.setattr(local._Worker, "__init__", begin_and_die)
    list(Local(2).run(SHARDS, work(tmp_path)))
    assert len(killed) == 2
    assert digest(tmp_path) == undisturbed

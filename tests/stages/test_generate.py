"""Generation: resumes, adds, refuses, counts failures."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import toy

from emulant import stages
from emulant import study as studies
from emulant.engines.executor import OnExecutor
from emulant.errors import SimulationError, UsageError
from emulant.folder import RunFolder
from emulant.runs import Run
from emulant.status import status


def study(**tables):
    document = {"system": {"name": "toy"}, "dataset": {"shard_cases": 2}, "evaluation": {"resamples": 1000}}
    for name, table in tables.items():
        document[name] = {**document.get(name, {}), **table} if isinstance(table, dict) else table
    return studies.from_document(document, "test", toy.system)


def generate(folder, *, engine=None, options=None, **tables):
    with ThreadPoolExecutor(2) as executor:
        engine = engine or OnExecutor(executor)
        return stages.generate(study(**tables), folder, engine=engine, **(options or {}))


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


def simulated(log):
    return sorted(path.name.rsplit("_", 1)[0] for path in log.iterdir())


def test_a_second_call_computes_nothing_and_finds_the_same_hash(tmp_path, log):
    system = {"log": str(log)}
    first = generate(tmp_path / "run", system=system)
    assert len(simulated(log)) == 9
    second = generate(tmp_path / "run", system=system)
    assert len(simulated(log)) == 9
    assert {split: s.dataset_sha256 for split, s in first.items()} == {
        split: s.dataset_sha256 for split, s in second.items()
    }
    assert [s.computed for s in second.values()] == [0, 0]


def test_only_what_is_damaged_is_computed_again(tmp_path, log):
    system = {"log": str(log)}
    first = generate(tmp_path / "run", system=system)
    for path in log.iterdir():
        path.unlink()
    (tmp_path / "run" / "training" / "shard_00001.npz").write_bytes(b"torn")
    again = generate(tmp_path / "run", system=system)
    assert simulated(log) == ["training_2", "training_3"]
    assert again["training"].dataset_sha256 == first["training"].dataset_sha256


def test_a_larger_split_only_adds_cases(tmp_path, log):
    small, large = tmp_path / "small", tmp_path / "large"
    generate(small, system={"log": str(log)})
    before = {path.name: path.read_bytes() for path in (small / "training").glob("shard_*.npz")}
    grown = generate(small, system={"log": str(log)}, splits={"training": 9})
    assert {name: (small / "training" / name).read_bytes() for name in before} == before
    assert (
        grown["training"].dataset_sha256
        == generate(large, splits={"training": 9}, system={"log": str(log)})["training"].dataset_sha256
    )


def test_parts_of_a_split_add_up(tmp_path):
    run = tmp_path / "run"
    whole = generate(tmp_path / "whole")["training"]
    first = generate(run, options={"splits": ["training"], "shards": range(1)})["training"]
    assert (first.complete, first.ok) == (False, 2)
    assert generate(run, options={"splits": ["training"], "shards": range(1, 9)})["training"].complete
    assert generate(run)["training"].dataset_sha256 == whole.dataset_sha256


@pytest.mark.parametrize(
    ("change", "named"),
    [({"system": {"size": 5}}, "system.size"), ({"seed": 1}, "seed"), ({"splits": {"training": 4}}, "splits.training")],
)
def test_another_study_is_refused_by_the_keys_that_differ(tmp_path, change, named):
    generate(tmp_path)
    before = (tmp_path / "study.toml").read_bytes()
    with pytest.raises(UsageError, match=rf"{named}.*--fresh"):
        generate(tmp_path, **change)
    assert (tmp_path / "study.toml").read_bytes() == before
    fresh = generate(tmp_path, options={"fresh": True}, **change)
    assert all(summary.complete for summary in fresh.values())


def test_settings_that_do_not_change_bytes_may_change(tmp_path):
    generate(tmp_path)
    assert generate(tmp_path, dataset={"timeout": 60.0}, evaluation={"confidence": 0.9})["training"].computed == 0


def test_another_version_of_the_physics_is_refused(tmp_path, monkeypatch):
    generate(tmp_path)
    monkeypatch.setattr(toy.Toy, "version", 2)
    with pytest.raises(UsageError, match="another version of the system `toy`"):
        generate(tmp_path)


def test_data_made_elsewhere_are_never_overwritten(tmp_path):
    precious = tmp_path / "training" / "train_000" / "traj.npz"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"months of computing")
    with pytest.raises(UsageError, match="did not make"):
        generate(tmp_path)
    with pytest.raises(UsageError, match="did not make"):
        generate(tmp_path, options={"fresh": True})
    assert precious.read_bytes() == b"months of computing"


def test_too_many_failures_are_an_error_that_counts_them_and_the_others_are_done(tmp_path):
    with pytest.raises(SimulationError, match=r"training: 1 of 6 .* case 3: ValueError: the toy broke"):
        generate(tmp_path, system={"behaviour": {"training/3": "raise"}})
    again = generate(tmp_path, system={"behaviour": {"training/3": "raise"}}, dataset={"allowed_failures": 0.5})
    assert (again["training"].ok, again["training"].failed, again["training"].computed) == (5, 1, 0)
    assert again["training"].reasons == {3: "ValueError: the toy broke"}


def test_failed_cases_are_tried_again_on_request_and_then_the_hash_is_the_undisturbed_one(tmp_path):
    once = tmp_path / "once"
    once.mkdir()
    broken = {"system": {"behaviour": {"training/3": "raise"}, "once": str(once)}, "dataset": {"allowed_failures": 1.0}}
    # the first look at case 3 raises within its shard, the second on its own: both are the failure
    (once / "training_3").touch()
    (once / "training_3").unlink()
    clean = generate(tmp_path / "clean", system={"once": str(once)})["training"].dataset_sha256

    class Fails(toy.Toy):
        def simulate_case(self, split, case, config):
            if (split, case) == ("training", 3):
                raise ValueError("the toy broke")
            return super().simulate_case(split, case, config)

    failing = studies.from_document(
        {"system": {"name": "toy", "once": str(once)}, "dataset": {"shard_cases": 2, "allowed_failures": 1.0}},
        "test",
        Fails(),
    )
    with ThreadPoolExecutor(1) as executor:
        first = stages.generate(failing, tmp_path / "run", engine=OnExecutor(executor))["training"]
    assert (first.failed, first.dataset_sha256 == clean) == (1, False)
    kept = generate(tmp_path / "run", **{**broken, "system": {"once": str(once)}})["training"]
    assert kept.failed == 1
    mended = generate(tmp_path / "run", options={"retry_failed": True}, system={"once": str(once)})["training"]
    assert (mended.failed, mended.dataset_sha256 == clean) == (0, True)


def test_rejected_cases_are_counted_and_are_no_failure(tmp_path):
    summary = generate(tmp_path, system={"behaviour": {"training/3": "reject"}})["training"]
    assert (summary.ok, summary.rejected, summary.failed, summary.complete) == (5, 1, 0, True)


def test_unknown_split_and_a_file_in_place_of_a_folder(tmp_path):
    with pytest.raises(UsageError, match=r"no split `tets`.*training, test"):
        generate(tmp_path / "run", options={"splits": ["tets"]})
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        generate(tmp_path / "file")
    assert Path(tmp_path / "file").read_text() == "x"


class TwoPasses(toy.Toy):
    """The toy, with a pass before that of its cases."""

    name = "two_passes"
    passes = ("walks", "cases")

    def shards(self, config, pass_, split):
        return [replace(shard, id=f"{split}-{shard.id}") for shard in super().shards(config, pass_, split)]


def test_passes_can_be_run_one_at_a_time(tmp_path):
    document = {"system": {"name": "toy"}, "dataset": {"shard_cases": 2}}
    loaded, run = studies.from_document(document, "test", TwoPasses()), tmp_path / "run"
    with ThreadPoolExecutor(2) as executor:
        engine = OnExecutor(executor)
        first = stages.generate(loaded, run, passes=["walks"], engine=engine)
        assert [summary.complete for summary in first.values()] == [False, False]
        assert sorted(path.stem for path in (run / "walks" / ".shards").iterdir())[0] == "test-00000"
        state = status(Run(RunFolder(run), loaded))
        assert state["splits"]["training"]["done"] == 0
        second = stages.generate(loaded, run, passes=["cases"], engine=engine)
        whole = stages.generate(loaded, tmp_path / "whole", engine=engine)
        with pytest.raises(UsageError, match="no pass `dances`"):
            stages.generate(loaded, run, passes=["dances"], engine=engine)
    assert [summary.complete for summary in second.values()] == [True, True]
    assert [s.dataset_sha256 for s in second.values()] == [s.dataset_sha256 for s in whole.values()]

"""Done means: the receipt is there, it is for this work, and every file that it names is whole."""

import json
import os

import pytest
import toy

from emulant.dataset.seams import Shard
from emulant.dataset.store import SIDECARS, Manifest, Sidecar, Store, StoredFile
from emulant.dataset.work import GenerateShards
from emulant.errors import DataError

SHARD = Shard("00000", "training", (0, 1, 2))


@pytest.fixture
def store(tmp_path):
    """A store with one finished shard."""
    found = Store(tmp_path / "training")
    found.begin()
    GenerateShards(toy.system, toy.ToyConfig(), tmp_path, "key")(SHARD)
    return found


def test_a_finished_shard_is_done(store):
    assert store.is_done(SHARD, "key")


def test_a_shard_of_another_study_or_of_other_cases_is_not_done(store):
    assert not store.is_done(SHARD, "another key")
    assert not store.is_done(Shard("00000", "training", (0, 1, 2, 3)), "key")
    assert not store.is_done(Shard("00001", "training", (0, 1, 2)), "key")


def test_a_file_that_is_changed_short_or_gone_undoes_its_shard(store):
    file = store.folder / "shard_00000.npz"
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + b"x", whole[: len(whole) // 2] + b"\0" + whole[len(whole) // 2 + 1 :]):
        file.write_bytes(damaged)
        assert not store.is_done(SHARD, "key")
    file.write_bytes(whole)
    assert store.is_done(SHARD, "key")
    file.unlink()
    assert not store.is_done(SHARD, "key")


def test_the_quick_look_sees_sizes_and_the_thorough_one_bytes(store):
    file = store.folder / "shard_00000.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert store.is_done(SHARD, "key", read=False)
    assert not store.is_done(SHARD, "key")


@pytest.mark.parametrize("change", ["torn", "cases", "hash", "files", "foreign"])
def test_a_receipt_that_says_something_else_counts_as_none(store, change):
    path = store.folder / SIDECARS / "00000.json"
    value = json.loads(path.read_text())
    match change:
        case "torn":
            path.write_text(path.read_text()[:-20])
        case "cases":
            value["cases"][0]["status"] = "rejected"
        case "hash":
            value["files"][0]["sha256"] = "0" * 64
        case "files":
            value["files"] = []
        case "foreign":
            value = {"hello": "world"}
    if change != "torn":
        path.write_text(json.dumps(value))
    assert store.sidecar("00000") is None
    assert not store.is_done(SHARD, "key")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "C:x", "a\\b", "a\0b", ""])
def test_a_path_cannot_leave_its_folder(path):
    with pytest.raises(ValueError, match="leaves its folder"):
        StoredFile(path=path, bytes=1, sha256="0")


def test_a_link_cannot_leave_its_folder(store, tmp_path):
    file = store.folder / "shard_00000.npz"
    elsewhere = tmp_path / "elsewhere.npz"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert not store.is_done(SHARD, "key")


def test_two_processes_write_the_same_manifest(store):
    fields = dict(toy.Toy.fields)
    first = store.write_manifest("toy", "training", "key", fields, [SHARD])
    content = (store.folder / "manifest.json").read_bytes()
    assert store.write_manifest("toy", "training", "key", fields, [SHARD]) == first
    assert (store.folder / "manifest.json").read_bytes() == content
    assert Manifest.read(store.folder).dataset_sha256 == first


def test_a_manifest_of_a_newer_emulant_is_refused_by_name(store):
    store.write_manifest("toy", "training", "key", {}, [SHARD])
    path = store.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(DataError, match=r"schema version 99.*Update emulant"):
        Manifest.read(store.folder)


def test_failed_cases_are_outside_the_hash_and_rejected_ones_inside(tmp_path):
    def sidecar(behaviour):
        folder = tmp_path / json.dumps(behaviour).strip("{}").replace('"', "").replace("/", "_").replace(":", "")
        config = toy.ToyConfig(system=toy.ToyTable(behaviour=behaviour))
        work = GenerateShards(toy.system, config, folder, "key")
        work(Shard("0", "training", (0, 1)))
        return work.store(Shard("0", "training", (0, 1))).sidecar("0")

    fine, failed, rejected = sidecar({}), sidecar({"training/1": "raise"}), sidecar({"training/1": "reject"})
    assert len({fine.sha256, failed.sha256, rejected.sha256}) == 3
    assert (failed.count("ok"), failed.count("failed")) == (1, 1)
    assert failed.cases[1].reason == "ValueError: the toy broke"
    without = Sidecar.make(Shard("0", "training", (0,)), "key", [], failed.files, 0.0)
    assert without.sha256 != failed.sha256  # case 0 is named


def test_what_a_kill_has_left_is_swept_out_later_but_not_under_a_writer(store):
    old, new = (store.folder / f"{name}.npz.00000000.partial" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.begin()
    assert not old.exists()
    assert new.exists()

"""`emulant validate` on trees of JSON lines that are of no run."""

import orjson
import pytest


@pytest.fixture
def tree(scenes_run, tmp_path, emulant):
    folder = tmp_path / "tree"
    assert emulant("export", scenes_run / "test", "--format", "jsonl", "-o", folder)[0] == 0
    return folder


@pytest.mark.parametrize("study", [(), ("--study", "scenes")])
def test_a_tree_that_was_exported_is_sound_and_simulates_again_from_its_headers(tree, emulant, study):
    code, out, _ = emulant("validate", tree, *study, "--resimulate", "4")
    assert code == 0
    assert "tree: 10 cases" in out
    assert "4 scenes simulated again from headers, largest deviation 0\n" in out


def test_a_frame_that_was_changed_a_little_is_found_by_simulating_again(tree, emulant):
    path = tree / "tower" / "scene_00000002.jsonl"
    lines = path.read_bytes().splitlines()
    frame = orjson.loads(lines[9])
    frame["objects"][1]["position"]["x"] += 0.5
    path.write_bytes(b"\n".join([*lines[:9], orjson.dumps(frame), *lines[10:]]))
    assert emulant("validate", tree)[0] == 0, "half a pixel is no wonder in itself"
    code, out, _ = emulant("validate", tree, "--resimulate", "10")
    assert code == 1
    assert "tower/1: resimulate: x of body 1 differs from frame 9 on" in out


def test_damaged_files_are_told_and_the_others_looked_at(tree, emulant):
    foreign, torn = tree / "tower" / "scene_00000001.jsonl", tree / "orbit" / "scene_00000002.jsonl"
    foreign.write_bytes(b'{"a": 1}\n')
    torn.write_bytes(torn.read_bytes()[:-40])
    twin = tree / "orbit" / "scene_00000007.jsonl"
    twin.write_bytes((tree / "orbit" / "scene_00000001.jsonl").read_bytes())
    code, out, _ = emulant("validate", tree)
    assert code == 1
    assert "scene_00000001.jsonl: its first line is not a scene_header" in out
    assert "orbit/1: file:" in out
    assert "orbit/6: duplicate: starts as tree: orbit/0 does" in out


def test_splits_below_a_folder_are_compared(tree, emulant):
    (tree.parent / "both").mkdir()
    tree.rename(tree.parent / "both" / "train")
    kept = tree.parent / "both" / "val" / "tower"
    kept.mkdir(parents=True)
    (kept / "scene_00000001.jsonl").write_bytes((kept.parents[1] / "train/tower/scene_00000002.jsonl").read_bytes())
    code, out, _ = emulant("validate", tree.parent / "both")
    assert code == 1
    assert "val: tower/0: leak: starts as train: tower/1 does" in out

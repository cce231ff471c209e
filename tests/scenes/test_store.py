"""Scenes on disk: both layouts give back what was simulated, and whatever is damaged is found and told."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scenes_files import generated

from emulant.errors import DataError
from emulant.systems.scenes.catalogue import TYPES, case_number, make_scene
from emulant.systems.scenes.files import FRAMES, digest, integers, read_state
from emulant.systems.scenes.header import header_of, scene_of
from emulant.systems.scenes.jsonlines import read_scene, scene_path, write_scene
from emulant.systems.scenes.readers import open_dataset
from emulant.systems.scenes.scene import FIELDS, SCALE, quantised
from emulant.systems.scenes.simulation import engine, simulate

ENGINE = engine(8, 10)


@pytest.fixture
def copied(scenes_run, tmp_path):
    """A run of one's own, to be damaged."""
    return shutil.copytree(scenes_run, tmp_path / "run")


@pytest.mark.parametrize("name", TYPES)
def test_the_header_alone_simulates_again_to_the_bit(name):
    scene = replace(make_scene(name, 1, 3, ENGINE), split="test", number=4)
    again = scene_of(orjson.loads(orjson.dumps(header_of(scene))), "here")
    assert again == scene
    frames = 2 if name == "chain_reaction" else 10
    np.testing.assert_array_equal(simulate(again, frames), simulate(scene, frames))


def test_a_split_gives_back_what_was_simulated(scenes_run):
    dataset = open_dataset(scenes_run / "test")
    case = case_number("tower", 1)
    recording = dataset.recording(case)
    np.testing.assert_array_equal(recording.state, quantised(simulate(recording.scene)))
    np.testing.assert_array_equal(integers(recording.state) / SCALE, recording.state)
    assert dataset.digest(case) == digest(integers(recording.state))
    assert dataset.cases.filter(case=case).row(0, named=True)["category"] == "stacking"


def test_arrays_are_padded_to_the_largest_scene_that_is_read(scenes_run):
    dataset = open_dataset(scenes_run / "test")
    arrays = dataset.read(list(FIELDS))
    assert list(arrays) == list(FIELDS)
    sizes = dataset.cases["objects"].to_numpy()
    assert arrays["state"].shape == (len(dataset), 20, sizes.max(), 6)
    np.testing.assert_array_equal(arrays["mask"][:, 0].sum(axis=1), sizes)
    np.testing.assert_array_equal((arrays["body_kind"] > 0).sum(axis=1), sizes)
    assert not arrays["state"][~arrays["mask"]].any()
    for name, array in arrays.items():
        assert array.dtype == np.dtype(FIELDS[name].dtype)
        assert array.ndim == len(FIELDS[name].dims) + 1
    pendulum = dataset.read(["joint_bodies", "joint_distance"], [case_number("pendulum", 0)])
    assert pendulum["joint_bodies"][0].tolist() == [[-1, 0]]
    assert pendulum["joint_distance"][0, 0] > 100


def test_both_layouts_hold_the_same_numbers(scenes_run, tmp_path):
    other = generated(tmp_path / "run", "dataset.layout=files")
    parquet, lines = open_dataset(scenes_run / "test"), open_dataset(other / "test")
    before, after = parquet.read(list(FIELDS)), lines.read(list(FIELDS))
    for name in FIELDS:
        np.testing.assert_array_equal(before[name], after[name])
    assert (other / "test" / "tower" / "scene_00000002.jsonl").is_file()


def test_two_workers_write_the_same_bytes(scenes_run, tmp_path):
    other = generated(tmp_path / "run", workers=2)
    for split in ("training", "test_ood"):
        for path in sorted((scenes_run / split).glob("*.parquet")):
            assert path.read_bytes() == (other / split / path.name).read_bytes()


def test_a_scene_stays_when_types_join_and_counts_grow(scenes_run, tmp_path):
    other = generated(tmp_path / "run", 'system.types=["tower","jenga"]', "splits.test=5")
    case = case_number("tower", 1)
    before, after = open_dataset(scenes_run / "test").recording(case), open_dataset(other / "test").recording(case)
    assert before.scene == after.scene
    np.testing.assert_array_equal(before.state, after.state)


def test_json_lines_come_back_and_have_the_documented_keys(tmp_path):
    scene = replace(make_scene("bridge", 3, 8, ENGINE), number=11)
    state = quantised(simulate(scene, 12))
    path = write_scene(scene_path(tmp_path, "bridge", 11), scene, state)
    assert path.name == "scene_00000012.jsonl"
    again, frames = read_scene(path)
    assert again == scene
    np.testing.assert_array_equal(frames, state)
    header, first, *_ = map(orjson.loads, path.read_bytes().splitlines())
    assert {"type", "seed", "object_count", "scenario_type", "static_geometry", "constraints", "forces"} <= set(header)
    assert header["constraints"][0]["type"] == "PivotJoint"
    assert set(first["objects"][0]) == {
        "id",
        "type",
        "position",
        "velocity",
        "angle",
        "angular_velocity",
        "material",
    }


def test_a_tree_of_json_lines_that_was_made_elsewhere_opens(tmp_path):
    for number in range(2):
        scene = replace(make_scene("pong", 1 + number, number, ENGINE), number=number)
        write_scene(scene_path(tmp_path / "train", "pong", number), scene, quantised(simulate(scene, 5)))
    dataset = open_dataset(tmp_path / "train")
    assert dataset.cases["difficulty"].to_list() == [1, 2]
    assert dataset.read(["state"])["state"].shape == (2, 5, 2, 6)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: lines[1:], "not a scene_header"),
        (lambda lines: [lines[0], b'{"a": 1}'], "line 2: is not a frame"),
        (lambda lines: [lines[0], lines[1][:50]], "line 2: is not JSON"),
        (lambda lines: [lines[0], lines[1].replace(b'"x":', b'"x":null,"z":', 1)], "not finite"),
        (lambda lines: [lines[0], lines[1].replace(b'"x":', b'"x":NaN,"z":', 1)], "is not JSON"),
        (lambda lines: [lines[0], lines[2], lines[1]], "is frame 1, where frame 3 belongs"),
        (lambda lines: [lines[0].replace(b'"object_count":1', b'"object_count":2'), *lines[1:]], "object_count"),
        (lambda lines: [lines[0].replace(b'"mass":1.0', b'"mass":-1.0'), *lines[1:]], "no mass"),
    ],
)
def test_foreign_lines_are_told_with_their_place(tmp_path, damage, told):
    scene = make_scene("pong", 1, 1, ENGINE)
    path = write_scene(tmp_path / "scene.jsonl", scene, quantised(simulate(scene, 3)))
    path.write_bytes(b"\n".join(damage(path.read_bytes().splitlines())))
    with pytest.raises(DataError, match=told):
        read_scene(path)


# -- validate -----------------------------------------------------------------------------------------------------


def test_good_data_are_found_good_and_simulate_again(scenes_run, emulant):
    code, out, _ = emulant("validate", scenes_run, "--resimulate", "3")
    assert code == 0
    assert "nothing found" in out
    assert "largest deviation 0" in out


def test_a_flipped_byte_is_found(copied, emulant):
    path = next((copied / "test").glob("frames_tower*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    code, out, _ = emulant("validate", copied / "test")
    assert code == 1
    assert f"{path.name}: file: is damaged" in out


def test_a_scene_that_is_there_twice_is_found_wherever_it_is(copied, emulant):
    shutil.rmtree(copied / "test")
    shutil.copytree(copied / "training", copied / "test")
    code, out, _ = emulant("validate", copied)
    assert code == 1
    assert "leak: starts as training: tower/0 does" in out


def tampered(tmp_path, scene, state):
    write_scene(scene_path(tmp_path / "test", scene.type, scene.number), scene, state)
    return open_dataset(tmp_path / "test")


def found(dataset):
    from emulant.systems.scenes.checks import check

    return {finding.check for finding in check(dataset)}


def test_tampered_physics_is_found(tmp_path):
    scene = replace(make_scene("tower", 1, 2, ENGINE), frames=30)
    state = quantised(simulate(scene))
    assert not found(tampered(tmp_path, scene, state))
    jumped, outside, short = state.copy(), state.copy(), state[:-1]
    jumped[15:, 2, 1] += 90
    outside[20:, 0, 0] = 900
    assert {"motion", "energy"} <= found(tampered(tmp_path, scene, jumped))
    assert "escape" in found(tampered(tmp_path, scene, outside))
    assert found(tampered(tmp_path, scene, short)) == {"schema"}
    pressed = replace(scene.bodies[1], position=(scene.bodies[1].position[0], scene.bodies[1].position[1] - 2))
    overlapping = replace(scene, bodies=(scene.bodies[0], pressed, *scene.bodies[2:]))
    assert "overlap" in found(tampered(tmp_path, overlapping, state))


def test_states_are_read_without_pandas(scenes_run):
    code = (
        "import sys; from pathlib import Path; from emulant.systems.scenes.readers import open_dataset; "
        f"open_dataset(Path({str(scenes_run / 'test')!r})).read(['state']); assert 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_empty_cells_are_told(tmp_path):
    columns = {name: pa.array([1, 2, None if name == "vx" else 3], pa.int32()) for name in FRAMES.names}
    path = tmp_path / "frames_x.parquet"
    pq.write_table(pa.table(columns, schema=FRAMES), path)
    with pq.ParquetFile(path) as file, pytest.raises(DataError, match="row group 0 has empty cells"):
        read_state(file, path, 0, 1)

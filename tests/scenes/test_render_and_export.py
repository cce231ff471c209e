"""What people look at: GIFs of scenes, and scenes in other layouts."""

import numpy as np
import pytest
from PIL import Image

from emulant.systems.scenes.catalogue import case_number, make_scene
from emulant.systems.scenes.jsonlines import read_scene
from emulant.systems.scenes.pictures import BLUE, GREEN, Painter
from emulant.systems.scenes.readers import open_dataset
from emulant.systems.scenes.scene import initial_state
from emulant.systems.scenes.simulation import engine


def test_the_gallery_of_a_study_needs_no_run(tmp_path, emulant):
    flags = ("--gallery", "-o", tmp_path / "gifs", "--types", "pong,tower", "--difficulty", "2", "--fps", "20")
    code, _, err = emulant("render", "scenes:smoke", *flags)
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "gifs").iterdir()) == ["pong.gif", "tower.gif"]
    with Image.open(tmp_path / "gifs" / "pong.gif") as film:
        assert film.size == (400, 300)
        assert film.n_frames > 10
        assert film.info["duration"] == 50


@pytest.mark.parametrize(
    ("flags", "told"),
    [((), "--gallery or --comparisons"), (("--gallery", "--types", "pnog"), "pong"), (("--galery",), "--gallery")],
)
def test_what_cannot_be_drawn_is_told(flags, told, emulant):
    code, _, err = emulant("render", "scenes:smoke", *flags)
    assert code == 2
    assert told in err


def test_a_body_is_drawn_where_it_is_in_its_colour():
    scene = make_scene("pong", 1, 1, engine(8, 10))
    state = initial_state(scene)
    painter = Painter((GREEN, BLUE))
    for hue, colour in ((0, GREEN), (1, BLUE)):
        colours = painter.colours[painter.frame(scene, state, hue)].astype(int)
        rows, columns = np.nonzero((colours == colour).all(axis=2))
        assert columns.mean() * 2 == pytest.approx(state[0, 0], abs=3)
        assert 600 - rows.mean() * 2 == pytest.approx(state[0, 1], abs=3)


def test_a_body_that_has_left_every_bound_is_not_drawn():
    scene = make_scene("billiards", 1, 1, engine(8, 10))
    state = initial_state(scene)
    state[:, 0] = np.inf
    Painter((GREEN,)).frame(scene, state)


def test_json_lines_of_a_split_are_the_store_s_numbers(scenes_run, tmp_path, emulant):
    code, _, err = emulant("export", scenes_run / "test", "--format", "jsonl", "-o", tmp_path / "out")
    assert code == 0, err
    scene, state = read_scene(tmp_path / "out" / "billiards" / "scene_00000002.jsonl")
    kept = open_dataset(scenes_run / "test").recording(case_number("billiards", 1))
    assert scene == kept.scene
    np.testing.assert_array_equal(state, kept.state)


def test_held_out_scenes_can_be_read(scenes_run, tmp_path, emulant):
    target = tmp_path / "held_out.txt"
    flags = ("--format", "text", "--types", "pong", "--scenes", "1", "-o", target)
    code, _, err = emulant("export", scenes_run / "test_heldout", *flags)
    assert code == 0, err
    lines = target.read_text().splitlines()
    assert lines[0].startswith("pong (minigame), difficulty 1: Discs fly between two paddles")
    assert sum(line.startswith("Frame ") for line in lines) == 20
    assert "Frame 7: object 0 circle at (" in "\n".join(lines)
    assert emulant("export", scenes_run / "test", *flags)[0] == 2, "pong is held out"


def test_a_type_that_is_not_there_is_told_even_beside_one_that_is(scenes_run, tmp_path, emulant):
    flags = ("--format", "text", "--types", "pong,bowling", "-o", tmp_path / "held_out.txt")
    code, _, err = emulant("export", scenes_run / "test_heldout", *flags)
    assert code == 2
    assert "test_heldout has no scene of bowling" in err
    assert not (tmp_path / "held_out.txt").exists()

"""Beginnings of contact, as the engine saw them and the store keeps them."""

import numpy as np
import pytest
from small_scenes import BOX, disc, scene

from emulant.systems.scenes.catalogue import case_number
from emulant.systems.scenes.contacts import FRAMES
from emulant.systems.scenes.readers import open_dataset
from emulant.systems.scenes.simulation import record, simulate


@pytest.mark.parametrize("substeps", [1, 8])
def test_every_bounce_of_a_ball_is_a_beginning(substeps):
    ball = scene([disc(10, (400, 200), e=1.0)], statics=BOX, substeps=substeps)
    states, contacts = record(ball)
    upwards = np.flatnonzero(np.diff(states[:, 0, 4]) > 50) + 2  # the frame at whose end it flies up
    assert len(upwards) > 3
    assert upwards[-1] > FRAMES
    bounces = contacts[np.isin(contacts[:, 0], upwards)]
    np.testing.assert_array_equal(bounces, [[frame, 0, -1] for frame in upwards])


def test_discs_that_meet_begin_to_touch_in_the_frame_that_turns_them():
    meeting = scene([disc(10, (500, 300), (-400, 0)), disc(10, (300, 300), (500, 0))], statics=(), gravity=(0, 0))
    states, contacts = record(meeting)
    turned = int(np.argmax(np.abs(np.diff(states[:, 0, 3])) > 1)) + 2
    np.testing.assert_array_equal(contacts, [[turned, 1, 0]])


def test_looking_changes_nothing():
    pile = scene([disc(10, (400 + offset, 70 + 25 * number)) for number, offset in enumerate((0, 4, -3, 2))])
    np.testing.assert_array_equal(record(pile)[0], simulate(pile))


def test_the_store_keeps_them(scenes_run):
    dataset = open_dataset(scenes_run / "test")
    case = case_number("tower", 1)
    _, contacts = record(dataset.scene(case))
    assert len(contacts) > 5
    np.testing.assert_array_equal(dataset.contacts(case), contacts)

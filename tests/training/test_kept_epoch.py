"""Which epoch the weights are of can be read without torch, and is kept when a surrogate writes its file."""

import torch

from emulant.surrogates.networks import write_network
from emulant.training.weights import Extras, write_weights
from emulant.training.workshop import BEST, kept_epoch


def test_it_is_in_the_header(tmp_path):
    write_weights(tmp_path / BEST, {"w": torch.ones(3)}, Extras({"epoch": 17, "size": 4}))
    assert kept_epoch(tmp_path) == 17


def test_what_the_loop_has_left_stays_known_when_the_surrogate_writes(tmp_path):
    network = torch.nn.Linear(2, 1)
    write_weights(tmp_path / BEST, network.state_dict(), Extras({"epoch": 5}))
    write_network(tmp_path, network, Extras({"size": 2}))
    assert kept_epoch(tmp_path) == 5


def test_nobody_knows_without_it(tmp_path):
    assert kept_epoch(tmp_path) is None
    write_weights(tmp_path / BEST, {"w": torch.ones(3)}, Extras({"size": 4}))
    assert kept_epoch(tmp_path) is None
    (tmp_path / BEST).write_bytes(b"\xff" * 40)
    assert kept_epoch(tmp_path) is None

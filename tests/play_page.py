"""Runs that are made in a moment, and their pages without or with a browser."""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import uvicorn
from halos_boxes import TINY
from starlette.testclient import TestClient

import emulant
from emulant import stages, use
from emulant.cli import main
from emulant.play.server import application

TOKEN, PORT = "a-token-of-the-tests", 4242
MADE = {
    "swarm": ("drift", ["swarm:smoke", "splits.training=4", "splits.test=2", "splits.test_long=0"]),
    "pendulum": ("linear", ["pendulum:smoke", "splits.training=8", "splits.validation=0", "splits.test=2"]),
    "scenes": ("ballistic", ["scenes:smoke", "splits.training=1", "splits.validation=0", "splits.test=1"]),
    "flavor": (
        "box3d",
        [
            "flavor:smoke",
            *(f"splits.{name}=1" for name in ("training", "test")),
            *(f"splits.{name}=0" for name in ("validation", "test_ood", "labels_only")),
            *("system.sampler=stable", "system.n_cells=16", "system.n_directions=50"),
        ],
    ),
    "halos": ("transfer", None),
}
"""System -> a model that is fitted at once, and the study with its overrides."""


def made(system, folder):
    """A run of a system with its quick model; flavor's page needs its baseline beside it, which is the same."""
    model, words = MADE[system]
    arguments = TINY if words is None else [words[0], *(part for each in words[1:] for part in ("--set", each))]
    assert main(["generate", *arguments, "-o", str(folder), "--workers", "1", "--quiet"]) == 0
    run = emulant.open(folder)
    stages.train(run, [model])
    return run


@dataclass
class Client:
    """The page of a run without a browser."""

    http: TestClient
    model: str

    def get(self, path, **headers):
        return self.http.get(f"/{TOKEN}/{path}", headers=headers)

    def ask(self, action, values):
        return self.http.post(f"/{TOKEN}/ask/{action}", json={"model": self.model, "values": values})

    def answer(self, action, **values):
        """Facts and arrays of a question that must be answered."""
        response = self.ask(action, values)
        assert response.headers["content-type"] == "application/octet-stream", response.text
        return decoded(response.content)

    @property
    def begin(self):
        """The settings that the page begins with."""
        return {control["name"]: control["value"] for control in self.get("play.json").json()["controls"]}


@contextmanager
def served(run, model):
    """The address of a run's page, served for real."""
    play, models = use.play(run, model)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = application(play, models, run="of the tests", token=TOKEN, port=port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/{TOKEN}/"
        server.should_exit = True
        thread.join(20)


def decoded(content):
    """The facts and arrays of an answer, as the page reads them."""
    (length,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + length])
    arrays = {}
    for name, about in head["arrays"].items():
        count, offset = int(np.prod(about["shape"])), 4 + length + about["offset"]
        arrays[name] = np.frombuffer(content, about["dtype"], count, offset).reshape(about["shape"])
    return head["facts"], arrays

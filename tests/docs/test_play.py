"""The page on playing: its example is served and answers; `emulant play` itself is called in tests/play."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")

from play_page import PORT, TOKEN, Client
from starlette.testclient import TestClient

from emulant.play.parts import Models
from emulant.play.server import application

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "play.md"
TEXT = PAGE.read_text(encoding="utf-8")


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


def test_the_example_is_served_and_answers(tmp_path):
    (tmp_path / "play.js").write_text(block("js"), encoding="utf-8")
    names = {"__file__": str(tmp_path / "play.py"), "simulated": lambda height: height * np.linspace(1, 0, 11) ** 2}
    exec(block("python"), names)
    models = Models({"any": "surrogate"}, "any", lambda name: name)
    app = application(names["play"](None), models, run="", token=TOKEN, port=PORT)
    client = Client(TestClient(app, base_url=f"http://127.0.0.1:{PORT}"), "any")
    assert client.begin == {"height": 1.0}
    facts, arrays = client.answer("fall", height=2.5)
    assert facts == {"step": 0.1}
    assert arrays["path"][0] == 2.5
    assert client.get("system.js").text == block("js")

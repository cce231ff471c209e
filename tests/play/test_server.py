"""Who may ask, what is answered, and what a wrong message is told."""

import json
import os
import re
import signal
import struct
import subprocess
import sys

import httpx
import numpy as np
import pytest
from play_page import PORT, TOKEN, decoded

from emulant.errors import SurrogateError
from emulant.play.parts import Answer
from emulant.play.wire import encoded

HERE = f"http://127.0.0.1:{PORT}"
MESSAGE = {"family": "ring", "number": 0, "seconds": 2.0}


def test_an_answer_is_read_back_as_it_was_said():
    said = {
        "b": np.arange(5, dtype=np.uint8),
        "f": np.array([[1.5, np.inf], [np.nan, 1e300]]),
        "i": np.array([-3, 2**31 - 1], np.int32),
        "none": np.empty((0, 3)),
        "turned": np.arange(6.0).reshape(2, 3).T,
    }
    content = encoded(Answer(said, {"here": np.float64(0.5), "gone": float("nan"), "text": "θ"}))
    facts, arrays = decoded(content)
    assert facts == {"here": 0.5, "gone": None, "text": "θ"}
    assert (struct.unpack_from("<I", content)[0] + 4) % 8 == 0
    for name in ("b", "i", "none", "turned"):
        np.testing.assert_array_equal(arrays[name], said[name])
    np.testing.assert_array_equal(arrays["f"], [[1.5, np.inf], [np.nan, np.inf]])
    assert arrays["f"].dtype == np.float32


def test_the_page_and_its_files_are_served_under_the_token(client):
    swarm = client("swarm")
    page = swarm.get("")
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="([^":]+)"', page.text):
        assert swarm.get(name).status_code == 200, name
    assert "export async function start" in swarm.get("system.js").text
    told = swarm.get("play.json").json()
    assert told["model"] == "drift"
    assert told["models"] == {"drift": "baseline"}
    assert {control["name"] for control in told["controls"]} >= {"family", "reach", "seconds"}


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/play.json", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", "/index.html"])
def test_without_the_token_nothing_is_told(client, path):
    http = client("swarm").http
    for refused in (http.get(path), http.post(path + "ask/follow", json={"model": "drift", "values": MESSAGE})):
        assert refused.status_code == 403
        assert "token" in refused.text
        assert TOKEN not in refused.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": f"evil.example:{PORT}"},
        {"Host": f"127.0.0.1:{PORT + 1}"},
        {"Host": "127.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{PORT}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_hosts_and_other_pages_are_refused_even_with_the_token(client, headers):
    http = client("swarm").http
    for refused in (
        http.get(f"/{TOKEN}/play.json", headers=headers),
        http.post(f"/{TOKEN}/ask/follow", json={"model": "drift", "values": MESSAGE}, headers=headers),
    ):
        assert refused.status_code == 403
        assert refused.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_page_itself_is_let_in(client):
    headers = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert client("swarm").get("play.json", **headers).status_code == 200
    assert client("swarm").get("play.json", Host=f"localhost:{PORT}").status_code == 200


def test_every_answer_forbids_what_the_page_does_not_need(client):
    for answer in (client("swarm").get(""), client("swarm").ask("follow", MESSAGE), client("swarm").get("nothing.js")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_there_are_no_websockets(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client("swarm").http.websocket_connect(f"/{TOKEN}/"):
        pass


@pytest.mark.parametrize("name", ["../server.py", "%2e%2e/server.py", "server.py", "page/frame.js", "/etc/passwd"])
def test_no_other_file_is_to_be_had(client, name):
    assert client("swarm").get(name).status_code in (403, 404)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "invalid json"),
        (b"[1, 2]", "object"),
        (b'{"model": "drift"}', "values"),
        (b'{"model": "drift", "values": {}}', "family"),
        (b'{"model": "drift", "values": {"family": "ring", "seconds": 2, "more": 1}}', "more"),
        (b'{"model": "drift", "values": {"family": "rang", "seconds": 2}}', "family"),
        (b'{"model": "drift", "values": {"family": "ring", "seconds": 1e9}}', "seconds"),
        (b'{"model": "drift", "values": {"family": "ring", "seconds": NaN}}', "seconds"),
        (b'{"model": "nobody", "values": {"family": "ring", "seconds": 2}}', "no model `nobody`"),
        (b'{"model": "drift", "values": {"family": "ring", "seconds": 2, "particles": [[1, 2]]}}', "particles"),
    ],
)
def test_a_bad_message_is_told_what_is_wrong(client, content, told):
    http = client("swarm").http
    answer = http.post(f"/{TOKEN}/ask/follow", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert told in answer.json()["what"]


def test_what_cannot_be_done_is_told_with_its_mend(client):
    values = {**MESSAGE, "particles": [[1.0, 1.0, 0.0]]}
    answer = client("swarm").ask("follow", values)
    assert answer.status_code == 200
    assert answer.json() == {
        "what": "a start of 1 particles, where the study has 40.",
        "mend": "Give one row for each.",
    }


def test_wrong_actions_methods_kinds_and_sizes_are_refused(client):
    swarm = client("swarm")
    assert swarm.ask("fly", MESSAGE).status_code == 404
    assert swarm.get("ask/follow").status_code in (404, 405)
    plain = swarm.http.post(f"/{TOKEN}/ask/follow", content=json.dumps({}), headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415
    large = swarm.http.post(f"/{TOKEN}/ask/follow", json={"values": "x" * (5 << 20)})
    assert large.status_code == 413


def test_a_fault_of_ours_is_told_and_the_page_goes_on(client, capsys, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("of the test")

    with monkeypatch.context() as patch:
        patch.setattr("emulant.systems.swarm.density.density", broken)
        answer = client("swarm").ask("follow", MESSAGE)
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.json()["what"]
    assert "Traceback" in capsys.readouterr().err
    assert client("swarm").ask("follow", MESSAGE).status_code == 200


def test_a_system_that_brings_nothing_to_play_with_says_so(runs, emulant, monkeypatch):
    monkeypatch.setattr("emulant.systems.swarm.swarm.Swarm.play", None)
    code, _, err = emulant("play", runs("swarm").folder.root, "--no-browser")
    assert code == 2
    assert "the system `swarm` has nothing to play with" in err


def test_models_that_cannot_be_played_are_refused_before_anything_is_served(runs, emulant):
    from emulant import use

    folder = runs("swarm").folder.root
    for name, told in (("nobody", "no surrogate `nobody`"), ("pod_ceiling", "is an oracle")):
        code, _, err = emulant("play", folder, "--no-browser", "--surrogate", name)
        assert code == 2
        assert told in err
    with pytest.raises(SurrogateError, match="not trained"):
        use.play(runs("swarm"), "spectral")


def test_without_the_extra_one_is_told_which(runs, emulant, monkeypatch):
    monkeypatch.setattr("emulant.dataset.seams.find_spec", lambda _: None)
    code, _, err = emulant("play", runs("swarm").folder.root, "--no-browser")
    assert code == 2
    assert "emulant[play]" in err


def test_a_taken_port_is_told(runs, emulant):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = emulant(
            "play", runs("swarm").folder.root, "--no-browser", "--surrogate", "drift", "--port", port
        )
    assert code == 2
    assert f"--port {port}" in err


def test_the_command_serves_until_it_is_interrupted(runs):
    command = [sys.executable, "-m", "emulant", "play", str(runs("swarm").folder.root), "--surrogate", "drift"]
    server = subprocess.Popen([*command, "--no-browser", "--json"], stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        address = json.loads(server.stdout.readline())["address"]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
        assert "emulant play" in httpx.get(address, trust_env=False, timeout=20).text
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.communicate()

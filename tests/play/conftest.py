"""Runs, their pages, and a browser to look at them."""

import pytest
from play_page import MADE, PORT, TOKEN, Client, made, served
from starlette.testclient import TestClient

from emulant import use
from emulant.play.server import application


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """System -> its opened run, made when it is first asked for."""
    kept = {}

    def get(system):
        if system not in kept:
            kept[system] = made(system, tmp_path_factory.mktemp("play") / system)
        return kept[system]

    return get


@pytest.fixture(scope="session")
def client(runs):
    """System -> `Client`."""
    kept = {}

    def get(system):
        if system not in kept:
            play, models = use.play(runs(system), MADE[system][0])
            app = application(play, models, run="of the tests", token=TOKEN, port=PORT)
            kept[system] = Client(TestClient(app, base_url=f"http://127.0.0.1:{PORT}"), MADE[system][0])
        return kept[system]

    return get


@pytest.fixture
def complaints():
    """What browsers have complained of, and requests that went elsewhere; must be empty in the end."""
    found = []
    yield found
    assert not found


@pytest.fixture
def page(browser, runs, complaints):
    """Open the page of a system, at a width and in a scheme."""
    contexts, servers = [], []

    def get(system, width=1200, scheme="light"):
        server = served(runs(system), MADE[system][0])
        address = server.__enter__()
        servers.append(server)
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.set_default_timeout(90_000)  # of a busy machine
        contexts.append(context)
        opened = context.new_page()
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on(
            "request", lambda request: request.url.startswith((address, "data:")) or complaints.append(request.url)
        )
        opened.goto(address)
        opened.wait_for_selector("html[data-ready=yes]", state="attached")
        return opened

    yield get
    for context in contexts:
        context.close()
    for server in servers:
        server.__exit__(None, None, None)

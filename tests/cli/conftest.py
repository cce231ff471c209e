"""One smoke run that all tests of the commands look at, and a way to call commands in process."""

import json

import pytest

from emulant.cli import main


@pytest.fixture
def emulant(capsys):
    """Call a command: (exit code, stdout, stderr)."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def as_json(emulant):
    """Call a command with --json that must succeed: its value."""

    def call(*arguments):
        code, out, err = emulant(*arguments, "--json")
        assert code == 0, err
        assert err == ""
        return json.loads(out)

    return call


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """A finished `swarm:smoke` run; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    assert main(["run", "swarm:smoke", "-o", str(folder), "--quiet", "--set", "report.films=false"]) == 0
    return folder

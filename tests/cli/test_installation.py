"""`emulant doctor`, completion, colours, and what a command imports."""

import os
import pty
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from emulant import doctor

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOR_DEVELOPERS = {"test", "dev", "docs", "bench", "bench-native"}


@pytest.fixture
def no_gpu(monkeypatch):
    """Asking torch takes seconds; one test does."""
    monkeypatch.setattr(doctor, "_ASK_TORCH", "print('[]')")


@pytest.mark.soak
def test_the_self_test_passes_here(as_json, no_gpu):
    found = as_json("doctor")
    assert found["self_test"]["good"], found["self_test"]["why"]


def test_the_doctor_finds_this_installation_whole(as_json):
    found = as_json("doctor", "--no-test")
    assert found["faults"] == []
    assert isinstance(found["gpu"]["devices"], list)
    assert {"numpy", "numba", "polars"} <= found["packages"].keys()
    assert all(facts["fits"] for facts in found["packages"].values())
    assert found["storage"]["runs"]["writable"]


def test_the_doctor_tells_the_pip_line_of_a_missing_extra(monkeypatch, emulant, no_gpu):
    there = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "torch" else there(name))
    found = doctor.extras()
    assert found["torch"]["missing"] == ["torch"]
    assert found["llm"]["missing"] == ["torch"], "an extra needs what the extra that it takes in needs"
    assert found["video"]["missing"] == []
    code, out, _ = emulant("doctor", "--no-test")
    assert "missing torch: pip install 'emulant[torch]'" in out
    assert code == 0, "a missing extra is no fault"


def test_the_doctor_fails_where_a_package_of_the_base_is_too_old_or_the_self_test_breaks(monkeypatch, emulant, no_gpu):
    there = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "0.1" if name == "polars" else there(name))
    code, out, _ = emulant("doctor", "--no-test")
    assert (code, "fault: missing or too old: polars" in out) == (1, True)
    monkeypatch.setattr(doctor, "_version", there)
    import emulant as package

    monkeypatch.setattr(package, "run", lambda *_, **__: 1 / 0)
    code, out, _ = emulant("doctor")
    assert (code, "the self-test failed: ZeroDivisionError" in out) == (1, True)


def test_every_extra_is_known_to_the_doctor_or_for_developers():
    assert set(PROJECT["optional-dependencies"]) <= set(doctor.EXTRAS) | FOR_DEVELOPERS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_that_shell_that_knows_the_commands(emulant, tmp_path, shell):
    code, out, _ = emulant("completion", shell)
    assert code == 0
    assert "validate" in out
    assert "resimulate" in out
    if shutil.which(shell):
        path = tmp_path / "script"
        path.write_text(out)
        subprocess.run([shell, "-n", path], check=True)


def test_install_completion_writes_it_where_the_shell_looks(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/bash"}
    command = [sys.executable, "-m", "emulant", "--install-completion"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any("_emulant" in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def on_a_terminal(arguments, **environment):
    """What a command writes to a terminal."""
    leader, follower = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "emulant", *arguments],
        stdin=follower, stdout=follower, stderr=follower, env={**plain, "TERM": "xterm-256color", **environment},
    ) as process:  # fmt: skip
        os.close(follower)
        seen = b""
        try:
            while piece := os.read(leader, 4096):
                seen += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        process.wait()
    os.close(leader)
    return seen.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")


def test_no_color_is_respected():
    assert COLOUR.search(on_a_terminal(["--help"]))
    assert not COLOUR.search(on_a_terminal(["--help"], NO_COLOR="1"))


# -- what is imported ---------------------------------------------------------------------------------------------

PROBE = """
import sys
from emulant.cli import main
for line in sys.stdin.read().splitlines():
    code = main(line.split())
    heavy = {"torch", "lightning", "transformers", "onnx"} & set(sys.modules)
    if code or heavy:
        sys.exit(f"{line}: exit code {code}, imported {heavy}")
"""


def imports_nothing_heavy(folder, *lines):
    done = subprocess.run(
        [sys.executable, "-c", PROBE], input="\n".join(lines), cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_a_whole_swarm_run_and_all_that_is_done_with_it_never_imports_torch(smoke, tmp_path):
    shutil.copytree(smoke, tmp_path / "run")
    case = tmp_path / "run" / "test" / "test_000"
    imports_nothing_heavy(
        tmp_path,
        "systems",
        "new swarm",
        "generate swarm:smoke -o again --split test --workers 1",
        "train run --set surrogates.spectral.lag=3",
        "evaluate run --set evaluation.resamples=1000",
        "report run --set report.films=false",
        "status run",
        "validate run --resimulate 1",
        f"predict run {case} -o forecast.npz",
        "export run --format csv -o csv",
        "export run --format hf -o hf",
        "export run/test --format croissant -o croissant",
        "submit swarm:smoke -o cluster --dry-run",
    )


@pytest.mark.parametrize(
    ("system", "splits"),
    [
        ("pendulum", "training=2 validation=1 test=1"),
        ("scenes", "training=1 validation=1 test=1 test_heldout=1 test_ood=0"),
    ],
)
def test_simulating_never_imports_torch_whatever_the_surrogates_need(tmp_path, system, splits):
    sizes = " ".join(f"--set splits.{size}" for size in splits.split())
    imports_nothing_heavy(tmp_path, f"generate {system}:smoke -o run --workers 1 {sizes}", "validate run", "status run")

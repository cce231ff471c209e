"""Wheel and sdist as a user gets them: built, installed into environments of their own, and run there.

`make matrix`. Each environment is filled by pip from wherever pip gets its packages; without that there is no test.
"""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from emulant.doctor import EXTRAS

pytestmark = pytest.mark.soak
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PRESENT = [name for name in EXTRAS if name in PROJECT["optional-dependencies"]]


def call(*command, folder=ROOT, **environment):
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env={**clean, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of the wheel and the sdist; the wheel is made from the sdist, as packagers do."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


def environment(folder, what):
    """A new environment with nothing but `what`; its Python."""
    call(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", what)
    return python


def test_the_wheel_has_the_program_and_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.split("/")[0] for name in names}
    assert {name for name in inside if not name.endswith(".dist-info")} == {"emulant"}
    here = {
        path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "emulant").rglob("*") if path.is_file()
    }
    wanted = {name for name in here if "__pycache__" not in name}
    assert {name for name in names if name.startswith("emulant/")} == wanted
    assert any(name.endswith("studies/swarm-smoke.toml") for name in names)


def test_the_sdist_has_what_is_needed_to_test_it(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "tests/conftest.py", "docs/index.md"} <= names


def test_the_base_alone_runs_a_study_and_tells_what_is_missing(wheel, tmp_path):
    python = environment(tmp_path / "venv", wheel)
    emulant = python.with_name("emulant")
    call(emulant, "run", "swarm:smoke", "-o", "runs/first", folder=tmp_path)
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    call(emulant, "validate", "runs/first", "--resimulate", "1", folder=tmp_path)
    found = json.loads(call(emulant, "doctor", "--json", folder=tmp_path))
    assert found["self_test"]["good"]
    assert found["extras"]["torch"]["missing"] == ["lightning", "safetensors", "torch"]
    refused = subprocess.run(
        [emulant, "run", "pendulum:smoke", "-o", "runs/refused"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "pip install 'emulant[torch]'" in refused.stderr
    assert not (tmp_path / "runs" / "refused").exists()


USES = {
    "torch": ["run", "pendulum:smoke", "-o", "run", "--set", "report.films=false"],
    "llm": ["generate", "scenes:smoke", "-o", "run", "--split", "test"],
    "dask": ["generate", "swarm:smoke", "-o", "run", "--engine", "dask", "--workers", "2"],
    "video": ["run", "swarm:smoke", "-o", "run", "--set", "report.film_format=mp4"],
}
"""What an extra is for, where a command without further programs shows it."""


@pytest.mark.parametrize("extra", PRESENT)
def test_each_extra_alone_has_what_it_needs(wheel, tmp_path, extra):
    python = environment(tmp_path / "venv", f"{wheel}[{extra}]")
    found = json.loads(call(python, "-m", "emulant", "doctor", "--no-test", "--json", folder=tmp_path))
    assert found["extras"][extra]["missing"] == []
    call(python, "-m", "pip", "check")
    if extra in USES:
        call(python, "-m", "emulant", *USES[extra], folder=tmp_path)

"""The how-to is executed as it stands: its file, its entry point, its study, its commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-your-own-system.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The reader's folder, with the package "installed": pip's metadata of its entry point on the path."""
    folder = tmp_path_factory.mktemp("kuramoto")
    system, script = blocks("python")
    pyproject, study = blocks("toml")
    (folder / "kuramoto.py").write_text(system)
    (folder / "again.py").write_text(script)
    (folder / "study.toml").write_text(study)
    entry = re.search(r'\[project\.entry-points\."emulant\.systems"\]\n(.*?)\n*$', pyproject, re.DOTALL)
    metadata = folder / "kuramoto-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kuramoto\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[emulant.systems]\n{entry[1].replace(chr(34), '')}\n")
    return folder


def call(project, *command):
    import os

    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_of_the_page_end_in_a_report(project):
    (commands,) = blocks("bash")
    for line in commands.strip().splitlines():
        program, *arguments = shlex.split(line)
        assert program == "emulant"
        call(project, sys.executable, "-m", "emulant", *arguments)
    run = project / "runs" / "kuramoto"
    assert "Kuramoto oscillators" in (run / "report.html").read_text()
    scores = pl.read_csv(run / "evaluation" / "metrics.csv")
    assert set(scores["model"]) == {"pod_mvar", "persistence", "climatology"}
    assert {"all", "synchronised", "all@2"} <= set(scores["group"])


def test_the_script_of_the_page_works_without_an_installation(project, tmp_path):
    for name in ("kuramoto.py", "again.py", "study.toml"):
        (tmp_path / name).write_text((project / name).read_text())
    assert "pod_mvar" in call(tmp_path, sys.executable, "again.py")


def test_the_system_is_listed_beside_the_built_in_ones(project):
    listed = call(project, sys.executable, "-m", "emulant", "systems")
    assert "kuramoto: Kuramoto oscillators and the forecast of their phases." in listed
    assert "swarm: " in listed

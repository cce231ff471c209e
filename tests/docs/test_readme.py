"""The commands and code of the README are executed as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def call(folder, *command):
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_commands_run(tmp_path):
    _make, commands = blocks("bash")
    for line in commands.strip().splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "emulant"
        call(tmp_path, sys.executable, "-m", "emulant", *arguments)
    assert (tmp_path / "forecast.npz").is_file()
    assert (tmp_path / "runs" / "first" / "report.html").is_file()


def test_the_python_runs(tmp_path):
    (code,) = blocks("python")
    call(tmp_path, sys.executable, "-c", code)


def test_the_faults_that_it_shows_are_those_that_are_told(tmp_path):
    from emulant import study as studies
    from emulant.errors import StudyError

    (shown,) = blocks("text")[:1]
    path = tmp_path / "mine.toml"
    path.write_text('[system]\nname = "swarm"\nsped = 1.0\nbc = "open"\n')
    with pytest.raises(StudyError) as caught:
        studies.load(path)
    assert sorted(str(caught.value).replace(str(path), "mine.toml").splitlines()) == sorted(shown.strip().splitlines())


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_its_links_lead_somewhere(target):
    assert (README.parent / target).exists()

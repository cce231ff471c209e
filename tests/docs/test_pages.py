"""Every command of README and docs is one that emulant understands, and every block of code is executed.

Pages whose smallest studies take minutes are executed by `make soak`, the others here.
"""

import re
import shlex
import tomllib

import pytest
from cyclopts import CycloptsError
from docs.pages import PAGES, ROOT, TRIED_ELSEWHERE, blocks, commands, execute

from emulant import study as studies
from emulant import systems, use
from emulant.cli.app import app
from emulant.dataset.seams import resolve

QUICK = [
    "README.md",
    "docs/index.md",
    "docs/install.md",
    "docs/swarm.md",
    "docs/how-to/add-your-own-surrogate.md",
    "docs/how-to/share-a-dataset.md",
    "docs/how-to/use-your-own-data.md",
]
LONG = ["docs/flavor.md", "docs/halos.md", "docs/scenes.md", "docs/how-to/export-to-c-and-fortran.md"]
ELSEWHERE = {
    "docs/how-to/add-your-own-system.md": "test_add_your_own_system.py",
    "docs/pendulum.md": "test_pendulum.py",
    "docs/how-to/cluster.md": "tests/engines",
    "docs/how-to/play.md": "test_play.py",
}
"""Pages with a test of their own."""


def name(page):
    return page.relative_to(ROOT).as_posix()


def told(line):
    """The arguments of an outline as if every optional part and the first of all alternatives were written."""
    return shlex.split(re.sub(r" \[|\](?= |$)", " ", re.sub(r"(?<=\w)\|\S+", "", line)))[1:]


def options_of(command):
    """The flags that a command passes on to a system, of all systems."""
    tables = [getattr(system, f"{command.title()}Options", None) for system in systems.working()]
    if command == "export":
        tables += [resolve(table) for table in use.SHARE_OPTIONS.values()]
    return {f"--{field.replace('_', '-')}" for table in tables if table for field in table.model_fields}


@pytest.mark.parametrize(("page", "line"), [(name(page), line) for page in PAGES for line in commands(page)])
def test_emulant_understands_every_command_of_the_pages(page, line):
    arguments = told(line)
    try:
        command, bound, unused, _ = app.parse_known_args(arguments)
    except CycloptsError as error:
        pytest.fail(f"{page}: {error}")
    assert {part.partition("=")[0] for part in unused if part.startswith("--")} <= options_of(command.__name__), page
    study = bound.arguments.get("study")
    if study and study not in ("STUDY", "SYSTEM:PRESET") and not study.endswith(".toml"):
        studies.load(study, bound.arguments.get("set_", ()))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=name)
def test_every_study_that_a_page_shows_is_one(page):
    for block in blocks(page):
        if block.language == "toml" and "[system]" in block.text:
            document = tomllib.loads(block.text)
            if document["system"]["name"] in systems.names():
                studies.from_document(document, name(page))


def test_every_page_with_code_is_executed_by_some_test():
    with_code = {name(page) for page in PAGES if any(block.language in ("bash", "python") for block in blocks(page))}
    assert with_code - {"CONTRIBUTING.md"} == {*QUICK, *LONG, *ELSEWHERE}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a page is executed: an empty folder, a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("page", QUICK)
def test_the_code_of_a_page_runs_as_it_stands(page, folder, smoke):
    left = execute(ROOT / page, folder, smoke)
    assert {line.split()[0] for line in left} <= {"pip", "make", "emulant"}
    assert {line for line in left if line.startswith("emulant")} <= TRIED_ELSEWHERE


@pytest.mark.soak
@pytest.mark.parametrize("page", LONG)
def test_the_code_of_a_long_page_runs_with_smoke_studies(page, folder, smoke):
    pytest.importorskip("torch")
    left = execute(ROOT / page, folder, smoke, plain_as_smoke=True)
    print(f"{page}: outlines and lines for other machines, not run: {left}")

"""The documentation as mkdocs builds it: strictly, without a network, with references made from the program."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from emulant import systems
from emulant.cli.app import app

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built with every warning an error and every way out of this machine closed."""
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **proxies, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)\"|<link[^>]* href=\"([^\"]+)\"", page.read_text()
        )
        outside = [url for pair in loaded for url in pair if re.match(r"(https?:)?//", url)]
        assert not outside, f"{page.name}: {outside}"


def test_every_command_is_in_the_reference(site):
    page = (site / "reference" / "commands.html").read_text()
    for name in app:
        if not name.startswith("-") and app[name].show:
            assert f'id="emulant-{name}"' in page


def test_every_system_has_its_page_and_every_key_of_its_study_is_in_the_reference(site):
    page = (site / "reference" / "study.html").read_text()
    for system in systems.working():
        assert (site / f"{system.name}.html").is_file()
        for table, learner in system.surrogates.items():
            assert f"[surrogates.{table}" in page
            for key in set(learner.config.model_fields) - {"training"}:
                assert f"<code>{key}</code>" in page or f"[surrogates.{table}.{key}]" in page


def test_the_table_of_extras_has_them_all():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = (ROOT / "docs" / "install.md").read_text().split("| extra | brings | for |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    assert told == set(project["optional-dependencies"])

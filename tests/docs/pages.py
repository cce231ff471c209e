"""The pages as programs: their blocks of code in order, and how each is executed in a folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from emulant.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_HERE = {"pip", "make", "mpirun", "eval", ".ci/run", ".ci/slurm"}
"""Programs that change the machine or need another one; CI, `make matrix` and the tests of engines run them."""
TRIED_ELSEWHERE = {"emulant doctor"}
"""What takes its time and has tests of its own (tests/cli/test_installation.py)."""

_FENCED = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?: {4}[^\n]*\n)+)")


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str
    title: str
    text: str

    @property
    def lines(self):
        """The commands of a shell block: comments cut off, which stand behind # or three spaces, lines joined."""
        joined = re.sub(r"\s*\\\n\s*", " ", self.text)
        cut = (re.split(r"\s#\s|^#| {3,}", line)[0].strip() for line in joined.splitlines())
        return [line for line in cut if line]


def blocks(page):
    """Fenced blocks, and indented ones that begin with a command, in the order of the page."""
    text = page.read_text(encoding="utf-8")
    found = [(match.start(), Block(match[1], match[2] or "", match[3])) for match in _FENCED.finditer(text)]
    bare = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(bare):
        code = re.sub(r"^ {4}", "", match[1], flags=re.MULTILINE)
        if code.startswith(("emulant ", "make ", "mpirun ", "import ")):
            found.append((match.start(), Block("python" if code.startswith("import ") else "bash", "", code)))
    return [block for _, block in found]


def commands(page):
    """Every call of `emulant` on a page."""
    shell = [block for block in blocks(page) if block.language == "bash"]
    return [line for block in shell for line in block.lines if line.startswith("emulant ")]


def is_outline(line):
    """Whether a line shows what may be written, not what is: optional parts in brackets, alternatives, a name in
    capitals for a file of the reader's own."""
    return bool(re.search(r" \[|\||\b(SNAPSHOT|OLD|INPUT|STUDY|SYSTEM)\b", line))


def execute(page, folder, smoke=None, plain_as_smoke=False):
    """Run a page in a folder, block by block; the lines that were not run.

    Args:
        smoke: A finished `swarm:smoke` run: where a page makes one it goes on from a copy, which takes less time.
        plain_as_smoke: Run `:smoke` studies in place of plain ones.
    """
    left = []
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text)
        elif block.language == "python":
            for made in re.findall(r'run\("swarm:smoke", "([\w/]+)"', block.text):
                _begun(folder / made, smoke)
            _call([sys.executable, "-c", block.text], folder)
        elif block.language == "bash":
            for line in block.lines:
                if is_outline(line) or not _line(_smaller(line) if plain_as_smoke else line, folder, smoke):
                    left.append(line)
    return left


def _smaller(line):
    plain = r"^(emulant (?:run|generate|render|submit) )(swarm|pendulum|scenes|flavor|halos)(?= )"
    return re.sub(plain, r"\1\2:smoke", line)


def _line(line, folder, smoke):
    """Run a line; False if it is not for this machine."""
    program, *arguments = shlex.split(line)
    if program in NOT_HERE or line in TRIED_ELSEWHERE:
        return False
    if program != "emulant" or ">" in arguments:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        _call(["bash", "-c", line], folder, PATH=path)
        return True
    if arguments[:2] in (["run", "swarm:smoke"], ["generate", "swarm:smoke"]) and arguments[2] == "-o":
        _begun(folder / arguments[3], smoke)
    assert main(arguments) == 0, line
    return True


def _begun(run, smoke):
    if smoke is not None and not run.exists():
        shutil.copytree(smoke, run)


def _call(command, folder, **environment):
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

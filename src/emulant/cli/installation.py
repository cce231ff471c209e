"""Commands about the installation itself: doctor, completion."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from emulant.cli.app import FAILED, GOOD, Everywhere, Flag, app
from emulant.terminal import show


@app.command
def doctor(*, no_test: Flag = False, everywhere: Everywhere = Everywhere()) -> int:
    """What is installed, what of the machine can be used, and whether all stages work here.

    Args:
        no_test: Leave out the self-test, which takes some ten seconds.
    """
    from emulant.doctor import examine, lines

    found = examine(Path(), self_test=not no_test)
    show(found, list(lines(found)), as_json=everywhere.json, quiet=everywhere.quiet)
    return FAILED if found["faults"] else GOOD


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], *, everywhere: Everywhere = Everywhere()) -> int:
    """Print the script that completes commands and options in a shell. `emulant --install-completion` installs it.

    Args:
        shell: The shell that is to read it.
    """
    script = app.generate_completion(prog_name="emulant", shell=shell)
    show({"shell": shell, "script": script}, script.splitlines(), as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


app.register_install_completion_command(help="Install completion for the shell you are in, and exit.")

"""The commands: parse, call a stage, print. No logic.

Everything heavy is imported inside the commands, so that `emulant --help` is there at once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import CycloptsError

from emulant.cli import cluster, installation, looking, running, studies, using
from emulant.cli.app import FAILED, GOOD, INTERRUPTED, WRONG_USAGE, app
from emulant.errors import EmulantError, UsageError
from emulant.terminal import complain

COMMANDS = (studies, running, looking, cluster, using, installation)
"""Importing them is what adds their commands to the app."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 0 good, 1 something failed, 2 wrong usage, 130 interrupted."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # two BLAS threads on busy cores can be ten times slower than one
    try:
        return _run(tokens)
    except KeyboardInterrupt:
        complain("interrupted. Nothing that was finished is lost: the same command goes on from here.")
        return INTERRUPTED
    except BrokenPipeError:
        with suppress(OSError):  # the reader of our output (head, less) has gone; that is no error of ours
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except Exception as error:
        if "--debug" in tokens:
            raise
        message, code = _told(error)
        complain(message)
        return code


def _told(error: Exception) -> tuple[str, int]:
    """What a person is told about an error, and the exit code that goes with it."""
    if isinstance(error, CycloptsError):
        return f"{_sentence(error)}\nSee `emulant --help`, or `emulant COMMAND --help`.", WRONG_USAGE
    if isinstance(error, EmulantError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}.", FAILED
    what = f"internal error: {type(error).__name__}: {error}."
    return f"{what} With --debug it shows where; please report it.", FAILED


def _run(tokens: list[str]) -> int:
    command, bound, unused, _ = app.parse_known_args(tokens)
    if "options" in bound.signature.parameters:  # which ones there are, the system knows
        code = command(*bound.args, **{**bound.kwargs, "options": tuple(unused)})
    elif unused:
        raise UsageError(f"`{unused[0]}` is not an option or argument of this command.", "See its --help.")
    else:
        code = command(*bound.args, **bound.kwargs)
    return code if isinstance(code, int) else GOOD


def _sentence(error: CycloptsError) -> str:
    """What cyclopts says, without its view of our source; arguments by the names that the help gives them."""
    error.verbose = False
    named = re.sub(r"parameter --(study|run|path|input) ", lambda match: f"{match[1].upper()} ", str(error))
    return named.replace("requires an argument", "is missing")

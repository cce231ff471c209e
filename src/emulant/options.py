"""Options that only a system knows: the flags that a command leaves over, read into the system's table."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TypeVar

from pydantic import ValidationError

from emulant.dataset.tables import Table
from emulant.errors import UsageError

T = TypeVar("T", bound=Table)


def read_options(table: type[T], tokens: Sequence[str]) -> T:
    """`--name value`, `--name=value`, or `--name` alone for a switch, as fields of `table`.

    Raises:
        UsageError: An option is unknown, lacks a value or has a wrong one; the message lists what there is.
    """
    values: dict[str, str | bool] = {}
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        token = "--output" if token == "-o" else token
        if not token.startswith("--"):
            raise UsageError(f"`{token}` is not an option.", _known(table))
        name, equals, value = token[2:].partition("=")
        key = name.replace("-", "_")
        if key not in table.model_fields:
            near = get_close_matches(key, table.model_fields, n=1)
            raise UsageError(f"there is no option --{name}.", f"Did you mean --{near[0]}?" if near else _known(table))
        if equals:
            values[key] = value
        elif table.model_fields[key].annotation is bool:
            values[key] = True
        elif rest and not rest[0].startswith("--"):
            values[key] = rest.pop(0)
        else:
            raise UsageError(f"--{name} needs a value.")
    try:
        return table.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "option"
        raise UsageError(f"--{name} {values.get(name, '')}: {first['msg'].lower()}.") from None


def _known(table: type[Table]) -> str:
    names = ", ".join(f"--{name.replace('_', '-')}" for name in table.model_fields)
    return f"Options of this system: {names}." if names else "This system has no further options."

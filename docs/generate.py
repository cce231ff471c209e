"""What mkdocs makes of the program itself: the keys of studies, and the options that only a system knows.

`<!-- study SYSTEM -->` in a page becomes the tables of that system's studies, `<!-- study common -->` those of all.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from emulant import systems
from emulant.reporting.table import ReportTable
from emulant.training.table import TrainingTable

DIRECTIVE = re.compile(r"^<!-- study (\w+) -->$", re.MULTILINE)
COMMON = {"training": TrainingTable, "report": ReportTable}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return DIRECTIVE.sub(lambda found: "\n".join(_of_all() if found[1] == "common" else _of(found[1])), markdown)


def _of_all() -> Iterator[str]:
    for name, table in COMMON.items():
        yield from _table(table, f"[{name}]")


def _of(name: str) -> Iterator[str]:
    system = systems.load(name)
    yield from _tables(system.Config, "")
    yield from _tables(system.Evaluation, "evaluation")
    for surrogate, learner in system.surrogates.items():
        yield from _tables(learner.config, f"surrogates.{surrogate}")
    for command in ("Predict", "Render", "Export"):
        options = getattr(system, f"{command}Options")
        if options.model_fields:
            yield from _table(options, f"emulant {command.lower()}", prefix="--")


def _tables(table: type[BaseModel], path: str) -> Iterator[str]:
    """A table of the study and those below it, but for `training`, which all surrogates have alike."""
    below = {name: found for name, field in table.model_fields.items() if (found := _below(field.annotation))}
    plain = set(table.model_fields) - set(below)
    if plain or not below:
        yield from _table(table, f"[{path}]" if path else "(top)", only=plain)
    for name, models in below.items():
        if models[0] is not TrainingTable:
            yield from _tables(models[0], f"{path}.{name}".strip("."))


def _below(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _below(part)]


def _table(table: type[BaseModel], title: str, prefix: str = "", only: set[str] | None = None) -> Iterator[str]:
    told = _documented(table)
    yield from ("", f"### `{title}`", "", inspect.cleandoc(table.__doc__ or ""), "")
    names = [name for name in table.model_fields if only is None or name in only]
    if names:
        yield from ("| key | type | default | |", "|---|---|---|---|")
    for name in names:
        field = table.model_fields[name]
        key = prefix + (name.replace("_", "-") if prefix else name)
        yield f"| `{key}` | {_kind(field)} | {_default(field)} | {_line(told.get(name, ''))} |"


def _kind(field: Any) -> str:
    limits = [text for rule in field.metadata if (text := _limit(rule))]
    return _line(" ".join([_name(field.annotation), *limits]))


NAMES = {float: "number", int: "whole number", str: "text", Path: "path", bool: "true or false"}


def _name(annotation: Any) -> str:
    """An annotation as people say it."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is Annotated:
        return " ".join([_name(parts[0]), *(text for rule in parts[1:] if (text := _limits(rule)))])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_name(part) for part in parts if part is not NoneType))
    if origin is tuple:
        return f"list of {_name(parts[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return "table"
    return NAMES.get(annotation) or ("table" if _below(annotation) else str(annotation))


def _limits(rule: Any) -> str:
    """Of pydantic's `Field`, which holds the rules, or of a rule itself."""
    return " ".join(filter(None, (_limit(each) for each in getattr(rule, "metadata", [rule]))))


def _limit(rule: Any) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    there = {sign: value for key, sign in signs.items() if (value := getattr(rule, key, None)) is not None}
    return " ".join(f"{sign} {value:g}" for sign, value in there.items())


def _default(field: Any) -> str:
    if field.default is PydanticUndefined or isinstance(field.default, BaseModel):
        return "" if field.default_factory is None else "see below"
    if field.default is None:
        return "unset"
    text = json.dumps(field.default, default=str)
    return f"`{text}`" if len(text) < 80 else f"{len(field.default)} of them"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


@cache
def _documented(table: type[BaseModel]) -> dict[str, str]:
    """Field -> the text that stands below it in the source, of the class and of what it extends."""
    found: dict[str, str] = {}
    for cls in reversed(table.__mro__):
        if not (issubclass(cls, BaseModel) and cls.__module__.startswith("emulant.")):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        body = definition.body if isinstance(definition, ast.ClassDef) else []
        for node, after in pairwise(body):
            if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
                found[ast.unparse(node.target)] = str(ast.literal_eval(after.value))
    return found

"""The documented layout: `TYPE/scene_00000001.jsonl`, a header and then a line per frame. Numbering begins at 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from emulant.dataset.atomic import write_bytes
from emulant.dataset.seams import Array
from emulant.errors import DataError
from emulant.systems.scenes.header import header_of, kind_of, material_of, scene_of
from emulant.systems.scenes.scene import Scene


def scene_path(folder: Path, type_: str, number: int) -> Path:
    """The file of scene `number` (from 0) of a type."""
    return folder / type_ / f"scene_{number + 1:08d}.jsonl"


def write_scene(path: Path, scene: Scene, state: Array, first: int = 1) -> Path:
    """Write a scene and its frames (T, N, 6), the first of which has the number `first`; stored values exactly."""
    lines = [orjson.dumps(header_of(scene)), *(orjson.dumps(frame) for frame in _frames(scene, state, first))]
    return write_bytes(path, b"\n".join(lines) + b"\n")


def _frames(scene: Scene, state: Array, first: int) -> Iterator[dict[str, Any]]:
    fixed = [(kind_of(body), material_of(body)) for body in scene.bodies]
    for number, rows in enumerate(state.tolist(), first):
        moving = sum(abs(row[3]) > 1 or abs(row[4]) > 1 for row in rows)
        yield {
            "frame": number,
            "description": f"Frame {number}: {_sentence(moving, len(rows))}",
            "objects": [_object(body, *fixed[body], row) for body, row in enumerate(rows)],
        }


def _object(number: int, kind: str, material: Mapping[str, float], row: list[float]) -> dict[str, Any]:
    x, y, angle, vx, vy, omega = row
    return {
        "id": number,
        "type": kind,
        "position": {"x": round(x, 4), "y": round(y, 4)},
        "velocity": {"x": round(vx, 4), "y": round(vy, 4)},
        "angle": round(angle, 6),
        "angular_velocity": round(omega, 6),
        "material": material,
    }


def _sentence(moving: int, count: int) -> str:
    if moving == 0:
        return "All objects are at rest."
    if moving == count:
        return "All objects are in motion."
    return f"{moving} of {count} objects are moving."


# -- reading ------------------------------------------------------------------------------------------------------


def read_scene(path: Path) -> tuple[Scene, NDArray[np.float64]]:
    """A scene and its frames (T, N, 6) as they are written.

    Raises:
        DataError: The file is missing, torn or foreign; the message names the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    if not lines:
        raise DataError(f"{path}: is empty.")
    scene = scene_of(_json(lines[0], f"{path}: line 1"), str(path))
    first = 0
    rows: list[list[tuple[float, ...]]] = []
    for number, line in enumerate(lines[1:], 2):
        where = f"{path}: line {number}"
        frame, state = _frame(_json(line, where), len(scene.bodies), where)
        first = first or frame
        if frame != first + len(rows):
            raise DataError(f"{where}: is frame {frame}, where frame {first + len(rows)} belongs.")
        rows.append(state)
    return scene, np.array(rows, dtype=np.float64).reshape(len(rows), len(scene.bodies), 6)


def _json(line: bytes, where: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{where}: is not JSON: {error}.") from None


def _frame(value: Any, count: int, where: str) -> tuple[int, list[tuple[float, ...]]]:
    try:
        frame = int(value["frame"])
        objects = {int(each["id"]): _numbers(each) for each in value["objects"]}
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{where}: is not a frame of a scene: {what}.") from None
    if set(objects) != set(range(count)) or len(value["objects"]) != count:
        raise DataError(f"{where}: has objects {sorted(objects)}, where 0 to {count - 1} belong.")
    return frame, [objects[number] for number in range(count)]


def _numbers(each: Mapping[str, Any]) -> tuple[float, ...]:
    place, pace = each["position"], each["velocity"]
    numbers = (place["x"], place["y"], each.get("angle", 0), pace["x"], pace["y"], each.get("angular_velocity", 0))
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError(f"object {each['id']} has a number that is not finite")
    return tuple(float(number) for number in numbers)

"""A split of scenes, opened: our shards, or a tree of JSON lines that was made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from emulant.dataset import parquet
from emulant.dataset.batching import in_batches
from emulant.dataset.npz import case_row
from emulant.dataset.seams import Array, Field
from emulant.dataset.store import Store
from emulant.errors import DataError
from emulant.systems.scenes.arrays import padded_states, scene_arrays
from emulant.systems.scenes.catalogue import SCENARIOS, case_number, type_and_number
from emulant.systems.scenes.files import read_contacts, read_scenes, read_state
from emulant.systems.scenes.header import scene_of
from emulant.systems.scenes.jsonlines import read_scene
from emulant.systems.scenes.scene import FIELDS, FRAME, SCALE, Recording, Scene


@dataclass(frozen=True)
class Place:
    """Where a scene lies: a JSON-lines file of its own, or a row group of a `frames` file."""

    path: Path
    """Of the headers: the `scenes` file or the JSON-lines file."""
    group: int = 0

    @property
    def is_text(self) -> bool:
        return self.path.suffix == ".jsonl"

    @property
    def frames(self) -> Path:
        return self.path.with_name(self.path.name.replace("scenes_", "frames_", 1))


@dataclass(frozen=True, eq=False)
class ScenesDataset:
    """The scenes of one split. See `scene.FIELDS` for what it gives."""

    folder: Path
    split: str
    cases: pl.DataFrame
    places: Mapping[int, Place]

    @property
    def schema(self) -> Mapping[str, Field]:
        return FIELDS

    @property
    def targets(self) -> tuple[str, ...]:
        return ("state",)

    @property
    def geometry(self) -> Mapping[str, Any]:
        return {"step": FRAME}

    def __len__(self) -> int:
        return len(self.cases)

    # -- scenes

    def scene(self, case: int) -> Scene:
        """The header of a case.

        Raises:
            DataError: There is no such case, or its file is damaged.
        """
        place = self._place(case)
        if place.is_text:
            return read_scene(place.path)[0]
        row = self._row(place)
        where = f"{place.path}: {row['type']}/{row['scene']}"
        try:
            header = orjson.loads(row["header"])
        except (orjson.JSONDecodeError, TypeError) as error:
            raise DataError(f"{where}: its header is damaged: {error}.", parquet.MEND) from error
        return scene_of(header, where)

    def recording(self, case: int) -> Recording:
        """The scene and its frames."""
        (state,) = self.states([case])
        return Recording(self.scene(case), state)

    def states(self, cases: Sequence[int]) -> list[Array]:
        """(T, N, 6) of each case."""
        return [self._state(self._place(case)) for case in cases]

    def _state(self, place: Place) -> Array:
        if place.is_text:
            return read_scene(place.path)[1]
        whole = read_state(
            _remembered(parquet.open_file, place.frames), place.frames, place.group, self._row(place)["object_count"]
        )
        return np.asarray(whole / SCALE)

    def digest(self, case: int) -> str | None:
        """The sha256 that the store has of the integers of a scene; None in a tree of JSON lines."""
        place = self._place(case)
        return None if place.is_text else str(self._row(place)["sha256"])

    def contacts(self, case: int) -> Array | None:
        """(E, 3): frame, body, body of each beginning of contact that the engine saw, -1 for something fixed.

        None in a tree of JSON lines.
        """
        place = self._place(case)
        return None if place.is_text else read_contacts(place.path, place.group)

    def _row(self, place: Place) -> dict[str, Any]:
        row: dict[str, Any] = _remembered(read_scenes, place.path)[place.group]
        return row

    def _place(self, case: int) -> Place:
        if case not in self.places:
            raise DataError(f"{self.folder}: has no case {case}.", "See `emulant status`.")
        return self.places[case]

    # -- as any dataset

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        numbers = self.cases["case"].to_list() if cases is None else list(cases)
        if not numbers:
            raise DataError(f"{self.folder}: no scene to read.", "See `emulant status`.")
        if unknown := [name for name in fields if name not in FIELDS]:
            raise DataError(f"{self.folder}: has no field `{unknown[0]}` (it has: {', '.join(FIELDS)}).")
        found: dict[str, Array] = {}
        if {"state", "mask"} & set(fields):
            found["state"], found["mask"] = padded_states(self._equally_long(numbers))
        if set(fields) - {"state", "mask"}:
            found |= scene_arrays([self.scene(case) for case in numbers])
        return {name: found[name] for name in fields}

    def _equally_long(self, cases: Sequence[int]) -> list[Array]:
        states = self.states(cases)
        for case, state in zip(cases, states, strict=True):
            if len(state) != len(states[0]):
                raise DataError(
                    f"{self.folder}: {title(case)} has {len(state)} frames, {title(cases[0])} {len(states[0])}.",
                    "All scenes of a split must be of one length to be read as one array.",
                )
        return states

    def batches(
        self, size: int, fields: Sequence[str], *, seed: int | None = None, epoch: int = 0
    ) -> Iterator[dict[str, Array]]:
        return in_batches(self.read, self.cases["case"].to_numpy(), size, fields, seed, epoch)

    def select(self, cases: Sequence[int]) -> ScenesDataset:
        for case in cases:
            self._place(case)
        wanted = pl.DataFrame({"case": list(cases)}, schema={"case": pl.Int64})
        return replace(self, cases=wanted.join(self.cases, on="case", how="left", maintain_order="left"))


# -- opening ------------------------------------------------------------------------------------------------------


def open_dataset(folder: Path, tell: Callable[[DataError], object] | None = None) -> ScenesDataset:
    """Open a split that emulant has made, or a folder of `TYPE/scene_00000001.jsonl`.

    Args:
        tell: Called with what is wrong with a damaged file, which is then left out; without it that is raised.

    Raises:
        DataError: There is no scene, or a file is damaged.
    """
    ours = Store(folder).is_ours
    paths = list(_finished(folder)) if ours else sorted(folder.glob("*/scene_*.jsonl"))
    rows: list[dict[str, Any]] = []
    places: dict[int, Place] = {}
    for path in paths:
        try:
            told = list(_told(path))
        except DataError as error:
            if tell is None:
                raise
            tell(error)
            continue
        for place, type_, number, difficulty, objects in told:
            case = case_number(type_, number)
            places[case] = place
            rows.append(_case_row(folder.name, case, type_, difficulty, objects))
    if not rows:
        raise DataError(f"{folder}: holds no scene.", "`emulant generate` makes them.")
    return ScenesDataset(folder, folder.name, pl.DataFrame(rows).sort("case"), places)


def _finished(folder: Path) -> Iterator[Path]:
    """The files that are signed for and have headers."""
    for sidecar in Store(folder).sidecars():
        for file in sidecar.files:
            if not Path(file.path).name.startswith("frames_"):
                yield folder / file.path


def _told(path: Path) -> Iterator[tuple[Place, str, int, int, int]]:
    """Place, type, number, difficulty and objects of every scene of a file."""
    if path.suffix == ".jsonl":
        try:
            number = int(path.stem.removeprefix("scene_")) - 1
            with path.open("rb") as file:
                header = orjson.loads(file.readline())
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: line 1: is not the header of a scene: {error}.") from error
        scene = scene_of(header, str(path))
        _require_type(scene.type, path)
        yield Place(path), scene.type, number, scene.difficulty, len(scene.bodies)
        return
    for group, row in enumerate(_remembered(read_scenes, path)):
        _require_type(row["type"], path)
        yield Place(path, group), row["type"], row["scene"], row["difficulty"], row["object_count"]


def _require_type(type_: str, path: Path) -> None:
    if type_ not in SCENARIOS:
        raise DataError(f"{path}: is of the unknown type {type_!r}.", f"Known are {', '.join(SCENARIOS)}.")


def _case_row(split: str, case: int, type_: str, difficulty: int, objects: int) -> dict[str, Any]:
    row = case_row(split, case, {"family": type_, "parameters": {"difficulty": difficulty, "objects": objects}})
    return {**row, "category": SCENARIOS[type_].category}


def _remembered(read: Callable[[Path], Any], path: Path) -> Any:
    """What `read` makes of a file, remembered as long as the file does not change."""
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"{path}: is missing.", parquet.MEND) from error
    return _read_once(read, path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _read_once(read: Callable[[Path], Any], path: Path, _size: int, _changed: int) -> Any:
    return read(path)


def title(case: int) -> str:
    """`billiards/7`, as headers name it."""
    type_, number = type_and_number(case)
    return f"{type_}/{number}"

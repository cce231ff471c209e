"""What a model has put out for the pendulums: one Parquet file, `evaluation/predictions/NAME.parquet`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from emulant.dataset.atomic import write_json
from emulant.dataset.parquet import opened, read_group, write_groups
from emulant.dataset.seams import Array, Fields
from emulant.dataset.store import StoredFile
from emulant.errors import DataError
from emulant.evaluation.forecasts import Forecasts, Start
from emulant.systems.pendulum.config import STATE
from emulant.systems.pendulum.files import repeated, sim_id


class ParquetPredictions:
    """sim_id, t and the four components of the state, for the forecast times of every test case; a row group per
    split and start."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_suffix(".parquet")
        self.card = folder.with_suffix(".json")
        self._tables: list[pa.Table] = []
        self._groups: list[list[Any]] = []

    def write(self, split: str, start: Start, forecasts: Forecasts, times: Array) -> list[Path]:
        """Take the forecasts of a split as they come; `sign` writes them all."""
        cases: list[int] = []
        states: list[Array] = []
        for some, fields in forecasts:
            cases += some
            states += list(fields["state"])
        frames = len(states[0])
        columns = {"sim_id": repeated([sim_id(split, case) for case in cases], [frames] * len(cases))}
        columns["t"] = np.tile(times[start.index + 1 :][:frames], len(cases))
        stacked = np.concatenate(states)
        columns |= {name: stacked[:, index] for index, name in enumerate(STATE)}
        self._tables.append(pa.table(columns))
        self._groups.append([split, start.label, start.index + 1, frames, cases])
        return [self.path]

    def sign(self, key: str, files: Sequence[Path]) -> None:
        """Write the file, and then the card that says what it is for and where in it what is."""
        write_groups(self.path, self._tables[0].schema, self._tables, split=["t", *STATE], dictionary=["sim_id"])
        stored = StoredFile.of(self.path, self.path.parent).model_dump()
        write_json(self.card, {"key": key, "file": stored, "groups": self._groups})
        self._tables, self._groups = [], []

    def are_for(self, key: str) -> bool:
        """Whether complete, undamaged predictions for that key are there."""
        try:
            card = orjson.loads(self.card.read_bytes())
            file = StoredFile.model_validate(card["file"])
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return False  # none, or torn by other hands: they are made again
        return bool(card["key"] == key) and file.fault(self.path.parent) is None

    def read(
        self, split: str, start: Start, targets: Sequence[str], cases: Sequence[int], batch_cases: int
    ) -> Iterator[tuple[Sequence[int], Fields]]:
        """The kept forecasts, at most `batch_cases` cases at a time.

        Raises:
            DataError: They are missing or damaged.
        """
        states, _, place = self._group(split, start.label)
        for first in range(0, len(cases), batch_cases):
            some = cases[first : first + batch_cases]
            yield some, {"state": states[[place[case] for case in some]]}

    def one(self, split: str, case: int, label: str, targets: Sequence[str]) -> dict[str, Any]:
        """The forecast of one case: `state` (H, 4), `times` (H,), `context`."""
        states, times, place = self._group(split, label)
        context = next(group[2] for group in self._card()["groups"] if group[:2] == [split, label])
        return {"state": states[place[case]], "times": times, "context": np.array(context)}

    def _card(self) -> Any:
        try:
            return orjson.loads(self.card.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            raise DataError(f"{self.card}: is missing or damaged.", "`emulant evaluate` makes it anew.") from None

    def _group(self, split: str, label: str) -> tuple[Array, Array, dict[int, int]]:
        for number, (its_split, its_label, _, frames, cases) in enumerate(self._card()["groups"]):
            if (its_split, its_label) == (split, label):
                with opened(self.path) as file:
                    table = read_group(file, self.path, number, ["t", *STATE])
                states = np.stack([table[name].to_numpy() for name in STATE], axis=-1)
                times = table["t"].to_numpy()[:frames]
                return states.reshape(len(cases), frames, 4), times, {case: row for row, case in enumerate(cases)}
        raise DataError(f"{self.path}: holds no forecast of {split}{label}.", "`emulant evaluate` makes it anew.")

"""The predictions that are kept: one NPZ per case and start, from which every score follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from emulant.dataset.atomic import write_json, write_npz
from emulant.dataset.npz import read_arrays
from emulant.dataset.seams import Array, Fields
from emulant.dataset.store import StoredFile
from emulant.errors import DataError
from emulant.evaluation.forecasts import Forecasts, Start

CARD = "predictions.json"


@dataclass(frozen=True)
class Signed:
    """Files in a folder that are known to be complete, and for what, by a card beside them."""

    folder: Path

    def sign(self, key: str, files: Sequence[Path]) -> None:
        """Say that these files are complete, and for what."""
        stored = [StoredFile.of(path, self.folder).model_dump() for path in sorted(files)]
        write_json(self.folder / CARD, {"key": key, "files": stored})

    def files(self) -> list[Path]:
        """The files that were signed, in order.

        Raises:
            DataError: None were, or the card is damaged.
        """
        try:
            card = orjson.loads((self.folder / CARD).read_bytes())
            return [self.folder / StoredFile.model_validate(file).path for file in card["files"]]
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            mend = "`emulant evaluate` makes it anew."
            raise DataError(f"{self.folder / CARD}: is missing or damaged.", mend) from error

    def are_for(self, key: str) -> bool:
        """Whether complete, undamaged predictions for that key are there."""
        try:
            card = orjson.loads((self.folder / CARD).read_bytes())
            files = [StoredFile.model_validate(file) for file in card["files"]]
            known = card["key"]
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return False  # none, or torn by other hands: they are made again
        return bool(files and known == key) and not any(file.fault(self.folder) for file in files)


@dataclass(frozen=True)
class Predictions(Signed):
    """What one model has put out, below `evaluation/predictions/NAME/`."""

    def path(self, split: str, case: int, start: Start) -> Path:
        """`test_000.npz`, from a warm start `test_000@1.npz`."""
        return self.folder / f"{split}_{case:03d}{start.label}.npz"

    def write(self, split: str, start: Start, forecasts: Forecasts, times: Array) -> list[Path]:
        """Keep forecasts as they come: the target fields (H, ...), `times` (H,) and the number of context frames."""
        written = []
        for cases, fields in forecasts:
            for row, case in enumerate(cases):
                arrays: dict[str, Any] = {name: array[row] for name, array in fields.items()}
                frames = len(next(iter(arrays.values())))
                arrays |= {"times": times[start.index + 1 :][:frames], "context": start.index + 1}
                written.append(write_npz(self.path(split, case, start), arrays, durable=False))
        return written

    def read(
        self, split: str, start: Start, targets: Sequence[str], cases: Sequence[int], batch_cases: int
    ) -> Iterator[tuple[Sequence[int], Fields]]:
        """The kept forecasts, at most `batch_cases` cases at a time.

        Raises:
            DataError: A file is missing or damaged.
        """
        for first in range(0, len(cases), batch_cases):
            some = cases[first : first + batch_cases]
            arrays = [read_arrays(self.path(split, case, start), targets) for case in some]
            yield some, {name: np.stack([each[name] for each in arrays]) for name in targets}

    def one(self, split: str, case: int, label: str, targets: Sequence[str]) -> dict[str, Any]:
        """The kept forecast of one case: the target fields (H, ...), `times` (H,), `context` (a number).

        Raises:
            DataError: The file is missing or damaged.
        """
        path = self.folder / f"{split}_{case:03d}{label}.npz"
        return read_arrays(path, [*targets, "times", "context"])

"""The curves of a training: `metrics.csv`, always, and the loggers that a study names."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from emulant.dataset.atomic import storage_error, write_text
from emulant.errors import UsageError
from emulant.training.table import Logger

Row: TypeAlias = Mapping[str, float | int | None]

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "wandb-offline": "wandb"}


class Curves:
    """`metrics.csv`: a row per epoch, on the disk when the epoch has ended. Numbers read back to the bit."""

    def __init__(self, folder: Path | None, columns: Sequence[str]) -> None:
        self.path = folder / "metrics.csv" if folder else None
        self.columns = tuple(columns)

    def begin(self, rows: int) -> None:
        """Start the file, or keep the rows of the first `rows` epochs: those that the checkpoint knows of."""
        if self.path is None:
            return
        lines = self.path.read_text(encoding="utf-8").splitlines() if rows and self.path.is_file() else []
        write_text(self.path, "".join(f"{line}\n" for line in [",".join(self.columns), *lines[1 : rows + 1]]))

    def append(self, row: Row) -> None:
        if self.path is None:
            return
        line = ",".join("" if row.get(name) is None else repr(row[name]) for name in self.columns)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise storage_error(self.path, error) from error


def further_loggers(names: Sequence[Logger], folder: Path | None, name: str) -> list[Any]:
    """Lightning's loggers for what the study names beside the CSV.

    Raises:
        UsageError: The package of one is not installed.
    """
    wanted = [logger for logger in names if logger != "csv"]
    for logger in wanted:
        if importlib.util.find_spec(PACKAGES[logger]) is None:
            raise UsageError(
                f'training.loggers: "{logger}" needs a package that is not installed.', "pip install 'emulant[track]'"
            )
    return [_logger(logger, folder or Path(), name) for logger in wanted]


def _logger(logger: Logger, folder: Path, name: str) -> Any:
    from lightning.pytorch.loggers import TensorBoardLogger

    if logger == "tensorboard":
        return TensorBoardLogger(folder, name=None, version="tensorboard")
    folder.mkdir(parents=True, exist_ok=True)
    return _wandb(folder, name, offline=logger == "wandb-offline")


def _wandb(folder: Path, name: str, *, offline: bool) -> Any:
    """A run of its own for every network: left open, wandb would write the next network's curves into it."""
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    class OneRun(WandbLogger):
        def finalize(self, status: str) -> None:
            super().finalize(status)
            self.experiment.finish(exit_code=0 if status == "success" else 1)

    quiet = wandb.Settings(silent=True, console="off", disable_git=True)
    return OneRun(name=name, save_dir=folder, project="emulant", offline=offline, settings=quiet)

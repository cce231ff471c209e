"""The double pendulum: its equations, its integration with a proven accuracy, and what forecasts it.

    from emulant.systems import pendulum

    data = pendulum.open("runs/pendulum/training")    # or any Parquet file or folder with the eleven columns
    data.scan(); data.load_time_window(0, 1); data.load_single_simulation("training_000000"); data.sim_index()
    for batch in pendulum.Pipeline("runs/pendulum/training", length=100): ...

The names are imported when they are used: a worker that simulates, and `emulant --help`, need no Parquet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulant.systems.pendulum.pipeline import Pipeline
    from emulant.systems.pendulum.readers import PendulumDataset, open_dataset
    from emulant.systems.pendulum.readers import open_dataset as open

__all__ = ["PendulumDataset", "Pipeline", "open", "open_dataset"]

_READERS = {"PendulumDataset": "PendulumDataset", "open": "open_dataset", "open_dataset": "open_dataset"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _READERS:
        return getattr(import_module("emulant.systems.pendulum.readers"), _READERS[name])
    if name == "Pipeline":
        return import_module("emulant.systems.pendulum.pipeline").Pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

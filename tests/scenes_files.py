"""One small run of scenes that the tests of files share."""

from pathlib import Path

from emulant import stages, study
from emulant.engines.local import Local

SMALL = (
    'system.types=["billiards","tower","pendulum","orbit","pong","conveyor"]',
    "system.frames=20",
    "splits.training=3",
    "splits.validation=1",
    "splits.test=2",
    "splits.test_heldout=2",
    "splits.test_ood=2",
    "dataset.shard_cases=2",
)


def generated(folder: Path, *overrides: str, workers: int = 1) -> Path:
    """The folder of a small run, its data simulated."""
    stages.generate(study.load("scenes:smoke", (*SMALL, *overrides)), folder, engine=Local(workers))
    return folder

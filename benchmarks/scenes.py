"""Scenes: files written against the engine alone, what a scene weighs on disk, how fast it is checked and read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table import Options, Row, Section
from benchmarks.timing import contest, duration
from emulant import stages, study
from emulant.engines.local import Local
from emulant.systems.scenes.catalogue import BIG, TYPES, case_number
from emulant.systems.scenes.config import ScenesConfig, ScenesSplits, SystemTable
from emulant.systems.scenes.readers import open_dataset
from emulant.systems.scenes.sampling import draw
from emulant.systems.scenes.scene import STEP, Scene
from emulant.systems.scenes.scenes import system
from emulant.systems.scenes.simulation import build
from emulant.validation import validate

SCENES = 20
"""Of each type: half of what a shard of the study `scenes` holds."""
STORED = 25
"""Scenes of each type that are looked at on disk."""
CORE = [name for name in TYPES if name not in BIG]
ATTRACTED = ("orbit", "gravity_well", "solar_system")
"""Their forces are no part of the bare engine, so they are left out of the comparison with it."""


def run(options: Options) -> Section:
    rows = [row for substeps in (1, 8) for row in _against_the_engine(substeps, options)]
    return Section(
        "Scenes",
        "Of each of the core types (those below a hundred bodies) four scenes of each difficulty, 200 frames. The bare "
        "engine is Chipmunk stepping the same scenes, built but neither drawn, read out nor stored.",
        [*rows, *_on_disk()],
    )


def config_of(types: Sequence[str], substeps: int) -> ScenesConfig:
    return ScenesConfig(
        system=SystemTable(types=tuple(types), heldout=(), substeps=substeps), splits=ScenesSplits(training=SCENES)
    )


def bare(scenes: Sequence[Scene]) -> None:
    """The engine alone, as a loop without any of our code in it."""
    for scene in scenes:
        space, _ = build(scene)
        for _ in range(scene.frames * scene.engine.substeps):
            space.step(STEP / scene.engine.substeps)


def _against_the_engine(substeps: int, options: Options) -> list[Row]:
    types = [name for name in CORE if name not in ATTRACTED]
    config = config_of(types, substeps)
    scenes = [draw(config, "training", name, number) for name in types for number in range(SCENES)]
    with TemporaryDirectory() as folder:

        def ours(some: Sequence[str]) -> None:
            own = config_of(some, substeps)
            for shard in system.shards(own, "cases", "training"):
                system.write(shard, system.simulate(shard, own), Path(folder))

        timed = contest(
            {"ours": lambda: ours(types), "engine": lambda: bare(scenes)}, seconds=options.seconds, rounds=(2, 20)
        )
        passes = [_cpu_seconds(partial(ours, CORE)) for _ in range(3 if substeps == 1 else 0)]
    share = timed.ratio("engine")
    what = f"{substeps} substep{'s' if substeps > 1 else ''}"
    each = 1 / len(scenes)
    target = "≥ 0.5"
    rows = [
        Row(f"files written, {what}", timed.said("ours", each), timed.said("engine", each), share, target, share >= 0.5)
    ]
    if passes:
        rate = SCENES * len(CORE) / min(passes)
        rows.append(Row("core types, 1 substep", f"{rate:.0f} scenes/s", target="≥ 250 scenes/s", met=rate >= 250))
    return rows


def _cpu_seconds(function: Callable[[], object]) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun


def _on_disk() -> list[Row]:
    with TemporaryDirectory() as folder:
        wanted = study.load(
            "scenes",
            [
                f"system.types={CORE}",
                "system.heldout=[]",
                f"splits.training={STORED}",
                "splits.validation=0",
                "splits.test=0",
                "splits.test_heldout=0",
                "splits.test_ood=0",
            ],
        )
        root = Path(folder) / "run"
        stages.generate(wanted, root, engine=Local(1))
        count = STORED * len(CORE)
        weight = sum(path.stat().st_size for path in (root / "training").glob("*.parquet")) / count / 1000
        checked = count / min(_cpu_seconds(partial(_require_sound, root)) for _ in range(3))
        dataset = open_dataset(root / "training")
        cases = [case_number(name, 3) for name in CORE]
        one = _cpu_seconds(lambda: [dataset.read(["state"], [case]) for case in cases]) / len(cases)
    return [
        Row("a scene on disk", f"{weight:.1f} kB", target="≤ 20 kB", met=weight <= 20),
        Row("validate", f"{checked:.0f} scenes/s", target="≥ 500 scenes/s", met=checked >= 500),
        Row("one scene read", duration(one), target="about 1 ms"),
    ]


def _require_sound(root: Path) -> None:
    found = validate(root).findings
    assert not found, found[0]

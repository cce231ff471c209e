"""Halos as the rest of the program sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulant.dataset.seams import CaseResult, Dataset, Field, Finding, Learner, Metric, Product, Shard
from emulant.dataset.tables import Table
from emulant.systems.base import BaseSystem
from emulant.systems.halos import plan
from emulant.systems.halos.config import HalosConfig, HalosEvaluation
from emulant.systems.halos.options import ExportOptions, PredictOptions
from emulant.systems.halos.tables import FlowTable, OneHaloTable, TransferTable, UNetTable

_BASELINES, _REFERENCES = "emulant.systems.halos.baselines", "emulant.systems.halos.references"
SIMULATIONS, CUTOUTS = "simulations", "cutouts"


class Halos(BaseSystem):
    """Paired boxes -> cutouts around halos -> gas and stars painted into dark matter."""

    name = "halos"
    summary = "Dark-matter halos, and the gas and stars that a box with baryons has in their place."
    Config = HalosConfig
    targets = ("target",)
    passes = (SIMULATIONS, CUTOUTS)
    mendable = True
    tolerance = 0.0
    studies = Path(__file__).parent / "studies"
    kernels = ("emulant.systems.halos.boxes", "emulant.systems.halos.samples", "emulant.systems.halos.shards")
    task = "emulation"
    Evaluation = HalosEvaluation
    PredictOptions = PredictOptions
    ExportOptions = ExportOptions
    headline = "crps"
    board = ("crps", "star_occupancy", "star_jaccard", "peak_ratio")
    probe = "emulant.systems.halos.probe:probe"
    play = "emulant.systems.halos.play:play"
    surrogates: Mapping[str, Learner] = {
        "unet": Learner(UNetTable, "emulant.systems.halos.networks:UNetPainter", extra="torch"),
        "flow": Learner(FlowTable, "emulant.systems.halos.networks:FlowPainter", extra="torch"),
    }
    baselines: Mapping[str, Learner] = {
        "identity": Learner(Table, f"{_BASELINES}:Identity"),
        "transfer": Learner(TransferTable, "emulant.systems.halos.transfer:Transfer"),
        "one_halo": Learner(OneHaloTable, f"{_BASELINES}:OneHalo"),
        "transfer_scatter": Learner(TransferTable, f"{_REFERENCES}:TransferScatter"),
        "untrained": Learner(Table, f"{_REFERENCES}:Untrained"),
    }
    oracles: Mapping[str, Learner] = {"hydro_replace": Learner(Table, f"{_REFERENCES}:HydroReplace")}
    figures: Mapping[str, Any] = {
        name: f"emulant.systems.halos.figures:{name}"
        for name in ("gallery", "spectra", "cutout_spectra", "correction", "profiles", "calibration", "response")
    }
    physics = ("mass_bias", "mass_scatter")
    citations: Mapping[str, str] = {
        "linear power": "D. J. Eisenstein and W. Hu, ApJ 496, 605 (1998)",
        "particle mesh": "Y. Feng et al., MNRAS 463, 2273 (2016)",
        "baryons": "A. Schneider and R. Teyssier, JCAP 12, 049 (2015)",
        "concentrations": "A. R. Duffy et al., MNRAS 390, L64 (2008)",
        "parameters and file layout": "F. Villaescusa-Navarro et al., the CAMELS Multifield Dataset (2022)",
        "flow": "Y. Lipman et al., Flow matching for generative modeling (2023)",
    }
    exports: Mapping[str, Any] = {
        "files": "emulant.systems.halos.exports:files",
        "large-scale": "emulant.systems.halos.exports:large_scale",
    }

    @property
    def fields(self) -> Mapping[str, Field]:  # type: ignore[override]
        from emulant.systems.halos.shards import FIELDS

        return FIELDS

    @property
    def metrics(self) -> Mapping[str, Metric]:
        from emulant.systems.halos.metrics import METRICS
        from emulant.systems.halos.probe import PROBED

        return {**METRICS, **PROBED}

    def splits(self, config: HalosConfig) -> Mapping[str, int]:
        """Split -> number of simulations."""
        return plan.splits(config)

    def shards(self, config: HalosConfig, pass_: str, split: str) -> Sequence[Shard]:
        """A box of initial conditions, or the cutouts of one simulation."""
        boxes = plan.in_split(config, split)
        if pass_ == CUTOUTS:
            numbers = [number for box in boxes for number in box.simulations]
        else:
            numbers = [box.number for box in boxes if config.system.source.kind == "embedded"]
        return [Shard(f"{number:05d}", split, (number,), pass_) for number in numbers]

    def simulate(self, shard: Shard, config: HalosConfig) -> Product:
        from emulant.systems.halos import boxes, samples

        if shard.pass_ == SIMULATIONS:
            wanted = {box.number: box for box in plan.in_split(config, shard.split)}
            return [boxes.simulate(wanted[number], config) for number in shard.cases]
        made = [samples.sample(number, shard.split, config, _root(shard)) for number in shard.cases]
        return [replace(result, record={**result.record, "layout": config.dataset.layout}) for result in made]

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        from emulant.systems.halos import boxes, shards

        if shard.pass_ == SIMULATIONS:
            return [path for result in product for path in boxes.write(result, folder)]
        return [path for result in product for path in shards.write(result, folder, result.record["layout"])]

    def resimulate(self, dataset: Dataset, case: int, config: HalosConfig, root: Path) -> CaseResult:
        from emulant.systems.halos import samples

        cutout = samples.Cutout.of(case)
        result = samples.sample(cutout.simulation, dataset.split, config, root, only=cutout)
        return next(samples.single(result, case))

    def open(self, folder: Path, config: HalosConfig | None = None) -> Dataset:
        from emulant.systems.halos.shards import open_split

        if config is None:
            return open_split(folder, None)
        asked = [number for box in plan.in_split(config, folder.name) for number in box.simulations]
        return open_split(folder, asked)

    def recognise(self, root: Path) -> dict[str, Any] | None:
        """The study of a folder of the source document's NPZ files; None if this is not one."""
        from emulant.systems.halos.exports import document_of

        return document_of(root)

    def check(self, dataset: Dataset) -> Iterable[Finding]:
        from emulant.systems.halos.checks import check

        return check(dataset)

    def notes(self, config: HalosConfig) -> Sequence[str]:
        """That gas and stars are no simulation, and where there are too few boxes to know an interval."""
        found = []
        if config.system.source.kind == "embedded":
            found.append(
                "Gas and stars are baryonified: a model with known scatter puts them into a dark-matter box. "
                "They are no hydrodynamical simulation, and figures of papers about those are not comparable."
            )
        tests = [box.split for box in plan.boxes(config) if box.split.startswith("test")]
        if single := sorted({split for split in tests if tests.count(split) == 1}):
            found.append(
                f"Halos and simulations of one box are not independent, so intervals are over boxes. "
                f"{' and '.join(single)}: one box only, so intervals there have no width and say nothing."
            )
        return found

    def describe(self, dataset: Dataset, evaluation: Any, folder: Path) -> Any:
        from emulant.systems.halos.metrics import with_mass_bins

        return with_mass_bins(dataset)

    def scoring(self, run: Any) -> Mapping[str, Any]:
        from emulant.systems.halos.metrics import scoring

        return scoring(run)

    def preferred(self, run: Any, options: Any) -> str | None:
        """`flow` if several draws are asked for, else the painter that scored best on validation samples."""
        names: list[str] = list(run.study.surrogates)
        if len(names) < 2:
            return names[0] if names else None
        if options.samples > 1 and "flow" in names:
            return "flow"
        return min(names, key=lambda name: float(run.model(name).model.score))

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: HalosConfig) -> None:
        from emulant.systems.halos.predict import paint_snapshot

        paint_snapshot(surrogate, source, target, options, config)


def _root(shard: Shard) -> Path:
    assert shard.root is not None  # those who work on a shard say where
    return shard.root


system = Halos()

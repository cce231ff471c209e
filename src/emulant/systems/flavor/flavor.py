"""Fast flavor instability as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulant.dataset.seams import CaseResult, Dataset, Finding, Learner, Metric, Product, Shard
from emulant.dataset.seeds import case_stream
from emulant.dataset.tables import Table
from emulant.systems.base import BaseSystem
from emulant.systems.flavor.config import FlavorConfig, FlavorEvaluation
from emulant.systems.flavor.fields import FIELDS, TARGETS
from emulant.systems.flavor.metrics import METRICS
from emulant.systems.flavor.options import ExportOptions
from emulant.systems.flavor.tables import MixingTable, MultitaskTable, PrescriptionTable, ProfileTable, UntrainedTable

PRESCRIPTION = "emulant.systems.flavor.prescriptions:Prescription"
FIGURES = {"errors": ("ladder", "depth", "scatter", "growth"), "views": ("plane", "conservation")}
LABELS_FROM = 10**6
"""Case numbers from here on are cells with labels of linear analysis alone, so that either kind can grow."""
LABELS_PER_SHARD = 16
"""Times `dataset.shard_cases`: these cells are quick."""


class Flavor(BaseSystem):
    """Four-fluxes of a cell -> stability, growth rate, and the state after saturation."""

    name = "flavor"
    version = 2
    summary = "Fast flavor instability of neutrinos in a merger or supernova cell, and what comes out of it."
    Config = FlavorConfig
    Evaluation = FlavorEvaluation
    fields = FIELDS
    targets = TARGETS
    headline = "rms_f4"
    board = (
        "skill_f4",
        *(f"rms_f4_minus_{rival}" for rival in ("box3d", "profile", "untrained")),
        *("growth_error_p50", "growth_error_p95", "stability_error", "stable_false_positive"),
        *("coverage_68", "excluded_fraction"),
    )
    studies = Path(__file__).parent / "studies"
    kernels = (
        "emulant.systems.flavor.truth",
        "emulant.systems.flavor.reaction",
        "emulant.systems.flavor.files",
        "scipy.fft",
        "scipy.optimize",
    )
    task = "emulation"
    surrogates: Mapping[str, Learner] = {
        "mixing": Learner(MixingTable, "emulant.systems.flavor.mixing.emulator:Mixing", extra="torch"),
        "multitask": Learner(MultitaskTable, "emulant.systems.flavor.multitask.emulator:Multitask", extra="torch"),
    }
    baselines: Mapping[str, Learner] = {
        "no_mixing": Learner(Table, "emulant.systems.flavor.prescriptions:NoMixing"),
        "box3d": Learner(PrescriptionTable, PRESCRIPTION),
        "profile": Learner(ProfileTable, PRESCRIPTION),
        "untrained": Learner(UntrainedTable, PRESCRIPTION),
    }
    metrics: Mapping[str, Metric] = METRICS
    ExportOptions = ExportOptions
    exports: Mapping[str, Any] = {
        name: f"emulant.systems.flavor.exports.formats:{name}" for name in ("c", "onnx", "torchscript", "losses")
    }
    figures: Mapping[str, Any] = {
        name: f"emulant.systems.flavor.figures.{module}:{name}" for module, names in FIGURES.items() for name in names
    }
    examples: Mapping[str, Any] = {"nsm1": "emulant.systems.flavor.predict:nsm1"}
    probe = "emulant.systems.flavor.evaluation:probe"
    play = "emulant.systems.flavor.play:play"
    physics = (
        "eln_violation",
        "trace_violation",
        "unphysical_fraction",
        "stable_altered",
        "rotation_error",
        "mirror_error",
    )
    citations: Mapping[str, str] = {
        "instability criterion": "T. Morinaga (2022); arXiv:2402.08896",
        "box3d": "M. Zaizen and H. Nagakura (2023); S. Richers et al. (2024); family of arXiv:2307.11129",
        "multitask": "after arXiv:2409.04405",
    }
    limits: Sequence[str] = (
        "The truth is a one-dimensional, homogeneous, collisionless box without vacuum mixing: not what a global "
        "simulation of neutrino quantum kinetics would give.",
        "Heavy-lepton flavors are alike in the box; cells where they differ get their mean.",
        "A cell is changed at once, whatever the host's time step; whether that is right is debated.",
    )

    # -- what there is to do

    def splits(self, config: FlavorConfig) -> Mapping[str, int]:
        source = config.system.source
        if source.rows_given:
            from emulant.systems.flavor.sources import source_counts

            return source_counts(config)
        simulated, labelled = self._simulated(config), self._labelled(config)
        return {name: count + labelled.get(name, 0) for name, count in simulated.items() if count}

    def _simulated(self, config: FlavorConfig) -> Mapping[str, int]:
        """Cells of every split that are simulated; those of a file all belong to one."""
        source = config.system.source
        if not source.initial:
            return config.splits.simulated
        from emulant.systems.flavor.sources import initial_cells

        return {source.initial_split: len(initial_cells(source.initial))}

    def _labelled(self, config: FlavorConfig) -> Mapping[str, int]:
        """Further cells of every split that get labels of linear analysis alone."""
        return {} if config.system.source.initial else config.splits.labelled

    def shards(self, config: FlavorConfig, pass_: str, split: str) -> Sequence[Shard]:
        if config.system.source.rows_given:
            from emulant.systems.flavor.sources import source_shards

            return source_shards(config, pass_, split)
        size, simulated = config.dataset.shard_cases, self._simulated(config)[split]
        labels = self._labelled(config).get(split, 0)
        shards = [
            Shard(f"{number:05d}", split, tuple(range(start, min(start + size, simulated))), pass_)
            for number, start in enumerate(range(0, simulated, size))
        ]
        return shards + [
            Shard(f"labels_{number:05d}", split, tuple(range(start, min(start + size * LABELS_PER_SHARD, end))), pass_)
            for end in [LABELS_FROM + labels]
            for number, start in enumerate(range(LABELS_FROM, end, size * LABELS_PER_SHARD))
        ]

    def inputs(self, config: FlavorConfig) -> Mapping[str, str]:
        files = config.system.source.files
        if not files:
            return {}
        from emulant.systems.flavor.census import fingerprint

        return {name: fingerprint(Path(name)) for name in files}

    # -- doing it

    def simulate(self, shard: Shard, config: FlavorConfig) -> Product:
        if config.system.source.rows_given:
            from emulant.systems.flavor.sources import read_rows

            return read_rows(shard, config)
        return [self.simulate_case(shard.split, case, config) for case in shard.cases]

    def simulate_case(self, split: str, case: int, config: FlavorConfig) -> CaseResult:
        from emulant.systems.flavor.sampling import Cell, draw
        from emulant.systems.flavor.truth import labelled_case

        system = config.system
        if system.source.initial:
            from emulant.systems.flavor.sources import initial_cells

            cell = Cell(initial_cells(system.source.initial)[case], Path(system.source.initial).stem)
        else:
            cell = draw("ood" if split == "test_ood" else system.sampler, case_stream(config.seed, split, case))
        return labelled_case(cell.f4, cell.family, split, case, config.seed, system, simulate=case < LABELS_FROM)

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        from emulant.systems.flavor.files import write_shard

        return write_shard(shard, product, folder)

    def open(self, folder: Path, config: Any | None = None) -> Dataset:
        from emulant.systems.flavor.readers import open_cells

        return open_cells(folder)

    def manifest(self, config: FlavorConfig, split: str) -> Mapping[str, Any]:
        if not config.system.source.rows_given:
            return {}
        from emulant.systems.flavor.sources import provenance

        return {"source": provenance(config, split)}

    def check(self, dataset: Any) -> Iterable[Finding]:
        from emulant.systems.flavor.checks import check

        return check(dataset)

    # -- scoring it

    def describe(self, dataset: Dataset, evaluation: Any, folder: Path) -> Any:
        """The cases with their groups: stable or not, depth of the crossing, excluded."""
        from emulant.systems.flavor.evaluation import groups

        return groups(dataset)

    def scoring(self, run: Any) -> Mapping[str, Any]:
        """The four-fluxes before, and after by Box3D."""
        from emulant.systems.flavor.evaluation import known

        return known(run)

    def check_leaks(self, datasets: Mapping[str, Any]) -> Iterable[Finding]:
        from emulant.systems.flavor.checks import leaks

        return leaks(datasets)

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: FlavorConfig) -> None:
        from emulant.systems.flavor.predict import predict_file

        predict_file(surrogate, source, target)

    def notes(self, config: FlavorConfig) -> Sequence[str]:
        source = config.system.source
        if source.initial:
            return (f"The cells of {source.initial} are all in the split `{source.initial_split}`.",)
        if source.rows_given:
            return ("Labels are those of the given files, whatever made them.",)
        system = config.system
        return (
            f"Truth: {system.seeds} simulation(s) per cell of {system.n_cells} points and {system.n_directions} "
            f"directions, at most {system.max_steps} steps each; cells that need more have no final state.",
        )


system = Flavor()

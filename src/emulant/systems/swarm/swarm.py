"""The swarm as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulant.dataset.seams import CaseResult, Dataset, Field, Finding, Learner, Metric, Product, Shard
from emulant.dataset.seeds import PURPOSES, SPLITS, case_stream
from emulant.dataset.tables import Table
from emulant.evaluation.metrics import field_metrics
from emulant.surrogates.sequence_tables import LatentNGRCTable, LatentRecurrentTable
from emulant.surrogates.tables import PodMvarTable
from emulant.systems.base import CLIMATOLOGY, PERSISTENCE, BaseSystem
from emulant.systems.swarm import checks, files
from emulant.systems.swarm.config import SpectralTable, SwarmConfig, family
from emulant.systems.swarm.options import PredictOptions, RenderOptions
from emulant.systems.swarm.predict import forecast_file


class Swarm(BaseSystem):
    """Vicsek particles -> density fields -> forecasts."""

    name = "swarm"
    summary = "Self-propelled particles (Vicsek) and the forecast of their density."
    Config = SwarmConfig
    fields: Mapping[str, Field] = files.FIELDS
    targets = ("rho",)
    kernels = ("emulant.systems.swarm.vicsek", "emulant.systems.swarm.density")
    studies = Path(__file__).parent / "studies"
    PredictOptions = PredictOptions
    RenderOptions = RenderOptions
    surrogates: Mapping[str, Learner] = {
        "pod_mvar": Learner(PodMvarTable, "emulant.systems.swarm.pod_mvar:SwarmPodMvar", weights=""),
        "spectral": Learner(SpectralTable, "emulant.systems.swarm.spectral:Spectral"),
        "latent_lstm": Learner(LatentRecurrentTable, "emulant.surrogates.recurrent:Recurrent", extra="torch"),
        "latent_ngrc": Learner(LatentNGRCTable, "emulant.surrogates.baselines.ngrc:NGRC"),
    }
    baselines: Mapping[str, Learner] = {
        "persistence": PERSISTENCE,
        "climatology": CLIMATOLOGY,
        "drift": Learner(Table, "emulant.systems.swarm.drift:Drift"),
    }
    oracles: Mapping[str, Learner] = {
        "pod_ceiling": Learner(PodMvarTable, "emulant.surrogates.pod_ceiling:PODCeiling", follows="pod_mvar"),
    }
    figures: Mapping[str, Any] = {
        "case_errors": "emulant.systems.swarm.figures:case_errors",
        "order_parameters": "emulant.systems.swarm.figures:order_parameters",
        "polarization_by_family": "emulant.systems.swarm.figures:polarization_by_family",
        "singular_values": "emulant.systems.swarm.figures:pod_spectrum",
    }
    films = "emulant.systems.swarm.films:of_report"
    films_note = (
        "All fields share the colour scale of the truth; a forecast that leaves it saturates. The error is forecast "
        "minus truth, on a scale about zero."
    )
    render = "emulant.systems.swarm.films:render"
    play = "emulant.systems.swarm.play:play"
    exports: Mapping[str, Any] = {name: f"emulant.systems.swarm.exports:{name}" for name in ("flat", "stacked", "csv")}
    physics = ("mass_error", "negativity")
    citations: Mapping[str, str] = {
        "simulator": "T. Vicsek et al., Phys. Rev. Lett. 75, 1226 (1995)",
        "latent_ngrc": "D. J. Gauthier et al., Nature Communications 12, 5564 (2021)",
    }
    limits: Sequence[str] = (
        "The density is a kernel estimate: features narrower than the bandwidth are not there to be forecast.",
        "`spectral` is linear in the Fourier modes of density and flux; it cannot make new structure.",
    )

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return field_metrics("rho", unit="particles per area")

    def simulate_case(self, split: str, case: int, config: SwarmConfig) -> CaseResult:
        """Trajectory, density and order parameters of one case, with the record that becomes metadata.json."""
        from emulant.systems.swarm import density, order, vicsek  # compiled: for those who simulate

        system, rng = config.system, case_stream(config.seed, split, case)
        trajectory = vicsek.simulate(system, family(case), rng, duration=system.duration(split))
        grid = density.grid(config.density, system.box)
        arrays = {
            "positions": trajectory.positions,
            "headings": trajectory.headings,
            "times": trajectory.times,
            "rho": density.density(trajectory.positions, config.density, system.box),
            "x_edges": grid.x_edges,
            "y_edges": grid.y_edges,
            "extent": grid.extent,
            "polarization": order.polarization(trajectory.headings),
            "mean_speed": order.mean_speed(trajectory.speeds),
            "nematic": order.nematic(trajectory.headings),
        }
        return CaseResult(case, arrays, _record(split, case, config))

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        return files.write_cases(shard.split, product, folder)

    def open(self, folder: Path, config: SwarmConfig | None = None) -> Dataset:
        return files.open_split(folder, self.geometry(config or SwarmConfig()))

    def geometry(self, config: SwarmConfig) -> Mapping[str, Any]:
        system, grid = config.system, config.density
        return {
            "step": system.frame_step,
            "Lx": system.Lx,
            "Ly": system.Ly,
            "bc": system.bc,
            "speed": system.speed,
            "N": system.N,
            "nx": grid.nx,
            "ny": grid.ny,
            "hx": config.hx,
            "hy": config.hy,
            "simulation": {"system": _plain(system), "density": _plain(grid)},
            "exact_steps": system.save_every == 1 and (system.forces is None or system.forces.mode == "steer"),
            "cell_area": system.Lx * system.Ly / (grid.nx * grid.ny),
        }

    def recognise(self, root: Path) -> dict[str, Any] | None:
        """The study of a tree that was made elsewhere to the source document; None if this is not one."""
        return files.document_of(root)

    def frames(self, config: SwarmConfig) -> int:
        return config.system.frames

    def notes(self, config: SwarmConfig) -> Sequence[str]:
        """What a reader of the results should be told about the simulations, one sentence each."""
        found = list(config.system.notes)
        if config.density.rescaled(config.system.box):
            found.append(
                "The density kernel is narrower than 1.2 cells: each frame is rescaled to the number of particles."
            )
        return found

    def check_files(self, root: Path) -> Iterable[Finding]:
        """What is wrong with the files of a whole tree, beside what receipts and schema say."""
        return checks.pickled(root)

    def check(self, dataset: Dataset) -> Iterable[Finding]:
        return checks.check(dataset)

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: SwarmConfig) -> None:
        forecast_file(surrogate, source, target, options, self.geometry(config))


def _plain(table: Table) -> dict[str, Any]:
    plain: dict[str, Any] = table.model_dump(mode="json", exclude_none=True)
    return plain


def _record(split: str, case: int, config: SwarmConfig) -> dict[str, Any]:
    return {
        "ic_type": family(case),
        "seed": {"entropy": config.seed, "spawn_key": [PURPOSES["case"], SPLITS[split], case]},
        "config": {"system": _plain(config.system), "density": _plain(config.density)},
        "split": split,
        "case": case,
    }


system = Swarm()

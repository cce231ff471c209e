"""The double pendulum as the rest of the program sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset.seams import CaseResult, Dataset, Field, Finding, Learner, Metric, Product, Shard, Status
from emulant.errors import UsageError
from emulant.surrogates.sequence_tables import (
    GRUTable,
    LagrangianTable,
    LinearTable,
    NGRCTable,
    RecurrentTable,
    ResidualMLPTable,
    RNNTable,
)
from emulant.systems.base import PERSISTENCE, BaseSystem
from emulant.systems.pendulum.config import PARAMETERS, PendulumConfig, PendulumEvaluation
from emulant.systems.pendulum.metrics import METRICS
from emulant.systems.pendulum.options import PredictOptions, RenderOptions, ValidateOptions

RECURRENT = "emulant.surrogates.recurrent:Recurrent"


class Pendulum(BaseSystem):
    """Double pendulums -> Parquet -> LSTM and structured forecasters, scored in Lyapunov times."""

    name = "pendulum"
    summary = "Double pendulums and the forecast of their motion, scored in Lyapunov times."
    Config = PendulumConfig
    Evaluation = PendulumEvaluation
    PredictOptions = PredictOptions
    RenderOptions = RenderOptions
    ValidateOptions = ValidateOptions
    targets = ("state",)
    headline = "vpt_nrse_0.4"
    board = ("vpt_nrse_0.4", "vpt_nrse_0.4_lyapunov", "cme", "energy_drift", "lyapunov_error")
    studies = Path(__file__).parent / "studies"
    data_files = ("*.parquet",)
    kernels = ("emulant.systems.pendulum.integrate", "emulant.systems.pendulum.files")
    tolerance = 0.0
    surrogates: Mapping[str, Learner] = {
        "lstm": Learner(RecurrentTable, RECURRENT, extra="torch"),
        "gru": Learner(GRUTable, RECURRENT, extra="torch"),
        "rnn": Learner(RNNTable, RECURRENT, extra="torch"),
        "residual_mlp": Learner(ResidualMLPTable, "emulant.surrogates.residual_mlp:ResidualMLP", extra="torch"),
        "lagrangian": Learner(LagrangianTable, "emulant.surrogates.lagrangian:Lagrangian", extra="torch"),
    }
    baselines: Mapping[str, Learner] = {
        "persistence": PERSISTENCE,
        "linear": Learner(LinearTable, "emulant.surrogates.baselines.linear:Linear"),
        "ngrc": Learner(NGRCTable, "emulant.surrogates.baselines.ngrc:NGRC"),
    }
    films = "emulant.systems.pendulum.films:of_report"
    films_note = (
        "Films run in real time. Behind the arms of a forecast hang those of the truth, in grey; the trail is the path "
        "of the second bob."
    )
    probe = "emulant.systems.pendulum.surrogate_lyapunov:probe"
    render = "emulant.systems.pendulum.films:render"
    play = "emulant.systems.pendulum.play:play"
    exports: Mapping[str, Any] = {"parquet": "emulant.systems.pendulum.exports:parquet"}
    figures: Mapping[str, Any] = {
        name: f"emulant.systems.pendulum.{target}"
        for name, target in {
            "growth_chaotic": "growth:chaotic_growth",
            "growth_regular": "growth:regular_growth",
            "trajectories": "portraits:trajectories",
            "phase": "portraits:phase",
            "energy": "figures:energy_drift",
            "spectra": "growth:spectra",
            "exponent_map": "landscape:draw_map",
            "exponents": "figures:exponents",
        }.items()
    }
    physics = ("energy_drift", "lyapunov_surrogate", "lyapunov_true", "lyapunov_error")
    citations: Mapping[str, str] = {
        "Lyapunov exponents": "G. Benettin et al., Meccanica 15, 9 (1980)",
        "cumulative maximum error": "after arXiv:2407.20158",
        "lagrangian": "M. Lutter et al., Deep Lagrangian Networks (2019); J. K. Gupta et al., A general framework for "
        "structured learning of mechanical systems (2019)",
        "ngrc": "D. J. Gauthier et al., Nature Communications 12, 5564 (2021)",
    }
    limits: Sequence[str] = (
        "A forecast in Lyapunov times is measured by each trajectory's own exponent, over "
        "`evaluation.lyapunov_time`; weakly chaotic cases count as regular.",
        "No friction, rigid massless rods, point masses; the truth is trusted up to its trust horizon only.",
    )

    @property
    def fields(self) -> Mapping[str, Field]:  # type: ignore[override]
        from emulant.systems.pendulum.files import FIELDS

        return FIELDS

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return METRICS

    def simulate(self, shard: Shard, config: PendulumConfig) -> Product:
        """All cases of a shard side by side in the lanes; a case's bytes do not depend on the others."""
        from emulant.systems.pendulum.integrate import integrate
        from emulant.systems.pendulum.sampling import draw

        drawn = [draw(config, shard.split, case) for case in shard.cases]
        starts, parameters = (np.stack([pair[part] for pair in drawn]) for part in (0, 1))
        solution = integrate(starts, parameters, config.system)
        dtype = np.dtype(config.dataset.dtype)
        results = []
        for row, case in enumerate(shard.cases):
            if reason := solution.reasons[row]:
                status: Status = "failed" if solution.diverged[row] else "rejected"
                results.append(CaseResult(case, status=status, reason=reason))
                continue
            arrays = {"state": solution.states[row].astype(dtype)}
            if config.system.accelerations:
                arrays["acceleration"] = solution.accelerations[row].astype(dtype)
            facts = {"substeps": int(solution.substeps[row]), "trust_horizon": float(solution.trust_horizon[row])}
            results.append(CaseResult(case, arrays, _record(parameters[row], config) | facts))
        return results

    def write(self, shard: Shard, product: Product, folder: Path) -> list[Path]:
        from emulant.systems.pendulum.files import write_shard

        return write_shard(shard, product, folder)

    def open(self, folder: Path, config: Any | None = None) -> Dataset:
        from emulant.systems.pendulum.readers import STANDARD_GRAVITY, open_dataset

        return open_dataset(folder, STANDARD_GRAVITY if config is None else config.system.g.constant)

    def check(self, dataset: Any) -> Iterable[Finding]:
        from emulant.systems.pendulum.checks import check

        return check(dataset)

    def check_deeply(self, dataset: Any, cases: int) -> Iterable[Finding]:
        """Time reversal, trust horizons and Lyapunov spectra of the first so many cases."""
        from emulant.systems.pendulum.checks import deep

        return deep(dataset, cases)

    def check_leaks(self, datasets: Mapping[str, Any]) -> Iterable[Finding]:
        """Cases that two splits share: same sim_id, or same start, lengths, masses and g."""
        from emulant.systems.pendulum.checks import leaks

        return leaks(datasets)

    def reads(self, path: Path) -> bool:
        """Whether files that belong to no run are ours to check."""
        from emulant.systems.pendulum.loose import reads

        return reads(path)

    def check_loose(self, path: Path, options: Any, deep: int, resimulate: int) -> tuple[int, list[str], list[Finding]]:
        """Check such files: how many cases there are, notes, findings.

        Raises:
            UsageError: They shall be simulated again.
        """
        from emulant.systems.pendulum.loose import check

        if resimulate:
            raise UsageError(f"--resimulate {resimulate}: {path} has no study that could be simulated again.")
        return check(path, options, deep)

    def frames(self, config: PendulumConfig) -> int:
        return config.system.steps + 1

    def context_frames(self, config: PendulumConfig, evaluation: Any, longest_lag: int) -> int:
        return int(evaluation.context_frames or round(evaluation.context / config.system.dt))

    def describe(self, dataset: Dataset, evaluation: PendulumEvaluation, folder: Path) -> Any:
        from emulant.systems.pendulum.chaos import described

        return described(dataset, evaluation, folder)

    def scoring(self, run: Any) -> Mapping[str, Any]:
        from emulant.systems.pendulum.metrics import spread

        return {"sigma": spread(run.dataset("training"))}

    def predictions(self, folder: Path) -> Any:
        from emulant.systems.pendulum.predictions import ParquetPredictions

        return ParquetPredictions(folder)

    def predict(self, surrogate: Any, source: Path, target: Path, options: Any, config: PendulumConfig) -> None:
        from emulant.systems.pendulum.predict import forecast_file

        forecast_file(surrogate, source, target, options, config)


def _record(parameters: Any, config: PendulumConfig) -> dict[str, Any]:
    from emulant.systems.pendulum.files import Provenance

    system = config.system
    swept_g = system.g.constant is None
    provenance = Provenance(
        system.integrator,
        None if system.integrator == "verlet" else system.tolerance,
        config.seed,
        None if swept_g else system.g.constant,
    )
    values = dict(zip(PARAMETERS, map(float, parameters), strict=True))
    return {"parameters": values, "dt": system.dt, "provenance": asdict(provenance)}


system = Pendulum()

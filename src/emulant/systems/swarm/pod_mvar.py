"""The surrogate of the source document, with the files that it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from emulant.dataset.atomic import write_json, write_text
from emulant.dataset.seams import Dataset
from emulant.surrogates.pod_mvar import PodMvar
from emulant.surrogates.tables import PodMvarTable


class SwarmPodMvar(PodMvar):
    """POD + MVAR: leading modes of the density, continued by a ridge regression on their past.

    At the documented settings it overfits: with 99.5 % of the energy it has more regressors per output than a hundred
    short cases determine. `tune` and `blend` mend that.
    """

    made_elsewhere: ClassVar[str] = "rho"

    def __init__(self, config: PodMvarTable | None = None) -> None:
        super().__init__(config)
        self._train: Dataset | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        super().fit(train, validation)
        self._train = train

    def save(self, folder: Path) -> list[Path]:
        """pod_model.npz, mvar_model.npz and, after a fit, training_metadata.json and index_mapping.csv."""
        written = super().save(folder)
        if self._train is None:
            return written
        return [
            *written,
            write_json(folder / "training_metadata.json", _metadata(self, self._train)),
            write_text(folder / "index_mapping.csv", _index(self._train).write_csv()),
        ]


def _metadata(surrogate: PodMvar, train: Dataset) -> dict[str, Any]:
    """What was trained on what; with `tune`, what was chosen."""
    counts = train.cases.group_by("family").len().sort("family")
    model = surrogate.model.forecaster  # type: ignore[union-attr]  # called after a fit
    metadata: dict[str, Any] = {
        "N_train": len(train),
        "IC_distribution": dict(zip(counts["family"].to_list(), counts["len"].to_list(), strict=True)),
        "config": {**_simulation(train), "surrogate": surrogate.config.model_dump(mode="json")},
        "spectral_radius": model.spectral_radius(),
    }
    if surrogate.tuned_r2 is not None:
        chosen = {"rank": model.rank, "lag": model.lag, "ridge": model.ridge, "intercept": model.intercept is not None}
        metadata["tuned"] = {**chosen, "r2_on_folds": surrogate.tuned_r2}
    if surrogate.blend is not None:
        metadata["blend"] = {"weights": surrogate.blend.weights.tolist(), "diverged": surrogate.blend.diverged}
    return metadata


def _simulation(train: Dataset) -> dict[str, Any]:
    simulation: dict[str, Any] = train.geometry.get("simulation", {"simulation": dict(train.geometry)})
    return simulation


def _index(train: Dataset) -> pl.DataFrame:
    """One row per training snapshot, in the order of the snapshot matrix."""
    cases = train.cases.select(
        run_name=pl.format("train_{}", pl.col("case").cast(pl.String).str.zfill(3)), ic_type=pl.col("family")
    )
    frames = next(iter(train.batches(1, ["rho"])))["rho"].shape[1]
    index = cases.join(pl.DataFrame({"time_idx": np.arange(frames)}), how="cross")
    return index.with_row_index("global_idx")

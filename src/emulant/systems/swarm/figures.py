"""The figures that only a swarm's report has."""

from __future__ import annotations

from typing import Any

import polars as pl

from emulant.dataset.npz import read_arrays
from emulant.reporting.figures import Drawing, histogram, singular_values, time_series
from emulant.systems.swarm.config import FAMILIES


def order_parameters(run: Any) -> Drawing | None:
    """Polarization of the longest test cases, one curve per family."""
    split = run.test_splits[-1]
    dataset = run.dataset(split)
    if "polarization" not in dataset.schema:
        return None
    series = {}
    for family in FAMILIES:
        cases = dataset.cases.filter(family=family)["case"].to_list()
        if cases:
            series[family.replace("_", " ")] = dataset.read(["polarization"], cases)["polarization"].mean(axis=0)
    times = dataset.read(["times"], [dataset.cases["case"][0]])["times"][0]
    return time_series(times, series, "polarization") if series else None


def pod_spectrum(run: Any) -> Drawing | None:
    """Singular values of the training snapshots and the share of the energy that the POD keeps."""
    path = run.folder.models / "pod_model.npz"
    if not path.is_file():
        return None
    arrays = read_arrays(path, ["S", "R_POD", "target_energy"])
    return singular_values(arrays["S"], int(arrays["R_POD"]), float(arrays["target_energy"]))


def case_errors(run: Any) -> Drawing | None:
    """How the relative error is spread over the test cases, model by model."""
    scores = run.case_scores.filter(
        (pl.col("metric") == "rel_l2") & (pl.col("start") == "") & (pl.col("split") == run.test_splits[0])
    )
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    values = {name: scores.filter(model=name)["value"].to_numpy() for name in kinds}
    return histogram({name: array for name, array in values.items() if len(array)}, kinds, "rel. L2 error of a case")

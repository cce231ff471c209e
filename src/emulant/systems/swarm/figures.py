"""The figures that only a swarm's report has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from emulant.dataset.npz import read_arrays
from emulant.reporting.figures import Drawing, histogram, singular_values, time_series
from emulant.systems.swarm.config import FAMILIES


def order_parameters(run: Any) -> Drawing | None:
    """Polarization, nematic order and density contrast of the test cases, means over all of them."""
    dataset = run.dataset(run.test_splits[0])
    names = [name for name in ("polarization", "nematic") if name in dataset.schema]
    read = dataset.read([*names, "rho", "times"])
    series = {name: read[name].mean(axis=0) for name in names}
    rho = read["rho"]
    series["density contrast Var(rho)/mean²"] = (rho.var(axis=(2, 3)) / rho.mean(axis=(2, 3)) ** 2).mean(axis=0)
    return time_series(read["times"][0], series, "order parameter")


def polarization_by_family(run: Any) -> Drawing | None:
    """How the flocks of each family of initial conditions order, means over their test cases."""
    dataset = run.dataset(run.test_splits[0])
    if "polarization" not in dataset.schema:
        return None
    members = {family: dataset.cases.filter(family=family)["case"].to_list() for family in FAMILIES}
    series = {
        family.replace("_", " "): dataset.read(["polarization"], cases)["polarization"].mean(axis=0)
        for family, cases in members.items()
        if cases
    }
    times = dataset.read(["times"], [dataset.cases["case"][0]])["times"][0]
    return time_series(times, series, "polarization") if series else None


def pod_spectrum(run: Any) -> Drawing | None:
    """Singular values of the training snapshots and the share of the energy that the POD keeps."""
    path = run.folder.models / "pod_model.npz"
    if not path.is_file():
        return None
    arrays = read_arrays(path, ["S", "R_POD", "target_energy", "energy"])
    config = next((choice.config for choice in run.study.surrogates.values() if choice.kind == "pod_mvar"), None)
    by_energy = config is not None and config.rank is None and config.tune is None
    target = float(arrays["target_energy"]) if by_energy else None
    return singular_values(arrays["S"], int(arrays["R_POD"]), target, captured=float(arrays["energy"]))


def case_errors(run: Any) -> Drawing | None:
    """How the relative error is spread over the test cases, model by model."""
    scores = run.case_scores.filter(
        (pl.col("metric") == "rel_l2") & (pl.col("start") == "") & (pl.col("split") == run.test_splits[0])
    )
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    values = {name: scores.filter(model=name)["value"].to_numpy() for name in kinds}
    scored = {name: array for name, array in values.items() if len(array)}
    return replace(histogram(scored, kinds, "rel. L2 error of a case"), section="groups")

"""A surrogate on the user's own cells: a file in, a file out; and a published cell, worked out and printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emulant.dataset import hdf5
from emulant.dataset.hdf5 import Stored
from emulant.dataset.seams import Array, Inputs
from emulant.errors import DataError
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.files import components_last, read_columns
from emulant.systems.flavor.mixing.prescription import INVALID, is_valid

UNCERTAINTY = "uncertainty"
CHUNK = 8192
NSM1_DENSITIES = ((14.22e32, 19.65e32 / 4, 19.65e32 / 4), (19.15e32, 19.65e32 / 4, 19.65e32 / 4))
NSM1_FACTORS = (
    ((0.0974, 0.0421, -0.1343), (-0.0216, 0.0743, -0.5354), (-0.0216, 0.0743, -0.5354)),
    ((0.0723, 0.0313, -0.3446), (-0.0216, 0.0743, -0.5354), (-0.0216, 0.0743, -0.5354)),
)
"""The cell NSM1 of a neutron-star merger (Grohs et al. 2023): densities in 1/cm³ and flux factors."""


def predict_file(surrogate: Any, source: Path, target: Path) -> None:
    """Read F4_initial of `source`, write everything that the surrogate says of it, rows and layout as they came.

    A row with NaN gives NaN and status 1, and is counted on stderr.

    Raises:
        DataError: A dataset is missing or has another shape, a density is negative or a flux larger than its density.
    """
    with hdf5.opened(source) as file:
        last = components_last(hdf5.dataset_of(file, source, F4_INITIAL), source)
        f4 = read_columns(file, source, [F4_INITIAL], slice(None))[F4_INITIAL]
    missing = np.asarray(~np.isfinite(f4).all(axis=(1, 2, 3)))
    _require_four_fluxes(f4, missing, source)
    columns = predicted(surrogate, f4, missing)
    stored: dict[str, Stored | Array] = {"nf": np.asarray(f4.shape[-1])}
    for name, array in {F4_INITIAL: f4, **columns}.items():
        plain = np.ascontiguousarray(np.moveaxis(array, 1, -1)) if last and array.ndim == 4 else array
        stored[name] = Stored(plain, {"unit": "1/cm³" if array.ndim == 4 else "1/s" if name == GROWTH else "1"})
    layout = "sim, matter, flavor, xyzt" if last else "sim, xyzt, matter, flavor"
    hdf5.write(target, stored, {"layout": layout, "components": "x, y, z, t; t is the number density"})
    if missing.any():
        print(f"{source}: {missing.sum()} of {len(f4)} rows hold NaN and come out as NaN.", file=sys.stderr)


def predicted(surrogate: Any, f4: Array, missing: Array) -> dict[str, Array]:
    """Final four-fluxes, growth rates, stability and status of cells; of `mixing` its uncertainty, too."""
    final, growth = np.full_like(f4, np.nan), np.full(len(f4), np.nan)
    stable, status = np.zeros(len(f4), np.uint8), np.where(missing, INVALID, 0).astype(np.uint8)
    uncertainty = np.full(len(f4), np.nan)
    rows = np.flatnonzero(~missing)
    for first in range(0, len(rows), CHUNK):
        some = rows[first : first + CHUNK]
        if hasattr(surrogate, "prediction"):
            whole = surrogate.prediction(f4[some])
            found = whole.outcome
            final[some], growth[some], stable[some] = found.final, found.growth, found.stable
            status[some], uncertainty[some] = found.status, whole.uncertainty
        else:
            answer = surrogate.predict(Inputs({F4_INITIAL: f4[some]}))
            final[some], growth[some], stable[some] = (answer[name][:, 0] for name in (F4_FINAL, GROWTH, STABLE))
    columns = {F4_FINAL: final, GROWTH: growth, STABLE: stable, "status": status}
    return columns | ({UNCERTAINTY: uncertainty} if hasattr(surrogate, "prediction") else {})


def _require_four_fluxes(f4: Array, missing: Array, source: Path) -> None:
    if not len(f4):
        raise DataError(f"{source}: dataset `{F4_INITIAL}` has no rows.", "There is nothing to predict.")
    wrong = np.flatnonzero(~missing & ~is_valid(f4, np))
    if not len(wrong):
        return
    row = int(wrong[0])
    n, size = f4[row, 3], np.sqrt(np.sum(f4[row, :3] ** 2, axis=0))
    species = np.unravel_index(np.argmin(np.where(n < 0, n, np.inf) if (n < 0).any() else n - size), n.shape)
    what = f"density {n[species]:.4g} < 0" if n[species] < 0 else f"|F| = {size[species]:.4g} > n = {n[species]:.4g}"
    raise DataError(
        f"{source}: dataset `{F4_INITIAL}`, row {row} ({len(wrong)} such): {what}.",
        "Component order must be x, y, z, t, where t is the density.",
    )


def nsm1(surrogate: Any) -> Sequence[str]:
    """The lines that tell of the cell NSM1: stability, growth rate, densities and fluxes after the instability."""
    n, factors = np.array(NSM1_DENSITIES), np.array(NSM1_FACTORS)
    f4 = np.concatenate([np.moveaxis(n[..., None] * factors, -1, 0), n[None]])[None]
    found = {key: array[0] for key, array in predicted(surrogate, f4, np.zeros(1, bool)).items()}
    lines = [f"stable        {bool(found[STABLE])}", f"growth rate   {found[GROWTH]:.6e} 1/s"]
    if UNCERTAINTY in found:
        lines.append(f"uncertainty   {found[UNCERTAINTY]:.2e} n_tot")
    lines.append(f"{'':10}{'n before':>13}{'n after':>13}{'Fx':>13}{'Fy':>13}{'Fz':>13}   1/cm³")
    for matter, prefix in enumerate(("nu_", "nubar_")):
        for flavor, label in enumerate(("e", "mu", "tau")):
            after = found[F4_FINAL][:, matter, flavor]
            numbers = (n[matter, flavor], after[3], *after[:3])
            lines.append(f"{prefix + label:10}" + "".join(f"{number:13.4e}" for number in numbers))
    return lines

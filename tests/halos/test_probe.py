"""Whole boxes and responses: the truth pasted back is the ceiling, changes that are painted right correlate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from emulant.dataset import hdf5
from emulant.evaluation.table import EmulationTable
from emulant.systems.halos.extraction import CellList, Geometry
from emulant.systems.halos.parameters import ASTROPHYSICS, RANGES
from emulant.systems.halos.pasting import box_map
from emulant.systems.halos.probe import KEYS, PROBED, probe, whole_box
from emulant.systems.halos.references import HydroReplace

NAMES = tuple(RANGES)
GEOMETRY = {"box_size": 50.0, "npix": 256, "resolution": 32, "scales": [6.25, 12.5, 25.0, 50.0], "parameters": NAMES}
HALOS = 6


class Boxes:
    """A split of boxes whose gas is a share of the dark matter that one parameter of feedback decides."""

    def __init__(self, folder: Path, split: str, vectors: list[dict[str, float]]) -> None:
        rng = np.random.default_rng(0)
        centers, mass = rng.uniform(0, 50, (HALOS, 3)), np.linspace(2, 9, HALOS) * 1e13
        clumps = [c + 0.25 * rng.standard_normal((3000, 3)) for c in centers]
        positions = np.concatenate([rng.uniform(0, 50, (60_000, 3)), *clumps]) % 50
        cells, plan = CellList.of(positions, 5e9, 50.0), Geometry(50.0, 256, 32)
        seen = np.stack([cells.extract(c, npix=256, resolution=32, scales=plan.scales) for c in centers])
        dark, self.files, rows = box_map(positions, 5e9, plan), {}, []
        self.values: dict[str, list[Any]] = {}
        for simulation, vector in enumerate(vectors):
            share = 0.16 * vector["RadioFeedbackFactor"] ** -0.2
            parts = np.array([1 - share, share * 0.9, share * 0.1])
            path = folder / f"sim_{simulation}.hdf5"
            hdf5.write(path, {"box": np.stack([dark, *(part * dark for part in parts)]).astype("f4")})
            for halo in range(HALOS):
                self.files[len(rows)] = (path, halo)
                rows.append({"case": len(rows), "split": split, "group_key": "box 0", "family": "all", "status": "ok"})
                arrays = {
                    "condition": seen[halo, 0],
                    "large_scale": seen[halo, 1:],
                    "params": np.array([vector[name] for name in NAMES]),
                    "halo_mass": mass[halo],
                    "halo_center": centers[halo],
                    "rotation": np.eye(3),
                    "simulation": simulation,
                    "halo": halo,
                    "target": parts[:, None, None] * seen[halo, 0],
                }
                for name, array in arrays.items():
                    self.values.setdefault(name, []).append(array)
        self.cases, self.split, self.geometry = pl.DataFrame(rows), split, GEOMETRY

    def read(self, fields: list[str], cases: list[int] | None = None) -> dict[str, np.ndarray]:
        return {name: np.array(self.values[name]) for name in fields}


class Half(HydroReplace):
    """The truth, with half of its response to feedback, the other way round if `sign` is -1."""

    sign = 1.0

    def predict_with_truth(self, inputs: Any, truth: Any) -> dict[str, np.ndarray]:
        share = (inputs.fields["params"][:, NAMES.index("RadioFeedbackFactor")] ** (-0.2 * (self.sign * 0.5 - 1)))[
            :, None
        ]
        target = np.array(truth["target"])
        target[:, 1:] *= share[..., None, None]
        return {"target": target[:, None]}


def fiducial(**changes: float) -> dict[str, float]:
    return {name: range_.fiducial for name, range_ in RANGES.items()} | changes


def test_the_truth_pasted_back_has_the_power_and_the_masses_of_its_box(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path, "test", [fiducial()])
    found = probe("hydro_replace", HydroReplace(), boxes, EmulationTable())
    assert sorted(found) == sorted(KEYS)
    for species in ("dm", "gas", "total"):
        assert np.count_nonzero(~np.isnan(found[f"suppression_error/{species}/0"])) == 1
        assert abs(np.nanmean(found[f"suppression_error/{species}/0"])) < 0.05
        assert np.abs(np.median(found[f"halo_mass_bias/{species}"])) < 0.02
    for species in ("dm", "gas"):  # of all matter together nothing is changed here
        assert np.nanmax(found[f"r_k_correction_box/{species}/0"]) == 1
    assert np.isnan(found["response_r/RadioFeedbackFactor"]).all()
    assert whole_box(boxes, 0).shape == (4, 256, 256)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_response_to_a_parameter_correlates_with_the_true_one(tmp_path: Path, sign: float) -> None:
    ends = [fiducial(**{name: end}) for name in ASTROPHYSICS for end in (RANGES[name].low, RANGES[name].high)]
    boxes, model = Boxes(tmp_path, "test_response", [fiducial(), *ends]), Half()
    model.sign = sign
    found = probe("half", model, boxes, EmulationTable())
    known = ~np.isnan(found["response_r/RadioFeedbackFactor"])
    assert known.sum() == 1
    assert found["response_r/RadioFeedbackFactor"][known][0] == pytest.approx(sign, abs=0.01)


def test_scores_read_what_was_measured() -> None:
    measured = {key: np.array([float(number), np.nan]) for number, key in enumerate(KEYS)}
    for metric in PROBED.values():
        values = metric.score({}, {}, {"probe": measured})
        assert values.shape == ((2, 4) if metric.horizons else (2,))
        assert not np.isnan(values[0]).any()

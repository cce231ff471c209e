"""From simulations to a report and a painted box, through the commands, with networks that are hardly trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest

pytest.importorskip("torch")

from halos_boxes import TINY

import emulant
from emulant.cli import main
from emulant.systems.halos.baselines import Identity
from emulant.systems.halos.extraction import CellList, Geometry
from emulant.systems.halos.options import PredictOptions
from emulant.systems.halos.painting import DarkBox
from emulant.systems.halos.pairs import open_pair
from emulant.systems.halos.probe import whole_box

SMALL = [
    *(
        f"surrogates.{name}={{width=8, multiples=[1, 2], training={{max_epochs=1, ema=0.0}}}}"
        for name in ("unet", "flow")
    ),
    "evaluation.samples=3",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("halos") / "run"
    asked = [word for setting in SMALL for word in ("--set", setting)]
    assert main(["run", *TINY, *asked, "-o", str(folder), "--workers", "2", "--quiet"]) == 0
    return folder


def test_every_painter_stands_in_the_table_species_by_species(run: Path) -> None:
    rows = emulant.open(run).metrics
    painters = {"unet", "flow", "identity", "transfer", "one_halo", "transfer_scatter", "untrained", "hydro_replace"}
    assert set(rows["model"]) == painters
    bias = rows.filter(metric="mass_bias", split="test")
    assert {"dm", "gas", "stars", "total"} <= set(bias["group"])
    oracle = rows.filter(model="hydro_replace", metric="mass_bias")
    assert oracle["value"].abs().max() == 0
    assert (rows.filter(metric="coverage_68")["n"] > 0).all()
    assert set(rows.filter(metric="coverage_68")["model"]) == {"flow", "transfer_scatter"}
    assert set(rows.filter(metric="pk_ratio", group="gas", split="test", model="unet")["horizon"]) <= {
        "1.73205", "4.89898", "12.6491", "34.641",
    }  # fmt: skip
    assert not rows.filter(metric="suppression_error", group="total").is_empty()
    assert rows.filter(pl.col("value").is_nan()).is_empty()


def test_the_report_shows_maps_spectra_and_profiles(run: Path) -> None:
    figures = {path.stem for path in (run / "figures").glob("*.png")}
    assert {"gallery", "spectra", "cutout_spectra", "correction", "profiles", "calibration"} <= figures
    assert (run / "report.html").stat().st_size > 10_000


def test_prediction_sees_a_halo_as_training_did_to_the_last_bit(run: Path) -> None:
    opened = emulant.open(run)
    dataset, system = opened.dataset("test"), opened.study.config.system
    first = dataset.read(["simulation"])["simulation"][0]
    chosen = dataset.read(["simulation", "halo", "condition", "large_scale", "halo_mass"])
    here = chosen["simulation"] == first
    trees = {
        name: run / "simulations" / folder for name, folder in (("nbody", "DMO"), ("hydro", "Hydro"), ("fof", "FOF"))
    }
    pair = open_pair(trees, f"SB35_{first}", system.source, system.box_size)
    loaded, plan = pair.dmo.load(), Geometry(system.box_size, system.npix, system.resolution, tuple(system.scales))
    cells = CellList.of(loaded.positions, loaded.masses, system.box_size)
    box = DarkBox(cells, pair.halos.above(system.mass_threshold), pair.parameters, "")
    rows = [box.halos.index.tolist().index(halo) for halo in chosen["halo"][here]]
    seen = box.fields(rows, plan)
    for name in ("condition", "large_scale", "halo_mass"):
        assert seen[name].tobytes() == chosen[name][here].tobytes(), name
    whole = whole_box(dataset, int(dataset.cases["case"][int(np.flatnonzero(here)[0])]))
    assert whole is not None
    np.testing.assert_allclose(box.projected(plan), whole[0], rtol=1e-4, atol=1e-5 * whole[0].mean())


@pytest.mark.parametrize("surrogate", ["flow", "transfer"])
def test_a_box_of_the_run_is_painted(run: Path, surrogate: str, tmp_path: Path) -> None:
    first = emulant.open(run).dataset("test").read(["simulation"])["simulation"][0]
    source, out = run / f"simulations/DMO/SB35_{first}", tmp_path / "out"
    asked = ["--surrogate", surrogate, "--samples", "2"]
    assert main(["predict", str(run), str(source), "-o", str(out), *asked, "--quiet"]) == 0
    with np.load(out / "maps.npz") as maps:
        total = sum(maps[name].sum(dtype=float) for name in ("dm", "gas", "stars"))
        assert total == pytest.approx(maps["dmo"].sum(dtype=float), rel=1e-3)
        assert min(maps[name].min() for name in maps) >= 0
    card = orjson.loads((out / "painted.json").read_bytes())
    assert card["halos"] > 0


def test_the_best_on_validation_samples_paints_and_flow_where_draws_are_asked_for(run: Path) -> None:
    opened = emulant.open(run)
    system = opened.study.system
    scores = {name: opened.model(name).model.score for name in ("unet", "flow")}

    assert all(np.isfinite(score) and score > 0 for score in scores.values())
    assert system.preferred(opened, PredictOptions()) == min(scores, key=lambda name: scores[name])
    assert system.preferred(opened, PredictOptions(samples=2)) == "flow"


def test_a_model_of_another_geometry_is_refused(run: Path) -> None:
    dataset = emulant.open(run).dataset("test")
    other = Identity()
    other.fit(dataset)
    about = {**dataset.geometry, "npix": 1024}
    fields = dataset.read([name for name in dataset.schema if name != "target"])
    with pytest.raises(emulant.errors.SurrogateError, match="npix"):
        other.predict(emulant.dataset.seams.Inputs(fields, about))

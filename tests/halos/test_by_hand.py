"""Files that emulant has not written, in the layout of the source document, from cutouts to a painted box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

pytest.importorskip("torch")

from halos_boxes import write_pair

import emulant
from emulant.cli import main

SIMULATIONS = 4
LITTLE = [
    *("system.source.kind=camels", "system.box_size=25", "system.scales=[6.25,12.5,25]"),
    *("system.npix=32", "system.resolution=8", "evaluation.samples=3"),
    *(
        f"surrogates.{name}={{width=8, multiples=[1, 2], training={{max_epochs=1, batch_size=4, ema=0.0}}}}"
        for name in ("unet", "flow")
    ),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`DMO|Hydro|FOF/SB35_i` with a snapshot in one file and in three, and parameters beside the runs with baryons."""
    root, rng = tmp_path_factory.mktemp("camels"), np.random.default_rng(11)
    for simulation in range(SIMULATIONS):
        write_pair(root, simulation, rng, count=20_000)
    rows = [f" SB35_{i} {0.3:.5f} 0.8 {0.9 + i:.5f} {i}\n" for i in range(SIMULATIONS)]
    head = "#Name Omega0 sigma8 WindEnergyIn1e51erg seed\n"
    (root / "Hydro" / "CosmoAstroSeed_IllustrisTNG_L25n256.txt").write_text(head + "".join(rows))
    return root


@pytest.fixture(scope="module")
def run(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage by stage, as somebody would who looks at each before the next."""
    folder = tmp_path_factory.mktemp("halos") / "run"
    trees = [f"system.source.{key}={files / tree}" for key, tree in zip(("nbody", "hydro", "fof"), TREES, strict=True)]
    asked = [word for setting in [*trees, *LITTLE] for word in ("--set", setting)]
    assert main(["generate", "halos:smoke", *asked, "-o", str(folder), "--quiet"]) == 0
    for stage in ("train", "evaluate", "report"):
        assert main([stage, str(folder), "--quiet"]) == 0, stage
    return folder


TREES = ("DMO", "Hydro", "FOF")


def test_every_halo_of_the_catalogue_is_scored(run: Path) -> None:
    opened = emulant.open(run)

    assert sum(len(opened.dataset(split)) for split in ("training", "validation", "test")) == 4 * SIMULATIONS
    rows = opened.metrics.filter(metric="mass_bias", group="gas", split="test")
    assert {"unet", "flow", "transfer", "identity", "one_halo", "hydro_replace"} <= set(rows["model"])
    assert rows["value"].is_finite().all()
    assert (run / "report.html").is_file()


def test_a_box_of_them_is_painted(run: Path, files: Path, tmp_path: Path) -> None:
    source, out = files / "DMO" / "SB35_2", tmp_path / "painted"
    params = files / "Hydro" / "CosmoAstroSeed_IllustrisTNG_L25n256.txt"

    assert main(["predict", str(run), str(source), "-o", str(out), "--params", str(params), "--quiet"]) == 0

    card = orjson.loads((out / "painted.json").read_bytes())
    assert card["halos"] == 4
    assert card["parameters"] == {"Omega0": 0.3, "sigma8": 0.8, "WindEnergyIn1e51erg": 2.9}
    with np.load(out / "maps.npz") as maps:
        total = sum(maps[name].sum(dtype=float) for name in ("dm", "gas", "stars"))
        assert total == pytest.approx(maps["dmo"].sum(dtype=float), rel=1e-3)
        assert maps["gas"].min() > 0

"""The reports of four systems, seen in a browser and compared with how they looked when somebody looked.

`python tests/reporting/test_looks.py RUNS` writes the small pictures anew, from finished smoke runs RUNS/swarm,
RUNS/pendulum, ...; look at the reports before you do that.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import THUMBNAIL, chromium, look
from numpy.typing import NDArray
from PIL import Image

from emulant.cli import main
from emulant.reporting.page import LIMIT

LOOKS = Path(__file__).parent / "looks"
SYSTEMS = ("swarm", "pendulum", "flavor", "halos")
VIEWS = ((1200, "light"), (768, "light"), (400, "dark"))
BLOCK = 8
"""Pixels of a thumbnail whose mean is compared: numbers may change, sections and figures stay where they are."""


def blocks(picture: NDArray[Any]) -> NDArray[np.float64]:
    rows = picture.shape[0] // BLOCK
    cut = picture[: rows * BLOCK].astype(float)
    return cut.reshape(rows, BLOCK, THUMBNAIL // BLOCK, BLOCK).mean(axis=(1, 3))


def likeness(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """The ratio of the heights, and the mean difference in grey over the part that both have."""
    first, second = blocks(one), blocks(other)
    common = min(len(first), len(second))
    return len(first) / len(second), float(np.abs(first[:common] - second[:common]).mean())


@pytest.fixture(scope="module", params=SYSTEMS)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("smoke") / request.param
    assert main(["run", f"{request.param}:smoke", "-o", str(folder), "--quiet"]) == 0
    return request.param, folder / "report.html"


@pytest.mark.soak
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_a_report_looks_as_it_did(report: tuple[str, Path], browser: Any, width: int, scheme: str) -> None:
    system, page = report
    assert page.stat().st_size < LIMIT
    seen = look(browser, page, width, scheme)
    assert (seen.console, seen.requests, seen.overflow) == ([], [], 0)
    assert look(browser, page, width, scheme, folded=False).overflow == 0
    taller, apart = likeness(seen.thumbnail, np.asarray(Image.open(LOOKS / f"{system}_{width}_{scheme}.png")))
    assert 0.9 < taller < 1.1
    assert apart < 12


def test_another_page_is_not_taken_for_the_same() -> None:
    """The comparison can fail: the reports of two systems are told apart, and so is a section that has moved."""
    swarm, flavor = (np.asarray(Image.open(LOOKS / f"{name}_1200_light.png")) for name in ("swarm", "flavor"))
    assert likeness(swarm, swarm) == (1.0, 0.0)
    taller, apart = likeness(swarm, flavor)
    assert not 0.9 < taller < 1.1 or apart > 12
    assert likeness(swarm, np.roll(swarm, 100, axis=0))[1] > 12


if __name__ == "__main__":
    LOOKS.mkdir(exist_ok=True)
    with chromium() as opened:
        for name in SYSTEMS:
            for width, scheme in VIEWS:
                seen = look(opened, Path(sys.argv[1]) / name / "report.html", width, scheme)
                Image.fromarray(seen.thumbnail).save(LOOKS / f"{name}_{width}_{scheme}.png", optimize=True)

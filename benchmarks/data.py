"""The data of the source document's task: density fields of short swarms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulant.systems.swarm.config import DensityTable, SwarmConfig
from emulant.systems.swarm.swarm import system


def fields(split: str, cases: int, *, cells: int = 64) -> NDArray[np.float64]:
    """(cases, 21, cells²) densities of the first cases of a split."""
    config = SwarmConfig(density=DensityTable(nx=cells, ny=cells))
    found = [system.simulate_case(split, case, config).arrays["rho"] for case in range(cases)]
    return np.stack(found).reshape(cases, -1, cells * cells)

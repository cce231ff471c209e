"""`emulant run swarm`, from nothing to its report, with an empty cache of compiled code and with a full one."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.table import Options, Row, Section, markdown
from benchmarks.timing import duration
from emulant.folder import RunFolder
from emulant.journal import timings


def timed(study: str, folder: Path, cache: Path) -> dict[str, float]:
    """Seconds of each stage of a run without films, and of the whole command."""
    command = [
        sys.executable,
        "-m",
        "emulant",
        "run",
        study,
        "-o",
        str(folder),
        "--quiet",
        "--set",
        "report.films=false",
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "NUMBA_CACHE_DIR": str(cache)})
    return stages(timings(RunFolder(folder)), time.perf_counter() - start)


def stages(events: Mapping[str, float], total: float) -> dict[str, float]:
    """The journal's seconds by stage; the rest is imports and the writing of the page."""
    found = dict.fromkeys(("simulate", "train", "evaluate", "figures", "films"), 0.0)
    for what, seconds in events.items():
        found[what.split()[0]] += seconds
    return {**found, "imports and the page": total - sum(found.values()), "in all": total}


def run(options: Options, study: str = "swarm", rounds: int = 3) -> Section:
    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as scratch:
            folder, cache = Path(scratch), Path(scratch, "cache")
            for state, runs in found.items():  # the cold one fills the cache that the warm one reads
                runs.append(timed(study, folder / state, cache))
    rows = []
    for state, most in (("warm", 10.0), ("cold", 20.0)):
        totals = [each["in all"] for each in found[state]]
        median = statistics.median(totals)
        said = f"{duration(median)} (min {duration(min(totals))})"
        rows.append(Row(f"emulant run {study}, {state}", said, target=f"< {duration(most)}", met=median < most))
    medians = {
        state: {name: statistics.median(each[name] for each in runs) for name in runs[0]}
        for state, runs in found.items()
    }
    body = [(name, *(duration(medians[state][name]) for state in found)) for name in medians["cold"]]
    return Section(
        "The whole run",
        "By the clock on the wall, on all cores, films apart. Cold: no compiled kernel in the cache; warm: all.",
        rows,
        markdown(("stage", *found), body),
    )

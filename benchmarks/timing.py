"""Clocks: functions that take turns, peak memory, and the machine that it was all measured on."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

PACKAGES = (
    "emulant", "numpy", "scipy", "numba", "KDEpy", "opinf", "pydmd", "scikit-learn", "statsmodels",
    "heyoka", "numbalsoda", "torch", "lightning", "pyarrow",
)  # fmt: skip
SAMPLE = 0.02
"""s; quicker functions are called several times for one sample."""


@dataclass(frozen=True)
class Contest:
    """Seconds per call of functions that took turns: name -> one sample a round."""

    samples: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.samples[name])

    def least(self, name: str) -> float:
        return min(self.samples[name])

    def ratio(self, peer: str, ours: str = "ours") -> float:
        """How many times as long the peer takes: the median over rounds, so that what slows a round slows both."""
        pairs = zip(self.samples[peer], self.samples[ours], strict=True)
        return statistics.median(theirs / own for theirs, own in pairs)

    def said(self, name: str, share: float = 1.0) -> str:
        """Median and minimum in a fitting unit, each times `share`."""
        return f"{duration(share * self.median(name))} (min {duration(share * self.least(name))})"


def contest(
    functions: Mapping[str, Callable[[], object]], *, seconds: float = 4.0, rounds: tuple[int, int] = (5, 40)
) -> Contest:
    """Time functions in turns until `seconds` are over, but at least and at most so many rounds.

    Each is called once before, which compiles and fills caches. The clock is the CPU time of this process: on one
    thread it is what a quiet machine's clock would show, and other people's work on the machine does not count.
    """
    repeats = {}
    for name, function in functions.items():
        function()
        repeats[name] = max(1, math.ceil(SAMPLE / _cpu_seconds(function, 1)))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    names, begin = list(functions), time.perf_counter()
    for done in range(rounds[1]):
        if done >= rounds[0] and time.perf_counter() - begin > seconds:
            break
        for name in names if done % 2 == 0 else reversed(names):
            samples[name].append(_cpu_seconds(functions[name], repeats[name]))
    return Contest(samples)


def _cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        function()
    return max((time.process_time() - start) / repeats, 1e-9)


def commands(lines: Mapping[str, Sequence[str]], *, rounds: int) -> Contest:
    """Time commands in turns, by the clock on the wall; the first round is not counted."""
    samples: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(rounds + 1):
        for name, line in lines.items():
            start = time.perf_counter()
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
            samples[name].append(time.perf_counter() - start)
    return Contest({name: found[1:] for name, found in samples.items()})


def duration(seconds: float) -> str:
    """Three digits in s, ms or µs."""
    unit, size = next((pair for pair in (("s", 1.0), ("ms", 1e-3)) if seconds >= pair[1]), ("µs", 1e-6))
    digits = 2 if seconds <= 0 else 2 - math.floor(math.log10(seconds / size))
    return f"{seconds / size:.{max(0, digits)}f} {unit}"


# -- memory -----------------------------------------------------------------------------------------------------


def peak_memory(function: Callable[..., object], warm: tuple[Any, ...], arguments: tuple[Any, ...]) -> float:
    """MB that a call of `function` in a process of its own adds at its peak to what that process held before.

    It is called with `warm` first, so that what is imported on the way is not counted. NaN where there is no /proc.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, function, warm, arguments).result()


def _peak(function: Callable[..., object], warm: tuple[Any, ...], arguments: tuple[Any, ...]) -> float:
    function(*warm)
    if not Path("/proc/self/clear_refs").exists():
        return math.nan
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = resident("VmRSS")
    function(*arguments)
    return resident("VmHWM") - before


def resident(what: str) -> float:
    """VmRSS, the memory that this process holds, or VmHWM, the most that it has held, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


# -- the machine ------------------------------------------------------------------------------------------------


def machine() -> dict[str, str]:
    """What a reader needs to judge the figures: no name of the host, no path."""
    from threadpoolctl import threadpool_info

    from emulant.dataset.environment import environment

    found = environment()
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    return {
        "CPU": f"{found['cpu']}, {found['cores']} cores; the kernels use {threads}",
        "load": f"{os.getloadavg()[0]:.1f} when it began (0 is a quiet machine)",
        "system": f"{platform.system()} {platform.machine()}, Python {found['python']}",
        "versions": ", ".join(f"{name} {text}" for name in PACKAGES if (text := _version(name))),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

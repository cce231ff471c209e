"""On what a dataset was made. It stands beside the data and is no part of their hash."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "polars", "pydantic", "matplotlib", "torch", "lightning")


def environment() -> dict[str, Any]:
    """Versions and the class of machine; no host name, no user, no path."""
    return {
        "emulant": version("emulant"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    if sys.platform != "linux":
        return platform.processor()
    with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  (procfs has no size; a plain read is right)
        names = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
        return next(names, platform.machine())

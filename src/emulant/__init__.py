"""From a physical simulator to a surrogate that can be trusted.

    import emulant

    run = emulant.run("swarm:smoke", "runs/x")
    run.metrics                      # a polars frame
    run.dataset("test").read(["rho"])
    run.model("spectral")

The verbs are those of the command line; see `emulant.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Range",
    "Run",
    "__version__",
    "evaluate",
    "generate",
    "open",
    "report",
    "run",
    "sweep",
    "train",
    "validate",
]

if TYPE_CHECKING:
    from emulant.api import evaluate, generate, open, report, run, sweep, train, validate
    from emulant.runs import Run
    from emulant.sweeping.space import Range


def __getattr__(name: str) -> Any:
    """Import the program when it is first used: `emulant --help` must not wait for numpy."""
    if name not in __all__:
        raise AttributeError(f"module 'emulant' has no attribute {name!r}")
    from emulant import api

    return getattr(api, name)

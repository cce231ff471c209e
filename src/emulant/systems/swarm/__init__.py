"""The swarm: self-propelled particles (Vicsek), their density, and what forecasts it."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`system`, imported when it is asked for: the parts of the swarm can be used without the whole."""
    if name == "system":
        from emulant.systems.swarm.system import system

        return system
    raise AttributeError(f"module 'emulant.systems.swarm' has no attribute {name!r}")

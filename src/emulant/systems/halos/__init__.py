"""Halos: from a dark-matter-only box to gas and stars."""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "extract": "extraction",
    "extract_multiscale_cutouts": "extraction",
    "process_halo_with_full_periodic_tiling": "extraction",
    "load_dmo_particles": "pairs",
    "load_hydro_particles": "pairs",
    "load_halos": "pairs",
    "load_multifield": "multifield",
}
"""Public name -> module of this package, imported when it is asked for."""

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)

"""The further flags of `emulant export` for a run of flavor."""

from __future__ import annotations

from emulant.dataset.tables import Table


class ExportOptions(Table):
    """Of formats that write a model, or say something of one."""

    surrogate: str | None = None
    """Which one; unset: the format's own choice."""

"""Work in a process of its own wherever the engine runs it, so that a case that hangs can be ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import current_process

from emulant.dataset.seams import Shard, ShardOutcome, Work
from emulant.engines.local import Local


@dataclass(frozen=True)
class Guarded:
    """The same work; a case that hangs, or takes its process down, is recorded as with the engine `local`."""

    work: Work

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(self.work.modules)

    @property
    def timeout(self) -> float | None:
        return self.work.timeout

    def __call__(self, shard: Shard, excluded: Mapping[int, str] | None = None) -> ShardOutcome:
        """The outcome of one shard.

        Raises:
            EmulantError: What could not be stored, or the system did wrong.
        """
        _may_have_children()
        (outcome,) = Local(1).run([shard], self.work)
        return outcome

    def probe(self, shard: Shard) -> None:
        """Nothing to find out: a guarded shard does not take its worker down."""


def guarded(work: Work) -> Work:
    """The work as an engine should run it that cannot end a case itself: guarded if the study bounds its time."""
    return work if work.timeout is None else Guarded(work)


def _may_have_children() -> None:
    """Workers of Dask are daemonic, and Python lets no daemonic process have children, for they would outlive it.

    Ours do not: they watch their parent and end with it.
    """
    current_process()._config["daemon"] = False  # type: ignore[attr-defined]

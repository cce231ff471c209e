"""What a worker does with one shard: simulate, sort out what failed, write, sign."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emulant.dataset.seams import CaseResult, Product, Shard, ShardOutcome, System
from emulant.dataset.store import Store, shard_folder
from emulant.dataset.tables import DataConfig
from emulant.errors import SimulationError


@dataclass(frozen=True)
class GenerateShards:
    """Simulates and stores shards of a run; picklable, so that any engine can carry it to its workers."""

    system: System
    config: DataConfig
    root: Path
    """The run folder."""
    key: str
    """Hash of the configuration."""

    @property
    def modules(self) -> Sequence[str]:
        return (__name__, type(self.system).__module__, *self.system.kernels)

    def store(self, shard: Shard) -> Store:
        """Where a shard goes."""
        return Store(shard_folder(self.root, self.system.passes, shard))

    @property
    def timeout(self) -> float | None:
        return self.config.dataset.timeout

    def __call__(self, shard: Shard, excluded: Mapping[int, str] | None = None) -> ShardOutcome:
        """Simulate `shard`, write its files and then its sidecar.

        A case that raises or puts out a number that is not finite is recorded as failed with its reason, and the
        others of the shard are kept.

        Args:
            excluded: Cases that are known to take the process down, with the reason; they are recorded as failed.
        """
        start = time.perf_counter()
        excluded = excluded or {}
        tried = replace(shard, root=self.root).only(case for case in shard.cases if case not in excluded)
        results = {result.case: result for result in self._simulate(tried)}
        results |= {case: CaseResult(case, status="failed", reason=reason) for case, reason in excluded.items()}
        product = [results[case] for case in shard.cases]
        store = self.store(shard)
        files = self.system.write(shard, [result for result in product if result.status == "ok"], store.folder)
        sidecar = store.commit(shard, self.key, product, files, time.perf_counter() - start)
        return sidecar.outcome(shard)

    def probe(self, shard: Shard) -> None:
        """Simulate and forget: whether the process survives it is all that is asked."""
        self._simulate(replace(shard, root=self.root))

    def _simulate(self, shard: Shard) -> Product:
        if not shard.cases:
            return []
        try:
            product = self.system.simulate(shard, self.config)
        except Exception as error:
            if len(shard.cases) > 1:  # one of them raised: find out which, and keep the others
                return [result for case in shard.cases for result in self._simulate(shard.only([case]))]
            return [CaseResult(shard.cases[0], status="failed", reason=f"{type(error).__name__}: {error}")]
        self._check_order(shard, product)
        optional = {name for name, field in self.system.fields.items() if field.optional}
        return [_finite(result, optional) for result in product]

    def _check_order(self, shard: Shard, product: Sequence[CaseResult]) -> None:
        cases = tuple(result.case for result in product)
        if cases != shard.cases:
            raise SimulationError(
                f"{self.system.name}.simulate returned cases {cases} for shard {shard.id}, which has {shard.cases}.",
                "It must return one result per case, in order.",
            )


def _finite(result: CaseResult, optional: Set[str]) -> CaseResult:
    """The result; a failed one in its place if it has numbers that are not finite where there must be some."""
    if result.status != "ok":
        return result
    for name, array in result.arrays.items():
        if name not in optional and np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
            reason = f"{name} is not finite"
            return replace(result, arrays={}, record={}, status="failed", reason=reason)
    return result

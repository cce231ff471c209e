"""What campaigns of up to millions of cases cost: shards of the plain studies, computed here and counted up.

The table is that of docs/scaling.md. Every figure is proportional: so many cases, files and bytes as the measured ones,
so many times over; what does not grow in proportion is told there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table import Options, Row, Section, markdown
from emulant import study as studies
from emulant.dataset.seams import Shard
from emulant.dataset.store import Store
from emulant.dataset.work import GenerateShards
from emulant.reporting.numbers import number, size
from emulant.study import Study


@dataclass(frozen=True)
class Campaign:
    """So many cases of a built-in study."""

    study: str
    cases: int
    what: str
    overrides: tuple[str, ...] = ()
    sampled: int | None = 1
    """Shards that are computed; None: the first of every kind, where a shard holds cases of one kind."""


@dataclass(frozen=True)
class Cost:
    """Of one case, or of many."""

    seconds: float = 0.0
    """Of one core, CPU time."""
    bytes: float = 0.0
    files: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.bytes + other.bytes, self.files + other.files)

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.seconds * factor, self.bytes * factor, self.files * factor)


CAMPAIGNS = (
    Campaign("swarm", 1_000_000, "simulations"),
    Campaign("pendulum", 6_480_000, "simulations, a sweep over a grid", ('dataset.dtype="float32"',)),
    Campaign("scenes", 1_050_000, "scenes, all types alike", sampled=None),
    Campaign("flavor", 100_000, "boxes", sampled=2),
    Campaign("halos", 1024, "boxes with their simulations and cutouts"),
)


def run(options: Options) -> Section:
    found = [(campaign, measured(campaign)) for campaign in CAMPAIGNS]
    rows = [
        Row(f"{campaign.study}: a case", f"{number(one.seconds)} core-s, {size(round(one.bytes))}")
        for campaign, one in found
    ]
    return Section(
        "Campaigns",
        "CPU time, bytes and files of cases of the plain studies, one worker, compiled before.",
        rows,
        markdown(
            ("campaign", "core-hours", "bytes", "files"),
            [
                (
                    f"{campaign.study}: {campaign.cases:,} {campaign.what}",
                    number(campaign.cases * one.seconds / 3600),
                    size(round(campaign.cases * one.bytes)),
                    f"{round(campaign.cases * one.files):,}",
                )
                for campaign, one in found
            ],
        ),
    )


def measured(campaign: Campaign) -> Cost:
    """The cost of one case, with everything that its passes leave."""
    loaded = studies.load(campaign.study, campaign.overrides)
    with TemporaryDirectory() as scratch:
        work = GenerateShards(loaded.system, loaded.config, Path(scratch), loaded.data_key)
        total, cases = Cost(), 0
        for chosen in sampled(loaded, campaign.sampled):
            total += sum((computed(work, shard) for shard in chosen), Cost())
            cases += len(chosen[0].cases)
    return total * (1 / cases)


def sampled(study: Study, count: int | None) -> Iterator[Sequence[Shard]]:
    """Shards of the first pass, each with those of the later passes that follow from it."""
    first, *later = ([*study.system.shards(study.config, name, "training")] for name in study.system.passes)
    if count is None:
        yield from ([shard] for shard in first if shard.id.endswith("_00000"))
        return
    shares = [len(shards) // len(first) for shards in later]
    for place, shard in enumerate(first[:count]):  # in the order of the first pass, as many to each
        follow = [each for shards, share in zip(later, shares, strict=True) for each in shards[place * share :][:share]]
        yield [shard, *follow]


def computed(work: GenerateShards, shard: Shard) -> Cost:
    """Simulate and store a shard, once to compile and once to count."""
    work.probe(shard.only(shard.cases[:1]))
    store = work.store(shard)
    store.begin()
    start = time.process_time()
    outcome = work(shard)
    seconds = time.process_time() - start
    if outcome.failed:
        raise RuntimeError(f"{shard.split}/{shard.id}: {outcome.failed} cases failed")
    return Cost(seconds, *weight(store, shard))


def weight(store: Store, shard: Shard) -> tuple[float, float]:
    """Bytes and files of a shard, its receipt among them."""
    receipt = store.sidecar(shard.id)
    assert receipt is not None
    own = (store.folder / ".shards" / f"{shard.id}.json").stat().st_size
    return own + sum(file.bytes for file in receipt.files), 1 + len(receipt.files)

"""Which jobs a study takes: an array for each pass and split, cut so that its indices stay below the limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from emulant.dataset.seams import Shard
from emulant.dataset.store import Store, shard_folder
from emulant.folder import RunFolder
from emulant.study import Study


@dataclass(frozen=True)
class Array:
    """The job array of one pass and split."""

    name: str
    """Of its script, without `.sh`."""
    pass_: str
    split: str
    shards: Sequence[Shard]
    chunk: int
    """Shards to an element."""

    def missing(self, study: Study, folder: RunFolder, *, read: bool = False) -> list[int]:
        """The elements that have a shard which is not done; `read`: hash the files, do not just look at their sizes."""
        passes = study.system.passes
        return sorted(
            {
                index // self.chunk
                for index, shard in enumerate(self.shards)
                if not Store(shard_folder(folder.root, passes, shard)).is_done(shard, study.data_key, read=read)
            }
        )


def arrays(study: Study, max_array_size: int) -> list[Array]:
    """The arrays of a study, in the order of passes and splits."""
    system, found = study.system, []
    for number, pass_ in enumerate(system.passes, start=1):
        for split in system.splits(study.config):
            if shards := system.shards(study.config, pass_, split):
                chunk = ceil(len(shards) / max_array_size)
                found.append(Array(f"{number}-{pass_}-{split}", pass_, split, shards, chunk))
    return found


def gate(study: Study, pass_: str) -> str:
    """The name of the script that stands behind a pass."""
    return f"{list(study.system.passes).index(pass_) + 1}-{pass_}-gate"


def indices(elements: Iterable[int]) -> str:
    """Elements as sbatch reads them: 0-3,7."""
    runs = groupby(enumerate(elements), key=lambda pair: pair[1] - pair[0])
    ranges = ([element for _, element in run] for _, run in runs)
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in ranges)

"""Generate, lose, damage, grow, repair in any order: what is called done is always whole, and the end is the same."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import toy
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulant import stages
from emulant import study as studies
from emulant.dataset.store import Store
from emulant.engines.executor import OnExecutor

CASES = 6


def study(cases=CASES):
    document = {
        "system": {"name": "toy"},
        "splits": {"training": cases, "test": 0},
        "dataset": {"shard_cases": 2},
    }
    return studies.from_document(document, "test", toy.system)


def generate(folder, **options):
    with ThreadPoolExecutor(1) as executor:
        return stages.generate(study(), folder, engine=OnExecutor(executor), **options)["training"]


class Life(RuleBasedStateMachine):
    """What may happen to a split between two calls."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.truth = generate(self.root / "truth").dataset_sha256
        self.whole = {path.name: path.read_bytes() for path in (self.root / "truth" / "training").glob("*.npz")}
        self.run = self.root / "run"

    def teardown(self):
        shutil.rmtree(self.root)

    @property
    def split(self):
        return self.run / "training"

    def pick(self, pattern, number):
        files = sorted(self.split.glob(pattern))
        return files[number % len(files)] if files else None

    @rule()
    def generate_all(self):
        summary = generate(self.run)
        assert summary.complete
        assert summary.dataset_sha256 == self.truth

    @rule(first=st.integers(0, 2), last=st.integers(0, 2))
    def generate_some(self, first, last):
        generate(self.run, shards=range(first, last + 1))

    @rule(number=st.integers(0, 9), pattern=st.sampled_from(["*.npz", ".shards/*.json", "manifest.json"]))
    def lose(self, number, pattern):
        path = self.pick(pattern, number)
        if path:
            path.unlink()

    @rule(number=st.integers(0, 9), cut=st.floats(0, 1), pattern=st.sampled_from(["*.npz", ".shards/*.json"]))
    def truncate(self, number, cut, pattern):
        path = self.pick(pattern, number)
        if path:
            content = path.read_bytes()
            path.write_bytes(content[: int(cut * len(content))])

    @rule(number=st.integers(0, 9), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip(self, number, where, bit):
        path = self.pick("*.npz", number)
        if path and path.stat().st_size:
            content = bytearray(path.read_bytes())
            content[int(where * len(content))] ^= 1 << bit
            path.write_bytes(content)

    @rule(number=st.integers(0, 9), other=st.integers(0, 9))
    def swap(self, number, other):
        one, two = self.pick("*.npz", number), self.pick("*.npz", other)
        if one and two and one != two:
            kept = one.read_bytes()
            one.write_bytes(two.read_bytes())
            two.write_bytes(kept)

    @rule()
    def leave_a_partial_behind(self):
        if self.split.is_dir():
            (self.split / "shard_00000.npz.0badc0de.partial").write_bytes(b"half")

    @invariant()
    def what_is_done_is_whole(self):
        loaded, store = study(), Store(self.split)
        for shard in toy.system.shards(loaded.config, "cases", "training"):
            if store.is_done(shard, loaded.data_key):
                name = f"shard_{shard.id}.npz"
                assert (self.split / name).read_bytes() == self.whole[name]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)

"""The user's own files: both orders of components, bad rows, bad files, fair shares of every split."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emulant
from emulant.dataset import hdf5
from emulant.errors import DataError, EmulantError
from emulant.systems.flavor.census import census, kind_of
from emulant.systems.flavor.config import FlavorConfig
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.flavor import system
from emulant.systems.flavor.readers import open_cells
from emulant.systems.flavor.sources import rows_of, source_counts

Array = np.ndarray


def rows(count: int, flavors: int = 3, seed: int = 0) -> dict[str, Array]:
    """Sound rows: the electron flavor's two species mix a little."""
    generator = np.random.default_rng(seed)
    start = np.empty((count, 4, 2, flavors))
    start[:, 3] = generator.uniform(1.0, 2.0, (count, 2, flavors)) * 1e33
    start[:, :3] = generator.uniform(-0.3, 0.3, (count, 3, 2, flavors)) * start[:, 3:]
    final = start.copy()
    change = 0.1 * start[:, :, :, 0].min(axis=2)
    change[:, 3] = 1e31
    final[..., 0] -= change[..., None] * 0.1
    final[..., 1] += change[..., None] * 0.1
    return {F4_INITIAL: start, F4_FINAL: final, GROWTH: generator.uniform(1e9, 1e10, count)}


def written(path: Path, columns: dict[str, Array], *, last: bool = False) -> Path:
    turned = {k: np.moveaxis(v, 1, -1) if last and v.ndim == 4 else v for k, v in columns.items()}
    return hdf5.write(path, {"nf": np.array(columns[F4_INITIAL].shape[-1]), "xplot": np.zeros(3), **turned})


def config(**source: Any) -> FlavorConfig:
    splits = {"training": 6, "validation": 2, "test": 2, "test_ood": 0, "labels_only": 0}
    return FlavorConfig.model_validate({"system": {"source": source}, "splits": splits})


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("flavors", [2, 3])
def test_both_orders_of_components_read_alike(tmp_path: Path, last: bool, flavors: int) -> None:
    columns = rows(20, flavors)
    path = written(tmp_path / "a.h5", columns, last=last)
    shards = system.shards(config(asymptotic=(str(path),)), "cases", "training")
    results = system.simulate(shards[0], config(asymptotic=(str(path),)))
    assert len(results) == 12
    for result in results:
        assert np.array_equal(result.arrays[F4_INITIAL], columns[F4_INITIAL][result.case])
        assert np.array_equal(result.arrays[F4_FINAL], columns[F4_FINAL][result.case])
        assert result.arrays[STABLE] == 0


def test_a_run_on_files_counts_every_row(tmp_path: Path) -> None:
    columns = rows(50)
    columns[F4_FINAL][3, 0, 0, 0] = np.nan
    columns[GROWTH][4] = np.inf
    columns[F4_INITIAL][5, 3, 0, 0] = -1e33
    columns[F4_INITIAL][6, 0, 0, 0] = 9e33
    columns[F4_FINAL][7, 3, 0, 0] *= 1.5
    columns[F4_INITIAL][8, 3, 1, 1] = -1e20
    columns[F4_INITIAL][8, :3, 1, 1] = 0.0
    columns[F4_FINAL][8] = columns[F4_INITIAL][8]
    asymptotic = written(tmp_path / "a.h5", columns)
    stable = rows(30, seed=1)
    given_stable = {F4_INITIAL: stable[F4_INITIAL], STABLE: np.arange(30) % 2}
    second = hdf5.write(tmp_path / "s.h5", given_stable)
    study = tmp_path / "study.toml"
    study.write_text(
        f'[system]\nname = "flavor"\n[system.source]\nasymptotic = ["{asymptotic}"]\nstable = ["{second}"]\n'
        "[splits]\ntraining = 6\nvalidation = 2\ntest = 2\ntest_ood = 0\nlabels_only = 0\n[dataset]\nshard_rows = 7\n"
    )
    emulant.generate(study, tmp_path / "run", workers=1)
    manifest = json.loads((tmp_path / "run" / "training" / "manifest.json").read_text())
    first, other = manifest["source"]
    assert (first["rows"], first["dropped_nan"], first["dropped_invalid"], first["used"]) == (50, 2, 3, 45)
    assert first["reasons"] == {"negative density": 1, "flux above density": 1, "number not conserved": 1}
    assert (other["kind"], other["rows"], other["used"]) == ("stable", 30, 30)
    groups = [
        set(open_cells(tmp_path / "run" / split).cases["group_key"]) for split in ("training", "validation", "test")
    ]
    assert [len(group) for group in groups] == [45, 15, 15]
    assert len(set.union(*groups)) == 75
    opened = open_cells(tmp_path / "run" / "training")
    arrays = opened.read([F4_INITIAL, F4_FINAL, GROWTH, STABLE])
    from_stable = opened.cases["family"].to_numpy() == "s"
    assert np.isnan(arrays[F4_FINAL][from_stable]).all()
    assert ((arrays[GROWTH] == 0.0) == (from_stable & (arrays[STABLE] == 1))).all()
    assert np.isnan(arrays[GROWTH][from_stable & (arrays[STABLE] == 0)]).all()
    assert arrays[F4_INITIAL][:, 3].min() >= 0.0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(1, 40),
    bad=st.sets(st.integers(0, 39)),
    most=st.integers(0, 30),
    share=st.one_of(st.none(), st.floats(0.1, 0.9)),
    last=st.booleans(),
)
def test_no_row_is_lost_or_doubled(
    tmp_path: Path, count: int, bad: set[int], most: int, share: float | None, last: bool
) -> None:
    columns = rows(count)
    bad = {row for row in bad if row < count}
    for row in bad:
        columns[F4_INITIAL][row, 1] = np.nan
    path = written(tmp_path / "a.h5", columns, last=last)
    table = config(asymptotic=(str(path),), samples_per_database=most, test_size=share)
    if len(bad) == count:
        with pytest.raises(DataError, match="none of its"):
            census(path, "asymptotic")
        return
    found = census(path, "asymptotic")
    assert (found.rows, found.dropped_nan) == (count, len(bad))
    used = [rows_of(table, split, 0, found) for split in ("training", "validation", "test")]
    together = np.concatenate(used).tolist()
    assert len(together) == len(set(together)) == min(most or count, count - len(bad))
    assert not set(together) & bad
    assert sum(source_counts(table).values()) == len(together)
    if share is not None:
        assert len(used[2]) == pytest.approx(share * len(together), abs=1.0)


def test_out_of_distribution_files_go_there_whole(tmp_path: Path) -> None:
    near, far = written(tmp_path / "near.h5", rows(20)), written(tmp_path / "far.h5", rows(9, seed=5))
    counts = source_counts(config(asymptotic=(str(near),), test_ood=(str(far),)))
    assert counts == {"training": 12, "validation": 4, "test": 4, "test_ood": 9}
    assert kind_of(far) == "asymptotic"


def _wrong(change: str) -> dict[str, Array]:
    columns = rows(10)
    if change == "shape":
        columns[F4_INITIAL] = columns[F4_INITIAL][:, :3]
    elif change == "order":
        columns = {k: np.roll(v, 1, axis=1) if v.ndim == 4 else v for k, v in columns.items()}
    elif change == "missing":
        del columns[GROWTH]
    elif change == "length":
        columns[GROWTH] = columns[GROWTH][:5]
    else:
        columns[F4_INITIAL][:, 3] *= -1.0
    return columns


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("shape", r"`F4_initial\(1\|ccm\)` has shape \(10, 3, 2, 3\); wanted is"),
        ("order", "the order t, x, y, z"),
        ("missing", r"has no dataset `growthRate\(1\|s\)`"),
        ("length", "has 5 rows, others have 10"),
        ("negative", "none of its 10 rows can be used .*10 negative density"),
    ],
)
def test_bad_files_are_told_by_file_and_dataset(tmp_path: Path, change: str, told: str) -> None:
    path = hdf5.write(tmp_path / "bad.h5", _wrong(change))
    with pytest.raises(DataError, match=told) as caught:
        source_counts(config(asymptotic=(str(path),)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for table in ({"asymptotic": ("nowhere.h5",)}, {"test_ood": ("nowhere.h5",)}):
        with pytest.raises(DataError, match=r"nowhere.h5: is missing. \[system.source\] names it"):
            source_counts(config(**table))


def test_a_file_named_twice_and_mixed_purposes_are_refused() -> None:
    with pytest.raises(ValueError, match="named twice"):
        config(asymptotic=("a.h5",), stable=("a.h5",))
    with pytest.raises(ValueError, match="one or the other"):
        config(asymptotic=("a.h5",), initial="b.h5")


def test_given_starts_are_simulated_in_their_order(tmp_path: Path) -> None:
    f4 = rows(3)[F4_INITIAL]
    f4[..., 2] = f4[..., 1]
    path = hdf5.write(tmp_path / "cells.h5", {F4_INITIAL: np.moveaxis(f4, 1, -1)})
    study = tmp_path / "study.toml"
    study.write_text(
        '[system]\nname = "flavor"\nn_cells = 16\nn_directions = 50\nseeds = 1\nmax_steps = 300\n'
        f'source.initial = "{path}"\n'
    )
    emulant.generate(study, tmp_path / "run", workers=1)
    assert not (tmp_path / "run" / "training").exists()  # no cell is in two splits
    opened = open_cells(tmp_path / "run" / "test")
    assert np.array_equal(opened.read([F4_INITIAL])[F4_INITIAL], f4)
    hdf5.write(path, {F4_INITIAL: 1.01 * f4})
    with pytest.raises(EmulantError, match="source files that have changed since"):
        emulant.generate(study, tmp_path / "run", workers=1)
    f4[1, 3, 0, 0] = np.nan
    hdf5.write(path, {F4_INITIAL: f4})
    with pytest.raises(EmulantError, match="row 1 of"):
        emulant.generate(study, tmp_path / "other", splits=["test"], workers=1)


def test_reading_is_not_the_bottleneck(tmp_path: Path) -> None:
    """>= 1e5 rows/s of CPU time, shuffled, four-fluxes of start and end."""
    columns = rows(60_000)
    path = written(tmp_path / "a.h5", columns)
    study = tmp_path / "study.toml"
    study.write_text(
        f'[system]\nname = "flavor"\nsource.asymptotic = ["{path}"]\n'
        "[splits]\ntraining = 1\nvalidation = 0\ntest = 0\ntest_ood = 0\nlabels_only = 0\n"
    )
    emulant.generate(study, tmp_path / "run", workers=1)
    opened = open_cells(tmp_path / "run" / "training")
    start = time.process_time()
    read = sum(len(batch[GROWTH]) for batch in opened.batches(10_000, [F4_INITIAL, F4_FINAL, GROWTH], seed=0))
    assert read == 60_000
    assert read / (time.process_time() - start) > 1e5

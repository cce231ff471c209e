"""Cells as data: generated, opened, checked, the same bytes wherever they are made; and what goes wrong."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import emulant
from emulant.dataset import hdf5
from emulant.dataset.hashing import hash_file
from emulant.errors import DataError, StudyError
from emulant.systems.flavor.checks import check, leaks
from emulant.systems.flavor.config import FlavorConfig
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, F4_STDDEV, GROWTH, GROWTH_BOX, STABLE
from emulant.systems.flavor.flavor import LABELS_FROM, system
from emulant.systems.flavor.readers import CellDataset, open_cells
from emulant.validation import validate

SETTINGS = {
    "system": {"name": "flavor", "n_cells": 16, "n_directions": 50, "seeds": 2, "max_steps": 400},
    "splits": {"training": 12, "validation": 0, "test": 4, "test_ood": 2, "labels_only": 20},
    "dataset": {"shard_cases": 5},
}


@pytest.fixture(scope="module")
def config() -> FlavorConfig:
    return FlavorConfig.model_validate(SETTINGS)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, study_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("flavor") / "run"
    emulant.generate(study_file, folder)
    return folder


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "study.toml"
    lines = []
    for table, values in SETTINGS.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {value!r}".replace("'", '"') for key, value in values.items()]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def cells(run_folder: Path) -> CellDataset:
    return open_cells(run_folder / "training")


def test_a_run_holds_simulated_and_labelled_cells_without_fault(run_folder: Path, cells: CellDataset) -> None:
    numbers = cells.cases["case"].to_numpy()
    assert (numbers < LABELS_FROM).sum() == 12
    assert 10 <= (numbers >= LABELS_FROM).sum() <= 13  # in the shallowest no growing mode can be resolved
    assert set(open_cells(run_folder / "test_ood").cases["family"]) == {"ood"}
    verdict = validate(run_folder, resimulate=2)
    assert verdict.findings == []
    assert verdict.largest_deviation == 0.0


def test_labels_agree_with_each_other(cells: CellDataset) -> None:
    arrays = cells.read([F4_INITIAL, F4_FINAL, GROWTH, STABLE, F4_STDDEV, GROWTH_BOX, "axis", "margin", "drift"])
    outcome = cells.cases["outcome"].to_numpy()
    assert {"simulated", "stable", "labels_only"} <= set(outcome)
    stable = arrays[STABLE] == 1
    assert (stable == (outcome == "stable")).all()
    assert ((arrays[GROWTH] == 0.0) == stable).all()
    assert ((arrays["margin"] == 0.0) == stable).all()
    assert np.array_equal(arrays[F4_FINAL][stable], arrays[F4_INITIAL][stable])
    ran = np.isin(outcome, ["simulated", "not_converged", "not_saturated"])
    assert np.isfinite(arrays[F4_STDDEV][ran]).all()
    assert np.isnan(arrays[F4_FINAL][outcome == "labels_only"]).all()
    assert np.linalg.norm(arrays["axis"][ran], axis=1) == pytest.approx(1.0)
    assert not (set(cells.schema) & {"margin", "drift", F4_STDDEV})


def test_rows_come_in_the_order_asked_for_and_all_of_them_in_an_epoch(cells: CellDataset) -> None:
    numbers = cells.cases["case"].to_list()
    whole = cells.read([GROWTH])[GROWTH]
    backwards = numbers[::-1]
    assert np.array_equal(cells.read([GROWTH], backwards)[GROWTH], whole[::-1], equal_nan=True)
    assert cells.select(backwards).cases["case"].to_list() == backwards
    batches = [batch[GROWTH] for batch in cells.batches(4, [GROWTH], seed=1, epoch=2)]
    assert max(map(len, batches)) == 4
    assert np.array_equal(np.sort(np.concatenate(batches)), np.sort(whole), equal_nan=True)
    assert not np.array_equal(np.concatenate(batches), whole, equal_nan=True)
    again = [batch[GROWTH] for batch in cells.batches(4, [GROWTH], seed=1, epoch=2)]
    assert np.array_equal(np.concatenate(batches), np.concatenate(again), equal_nan=True)
    with pytest.raises(DataError, match="no case 77"):
        cells.read([GROWTH], [77])


def test_a_cell_is_the_same_whatever_is_computed_beside_it(config: FlavorConfig, cells: CellDataset) -> None:
    alone = system.simulate_case("training", 7, config)
    stored = cells.read(list(alone.arrays), [7])
    for name, array in alone.arrays.items():
        assert np.asarray(array).tobytes() == stored[name][0].tobytes()


def test_bytes_do_not_depend_on_workers(run_folder: Path, study_file: Path, tmp_path: Path) -> None:
    emulant.generate(study_file, tmp_path / "one", splits=["test"], workers=1)
    for path in sorted((tmp_path / "one" / "test").glob("*.h5")):
        assert hash_file(path) == hash_file(run_folder / "test" / path.name)


def test_files_say_what_they_hold(run_folder: Path) -> None:
    with h5py.File(run_folder / "training" / "shard_00000.h5") as file:
        assert file.attrs["layout"] == "sim, xyzt, matter, flavor"
        assert file[F4_INITIAL].attrs["unit"] == "1/cm³"
        assert file[F4_INITIAL].shape == (5, 4, 2, 3)
        assert file["nf"][()] == 3
    with h5py.File(run_folder / "training" / "shard_labels_00000.h5") as file:
        assert GROWTH in file


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (F4_FINAL, lambda f4: f4 * 1.01, "conservation"),
        (GROWTH, lambda growth: growth * 0.0, "growth"),
        (STABLE, lambda stable: 1 - stable, "growth"),
        (F4_INITIAL, lambda f4: -f4, "start"),
    ],
)
def test_checks_find_what_is_wrong(cells: CellDataset, tmp_path: Path, name: str, change: object, told: str) -> None:
    arrays = cells.read([F4_INITIAL, F4_FINAL, GROWTH, STABLE])
    arrays[name] = change(arrays[name])  # type: ignore[operator]
    path = hdf5.write(tmp_path / "wrong.h5", {**arrays, "nf": np.array(3)})
    places = np.stack([np.zeros(len(cells), int), np.arange(len(cells))], axis=1)
    wrong = CellDataset("training", cells.cases, 3, (path,), places)
    assert told in {finding.check for finding in check(wrong)}
    assert list(check(cells)) == []


def test_leaks_across_splits_are_found(cells: CellDataset) -> None:
    assert list(leaks({"training": cells})) == []
    found = list(leaks({"training": cells, "test": cells.select([3])}))
    assert [finding.check for finding in found] == ["leak"]


def test_a_study_with_faults_names_them(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('[system]\nname = "flavor"\nsampler = "rondom"\nn_cells = 40\nn_directions = 111\n')
    with pytest.raises(StudyError) as caught:
        emulant.generate(path, tmp_path / "run")
    for key in ("system.sampler", "system.n_cells", "system.n_directions"):
        assert key in str(caught.value)
    assert not (tmp_path / "run").exists()

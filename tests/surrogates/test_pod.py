from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import SurrogateError
from emulant.surrogates.pod import POD


def snapshots(count: int, cells: int, seed: int = 0, offset: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, cells)) * np.geomspace(1, 1e-3, cells) + offset


def by_svd(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, values, rows = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    return rows.T, values


@pytest.mark.parametrize(("count", "cells"), [(20, 50), (200, 50)], ids=["gram", "covariance"])
def test_it_is_the_svd_of_the_centred_snapshots(count: int, cells: int) -> None:
    data = snapshots(count, cells)
    pod = POD.fit([data], rank=8)
    modes, values = by_svd(data)
    np.testing.assert_allclose(pod.singular_values, values[:8], rtol=1e-9)
    np.testing.assert_allclose(pod.modes @ pod.modes.T, modes[:, :8] @ modes[:, :8].T, atol=1e-8)
    np.testing.assert_allclose(pod.mean, data.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(pod.energy, np.sum(values[:8] ** 2) / np.sum(values**2), rtol=1e-12)


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.integers(1, 99), max_size=6), cells=st.integers(5, 60))
def test_blocks_do_not_matter(cuts: list[int], cells: int) -> None:
    data = snapshots(100, cells)
    whole = POD.fit([data], rank=4)
    pieces = POD.fit(np.split(data, sorted(set(cuts))), rank=4)
    np.testing.assert_allclose(pieces.singular_values, whole.singular_values, rtol=1e-9)
    np.testing.assert_allclose(pieces.modes @ pieces.modes.T, whole.modes @ whole.modes.T, atol=1e-8)


@pytest.mark.parametrize("count", [30, 300])
@pytest.mark.parametrize("energy", [0.5, 0.9, 0.995])
def test_energy_takes_the_fewest_modes(count: int, energy: float) -> None:
    data = snapshots(count, 40)
    shares = np.cumsum(by_svd(data)[1] ** 2)
    shares /= shares[-1]
    pod = POD.fit([data], energy=energy)
    assert shares[pod.rank - 1] >= energy > shares[pod.rank - 2]
    assert pod.energy >= energy == pod.target_energy


def test_rank_ends_where_rounding_begins() -> None:
    data = np.outer(np.arange(10.0), np.ones(30)) + np.outer(np.arange(10.0) ** 2, np.linspace(0, 1, 30))
    assert POD.fit([data], rank=7).rank == 2
    assert POD.fit([data], energy=1.0).rank == 2


def test_modes_are_orthonormal_even_where_the_gram_matrix_has_lost_them() -> None:
    rng = np.random.default_rng(1)
    left, right = np.linalg.qr(rng.normal(size=(60, 40)))[0], np.linalg.qr(rng.normal(size=(500, 40)))[0]
    data = (left * np.geomspace(1, 3e-7, 40)) @ right.T
    pod = POD.fit([data], energy=1.0)
    assert pod.rank > 30
    np.testing.assert_allclose(pod.modes.T @ pod.modes, np.eye(pod.rank), atol=1e-8)


def test_a_large_mean_does_not_drown_the_covariance() -> None:
    data = snapshots(400, 30)
    np.testing.assert_allclose(POD.fit(np.split(data + 1e6, 8), rank=3).singular_values, by_svd(data)[1][:3], rtol=1e-8)


def test_decoding_a_code_is_the_orthogonal_projection() -> None:
    data = snapshots(30, 60)
    pod = POD.fit([data], rank=5)
    fields = snapshots(12, 60, seed=3).reshape(3, 4, 60)
    projected = pod.decode(pod.encode(fields))
    assert projected.shape == fields.shape
    np.testing.assert_allclose((fields - projected) @ pod.modes, 0, atol=1e-10)
    np.testing.assert_allclose(pod.decode(pod.encode(projected)), projected, atol=1e-12)


@pytest.mark.parametrize("data", [np.ones((5, 7)), np.ones((1, 7)), np.full((5, 7), np.nan)])
def test_data_without_a_basis_are_refused(data: np.ndarray) -> None:
    with pytest.raises(SurrogateError, match="POD"):
        POD.fit([data])


def test_files_have_the_keys_of_the_document(tmp_path: Path) -> None:
    pod = POD.fit([snapshots(20, 30)], rank=4)
    pod.save(tmp_path / "pod_model.npz")
    with np.load(tmp_path / "pod_model.npz", allow_pickle=False) as file:
        assert {name: file[name].shape for name in file.files} == {
            "U": (30, 4), "S": (4,), "mean": (30,), "energy": (), "R_POD": (), "target_energy": (),
        }  # fmt: skip
    loaded = POD.load(tmp_path / "pod_model.npz")
    np.testing.assert_array_equal(loaded.modes, pod.modes)
    assert (loaded.energy, loaded.target_energy, loaded.rank) == (pod.energy, 0.995, 4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"U": None}, "`U`"),
        ({"U": np.ones((30, 3))}, "'U'"),
        ({"S": np.array([1.0, np.nan, 1, 1])}, "'S'"),
        ({"mean": np.ones((5, 6))}, "'mean'"),
        ({"mean": np.array([{"run": "me"}], dtype=object)}, "`mean`"),
        ({"mean": np.array(["a"] * 30)}, "'mean'"),
    ],
)
def test_wrong_weights_are_named(tmp_path: Path, change: dict[str, np.ndarray | None], named: str) -> None:
    path = tmp_path / "pod_model.npz"
    POD.fit([snapshots(20, 30)], rank=4).save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | change
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(SurrogateError, match=named) as caught:
        POD.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no zip at all"])
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pod_model.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SurrogateError, match=r"pod_model\.npz"):
        POD.load(path)

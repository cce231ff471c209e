"""HDF5 files: equal bytes for equal content, and damage told by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emulant.dataset import hdf5
from emulant.errors import DataError


@settings(deadline=None, max_examples=30)
@given(
    arrays.arrays(
        st.sampled_from(["<f8", "<f4", "<i4", "?"]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    ),
    st.one_of(st.none(), st.integers(1, 3)),
)
def test_what_is_written_comes_back_to_the_bit(tmp_path_factory, array, chunk):
    path = tmp_path_factory.mktemp("hdf5") / "a.h5"
    chunk = chunk if array.ndim else None
    hdf5.write(path, {"group/values(1|ccm)": hdf5.Stored(array, {"units": "1/cm3"}, chunk)}, {"layout": "x"})
    with hdf5.opened(path) as file:
        back = hdf5.read(file, path, "group/values(1|ccm)")
        assert (file.attrs["layout"], file["group/values(1|ccm)"].attrs["units"]) == ("x", "1/cm3")
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_equal_content_gives_equal_bytes(tmp_path):
    stored = {"b": np.arange(10.0), "a": hdf5.Stored(np.ones((40, 3)), {"unit": "1"}, 8, {"compression": "lzf"})}
    first, second = (hdf5.write(tmp_path / name, stored, {"seed": 3}).read_bytes() for name in ("one.h5", "two.h5"))
    assert first == second


def test_a_slice_of_rows(tmp_path):
    path = hdf5.write(tmp_path / "a.h5", {"a": hdf5.Stored(np.arange(20).reshape(10, 2), chunk=4)})
    with hdf5.opened(path) as file:
        assert hdf5.read(file, path, "a", slice(3, 5)).tolist() == [[6, 7], [8, 9]]


def test_what_is_not_there_is_named(tmp_path):
    path = hdf5.write(tmp_path / "a.h5", {"a": np.ones(2), "g/b": np.ones(2)})
    with hdf5.opened(path) as file:
        for name in ("c", "g"):
            with pytest.raises(DataError, match=f"has no dataset `{name}`"):
                hdf5.read(file, path, name)
    with pytest.raises(DataError, match="is missing"), hdf5.opened(tmp_path / "none.h5"):
        pass


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_torn_file_is_refused(tmp_path, keep):
    path = hdf5.write(tmp_path / "a.h5", {"a": np.ones(10_000)})
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a\.h5: is not a readable HDF5 file"), hdf5.opened(path):
        pass


def test_a_damaged_chunk_is_told_by_name(tmp_path):
    array = np.random.default_rng(0).normal(size=(1000, 4))
    stored = hdf5.Stored(array, chunk=1000, options={"fletcher32": True})
    path = hdf5.write(tmp_path / "a.h5", {"a": stored})
    content = bytearray(path.read_bytes())
    content[content.index(array[500].tobytes())] ^= 1
    path.write_bytes(content)
    with hdf5.opened(path) as file, pytest.raises(DataError, match="dataset `a` is damaged"):
        hdf5.read(file, path, "a")


def test_python_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match="never writes"):
        hdf5.write(tmp_path / "a.h5", {"a": np.array([{}])})
    assert not list(tmp_path.iterdir())

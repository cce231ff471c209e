"""Files are either whole or not there, whatever fails at whatever step."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from emulant.dataset import atomic
from emulant.dataset.npz import read_arrays
from emulant.errors import DataError


def partials(folder):
    return list(folder.glob(f"*{atomic.PARTIAL}"))


def test_a_written_file_is_there_and_nothing_else(tmp_path):
    atomic.write_text(tmp_path / "deep" / "a.txt", "hello")
    assert (tmp_path / "deep" / "a.txt").read_text() == "hello"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_fault_at_any_step_leaves_the_old_file_and_no_partial(tmp_path, monkeypatch, step):
    target = atomic.write_text(tmp_path / "a.txt", "old")

    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    match step:
        case "write":
            monkeypatch.setattr(Path, "write_bytes", fail)
        case "fsync":
            monkeypatch.setattr(os, "fsync", fail)
        case "replace":
            monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match=r"No space left.*Free some space"):
        atomic.write_text(target, "new")
    assert target.read_text() == "old"
    assert not partials(tmp_path)


def test_a_read_only_folder_is_told_as_such(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(DataError, match="choose another folder"):
        atomic.write_text(tmp_path / "x" / "a.txt", "new")


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(5.0), "text": np.array("x")}
    first = atomic.write_npz(tmp_path / "1.npz", arrays).read_bytes()
    assert atomic.write_npz(tmp_path / "2.npz", arrays).read_bytes() == first


def test_object_arrays_are_never_written(tmp_path):
    with pytest.raises(TypeError, match="pickle"):
        atomic.write_npz(tmp_path / "a.npz", {"config": np.array({"a": 1}, dtype=object)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "flipped"])
def test_a_damaged_npz_is_our_error(tmp_path, damage):
    path = atomic.write_npz(tmp_path / "a.npz", {"a": np.arange(100.0)})
    content = bytearray(path.read_bytes())
    match damage:
        case "truncated":
            content = content[: len(content) // 2]
        case "empty":
            content = bytearray()
        case "text":
            content = bytearray(b"not a zip file at all")
        case "flipped":
            content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz"):
        read_arrays(path, ["a"])


def test_a_pickled_array_is_refused_and_its_neighbours_are_read(tmp_path):
    path = tmp_path / "foreign.npz"
    np.savez(path, positions=np.zeros(3), config=np.array({"N": 40}, dtype=object))
    assert read_arrays(path, ["positions"])["positions"].shape == (3,)
    with pytest.raises(DataError, match="Python objects"):
        read_arrays(path, ["config"])

"""The C library against the numpy oracle, and its examples in C++ and Fortran."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flavor_cells import ANCHOR_A, NSM1, adversarial, expected_error, oracle, random_networks, totals

from emulant.dataset.seams import Array
from emulant.systems.flavor.exports import c
from emulant.systems.flavor.mixing.networks import Networks

GRID = (8, 12)
STRICT = ["-O3", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here")
pytestmark = needs_gcc


class Library:
    """The compiled library, called as a host does."""

    def __init__(self, folder: Path, weights: Networks, flavors: int) -> None:
        c.write(weights, GRID, flavors, folder)
        self.path = folder / "emulant_flavor.so"
        run(["gcc", *STRICT, "-fPIC", "-shared", "-o", self.path.name, "emulant_flavor.c", "-lm"], folder)
        self.library = ctypes.CDLL(str(self.path))

    def __call__(self, f4: Array, target: Array | None = None) -> tuple[int, Array, Array, Array, Array]:
        f4, count = np.ascontiguousarray(f4), len(f4)
        final = np.full_like(f4, np.nan) if target is None else target
        growth, stable, status = np.empty(count), np.empty(count, np.uint8), np.empty(count, np.uint8)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (f4, final, growth, stable, status))
        return self.library.emulant_flavor_predict(ctypes.c_size_t(count), *pointers), final, growth, stable, status

    def error(self, f4: Array) -> Array:
        """The error that it expects."""
        final, growth, found = np.empty_like(f4), np.empty(len(f4)), np.full(len(f4), np.nan)
        stable, status = np.empty(len(f4), np.uint8), np.empty(len(f4), np.uint8)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (f4, final, growth, stable, status, found))
        self.library.emulant_flavor_predict_error(ctypes.c_size_t(len(f4)), *pointers)
        return found


def run(command: list[Any], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("flavors", "equal"), [(3, True), (3, False), (2, False)])
def test_c_is_the_numpy_oracle(tmp_path: Path, flavors: int, equal: bool) -> None:
    rng = np.random.default_rng(1)
    weights = random_networks(rng)
    f4 = adversarial(rng, 4000, flavors, equal)
    wanted = oracle(f4, weights)
    library = Library(tmp_path, weights, flavors)
    invalid, final, growth, stable, status = library(f4)
    assert invalid == 0
    error, far = library.error(f4), np.abs(final - f4).max(axis=(1, 2, 3)) > 1e-8 * totals(f4)[:, 0, 0, 0]
    assert error[far] == pytest.approx(expected_error(f4, weights)[far], rel=1e-6)
    assert not error[stable == 1].any()
    assert np.array_equal(stable, wanted.stable)
    assert np.array_equal(status, wanted.status)
    off = np.sort((np.abs(final - wanted.final) / totals(f4)).max(axis=(1, 2, 3)))
    assert off[-len(f4) // 1000] < 1e-12
    assert off[-1] < 1e-9  # where a thin crossing lies is known to the root of the rounding error only
    assert growth == pytest.approx(wanted.growth, rel=1e-7)
    assert np.array_equal(final[stable == 1], f4[stable == 1])


def test_invalid_cells_are_flagged_and_copied_and_the_others_worked_out(tmp_path: Path) -> None:
    cells = np.stack([ANCHOR_A[0] * 1e33] * 6)
    cells[0, 0, 0, 0] = np.nan
    cells[1, 3, 1, 2] = np.inf
    cells[2, 3, 0, 0] = -1e20
    cells[3, 2, 0, 0] = 1.1 * cells[3, 3, 0, 0]
    cells[4] = 0.0
    invalid, final, growth, stable, status = Library(tmp_path, random_networks(np.random.default_rng(0)), 3)(cells)
    assert invalid == 4
    assert status.tolist()[:5] == [1, 1, 1, 1, 0]
    assert np.array_equal(final[:5], cells[:5], equal_nan=True)
    assert stable.tolist() == [1, 1, 1, 1, 1, 0]
    assert growth[5] > 0


def test_it_works_in_place_in_pieces_and_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    library, f4 = Library(tmp_path, random_networks(rng), 3), adversarial(rng, 300)
    _, final, growth, _, _ = library(f4)
    inside = f4.copy()
    library(inside, inside)
    assert np.array_equal(inside, final)
    one_by_one = [library(cell[None]) for cell in f4]
    assert np.array_equal(np.concatenate([answer[1] for answer in one_by_one]), final)
    assert np.array_equal(np.concatenate([answer[2] for answer in one_by_one]), growth)
    assert library.path.stat().st_size < 1_000_000


def test_the_weights_are_the_ones_that_it_names(tmp_path: Path) -> None:
    weights = random_networks(np.random.default_rng(3))
    library = Library(tmp_path, weights, 3).library
    library.emulant_flavor_weights.restype = ctypes.c_char_p
    assert library.emulant_flavor_weights().decode() == c.digest(weights)
    assert c.digest(weights) != c.digest(random_networks(np.random.default_rng(4)))


def test_fast_math_is_refused(tmp_path: Path) -> None:
    c.write(random_networks(np.random.default_rng(0)), GRID, 3, tmp_path)
    done = subprocess.run(
        ["gcc", "-ffast-math", "-c", "emulant_flavor.c"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "must not be compiled with -ffast-math" in done.stderr


@pytest.mark.skipif(shutil.which("cmake") is None or shutil.which("g++") is None, reason="no cmake or g++ here")
def test_cmake_builds_library_and_examples_and_both_languages_say_the_same(tmp_path: Path) -> None:
    weights = random_networks(np.random.default_rng(5))
    c.write(weights, GRID, 3, tmp_path)
    build = tmp_path / "build"
    run(["cmake", "-S", ".", "-B", "build", "-DEMULANT_FLAVOR_EXAMPLES=ON", "-DCMAKE_INSTALL_PREFIX=place"], tmp_path)
    run(["cmake", "--build", "build"], tmp_path)
    wanted = oracle(NSM1, weights)
    said = run([build / "example_cpp"], tmp_path)
    check_example(said, wanted)
    if shutil.which("gfortran"):
        check_example(run([build / "example_fortran"], tmp_path), wanted)
    run(["cmake", "--install", "build", "--prefix", "installed"], tmp_path)
    installed = {path.name for path in (tmp_path / "installed").rglob("*") if path.is_file()}
    assert {"emulant_flavor.h", "libemulant_flavor.a", "emulant_flavor.pc"} <= installed


def check_example(said: str, wanted: Any) -> None:
    first, *rows = said.splitlines()
    words = first.split()
    assert words[:6] == ["invalid", "0", "status", str(int(wanted.status[0])), "stable", str(int(wanted.stable[0]))]
    assert float(words[7]) == pytest.approx(wanted.growth[0], rel=1e-12)
    final = np.array([[float(word) for word in row.split()] for row in rows])
    assert final == pytest.approx(wanted.final[0].reshape(4, 6).T, rel=1e-12, abs=1e-12 * NSM1[0, 3].sum())


@pytest.mark.soak
def test_a_million_cells_break_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for flavors, equal, pieces in ((3, True, 30), (3, False, 10), (2, False, 10)):
        folder = tmp_path / f"{flavors}{equal}"
        library = Library(folder, random_networks(rng), flavors)
        for _ in range(pieces):
            f4 = adversarial(rng, 20_000, flavors, equal)
            invalid, final, growth, stable, _ = library(f4)
            change, scaled = (final - f4) / totals(f4), final / totals(f4)
            n, size = scaled[:, 3], np.sqrt(np.sum(scaled[:, :3] ** 2, axis=1))
            assert invalid == 0
            assert np.isfinite(final).all()
            assert (n >= -1e-12).all()
            assert (size <= n * (1 + 1e-9) + 1e-12).all()
            assert np.abs(change[:, 3].sum(axis=-1)).max() <= 1e-12
            assert np.abs(change[:, 3, 0] - change[:, 3, 1]).max() <= 1e-12
            assert np.array_equal(final[stable == 1], f4[stable == 1])
            assert np.array_equal(growth > 0, stable == 0)

"""Cells of fast flavor instability per second: the exported C library, numpy, and ONNX Runtime from Python."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.table import Options, Row, Section
from benchmarks.timing import contest, duration
from emulant.systems.flavor.exports import c
from emulant.systems.flavor.mixing.networks import Networks
from emulant.systems.flavor.mixing.shapes import FEATURES
from emulant.systems.flavor.prescriptions import CHUNK

GRID, CELLS = (8, 12), 4096


def run(options: Options) -> Section:
    import onnxruntime
    import torch

    from emulant.systems.flavor.mixing.emulator import Mixing
    from emulant.systems.flavor.mixing.learning import MixingNetwork

    torch.manual_seed(0)
    model = Mixing()  # what it costs does not hang on what it has learned
    model.network = MixingNetwork(model.config.width, model.config.depth)
    width = len(FEATURES)
    model.arrays = {"mean": np.zeros(width), "deviation": np.ones(width), "uncertainty": np.zeros(width + 1)}
    model.arrays |= {"lowest": np.full(width, -1e9), "highest": np.full(width, 1e9)}
    f4 = cells(np.random.default_rng(0), CELLS)
    with tempfile.TemporaryDirectory() as folder:
        plain, native = (library(Path(folder) / name, model.networks(), flags) for name, flags in FLAGS.items())
        size = (Path(folder) / "plain" / "library.so").stat().st_size
        sessions = {}
        for name, module in modules(model).items():
            path = Path(folder) / f"{name}.onnx"
            export(module, path)
            settings = onnxruntime.SessionOptions()
            settings.intra_op_num_threads = 1
            sessions[name] = onnxruntime.InferenceSession(str(path), settings)
        found = contest(
            {
                "C": lambda: plain(f4),
                "C native": lambda: native(f4),
                "C single": lambda: plain(f4[:1]),
                "numpy": lambda: model.prediction(f4[: 4 * CHUNK]),
                "onnx mixing": lambda: sessions["mixing"].run(None, {"F4_initial": f4[:1024]}),
                "onnx multitask": lambda: sessions["multitask"].run(None, {"F4_initial": f4}),
            },
            seconds=4 * options.seconds,
        )
    single = found.median("C single")
    rows = [
        Row("C, a single cell", found.said("C single"), target=f"< {duration(20e-6)}", met=single < 20e-6),
        rate("C, cells/s", CELLS / found.median("C"), 1e5),
        rate("C, -march=native, cells/s", CELLS / found.median("C native"), 2e5),
        rate("numpy (`emulant predict`), cells/s", 4 * CHUNK / found.median("numpy"), 5e3),
        rate("ONNX Runtime, mixing, cells/s", 1024 / found.median("onnx mixing"), 2e4),
        rate("ONNX Runtime, multitask, cells/s", CELLS / found.median("onnx multitask"), 1e5),
        Row("C library, kB", f"{size / 1e3:.0f}", target="< 1000", met=size < 1e6),
    ]
    how = "One thread, equal heavy flavors, closure and all: from four-fluxes to four-fluxes. gcc -O3."
    return Section("Flavor: a surrogate in a host code", how, rows)


FLAGS = {"plain": [], "native": ["-march=native"]}


def rate(what: str, value: float, target: float) -> Row:
    return Row(what, f"{value:,.0f}", target=f"> {target:,.0f}", met=value > target)


def cells(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random cells with equal heavy flavors, nearly all of them unstable: the dear ones."""
    n, factor = rng.random((count, 2, 3)), 0.9 * rng.random((count, 2, 3))
    direction = rng.normal(size=(count, 3, 2, 3))
    for array in (n, factor, direction):
        array[..., 2] = array[..., 1]
    direction /= np.sqrt((direction**2).sum(axis=1, keepdims=True))
    return 1e33 * np.concatenate([direction * (factor * n)[:, None], n[:, None]], axis=1)


def library(folder: Path, weights: Networks, flags: list[str]) -> Callable[[np.ndarray], int]:
    """The compiled library as a function of cells."""
    c.write(weights, GRID, 3, folder)
    command = ["gcc", "-O3", "-std=c11", *flags, "-fPIC", "-shared", "-o", "library.so", "emulant_flavor.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    predict = ctypes.CDLL(str(folder / "library.so")).emulant_flavor_predict
    final, growth = np.empty((CELLS, 4, 2, 3)), np.empty(CELLS)
    stable, status = np.empty(CELLS, np.uint8), np.empty(CELLS, np.uint8)
    targets = [ctypes.c_void_p(array.ctypes.data) for array in (final, growth, stable, status)]

    def call(f4: np.ndarray, keep: tuple[object, ...] = (final, growth, stable, status)) -> int:
        return int(predict(ctypes.c_size_t(len(f4)), ctypes.c_void_p(f4.ctypes.data), *targets))

    return call


def modules(mixing: object) -> dict[str, object]:
    """Both surrogates as they are exported."""
    from emulant.systems.flavor.exports.modules import module_of
    from emulant.systems.flavor.multitask.emulator import Multitask
    from emulant.systems.flavor.multitask.network import MultitaskNetwork

    multitask = Multitask()
    multitask.flavors, multitask.network = 3, MultitaskNetwork(3, 128, 64, 0.1)
    return {"mixing": module_of(mixing), "multitask": module_of(multitask)}


def export(module: object, path: Path) -> None:
    from emulant.systems.flavor.exports.formats import write_onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_onnx(module, path, 3)

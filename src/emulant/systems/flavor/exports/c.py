"""`--format c`: one C file with the weights inside, its header, a CMake project, and examples in C++ and Fortran."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from emulant.dataset.atomic import write_text
from emulant.dataset.seams import Array
from emulant.systems.flavor.angles import product_grid
from emulant.systems.flavor.fields import COUPLING
from emulant.systems.flavor.mixing import networks
from emulant.systems.flavor.mixing.exchange import BASIS, CORRECTIONS, EQUILIBRIUM, SHARE
from emulant.systems.flavor.mixing.exponential import LN2_HIGH, LN2_LOW, LOG2E
from emulant.systems.flavor.mixing.networks import Layers, Networks
from emulant.systems.flavor.mixing.shapes import FEATURES

FILES = ("emulant_flavor.h", "emulant_flavor.c", "CMakeLists.txt", "emulant_flavor.pc", "example.cpp", "example.f90")
LANES = 8
"""As in the C file: directions are padded to a multiple, with at least one node for a thin crossing."""


def write(weights: Networks, grid: tuple[int, int], flavors: int, folder: Path) -> list[Path]:
    """Write the library for these weights; the files written."""
    filled = {
        "@NF@": str(flavors),
        "@CONSTANTS@": _constants(weights, grid, flavors),
        "@PERCEPTRONS@": "\n\n".join(_perceptron(name, getattr(weights, name)) for name in ("mixing", "growth")),
    }
    written = []
    for name in FILES:
        text = files(__package__).joinpath(name).read_text(encoding="utf-8")
        for token, value in filled.items():
            text = text.replace(token, value)
        written.append(write_text(folder / name, text))
    return written


def digest(weights: Networks) -> str:
    """SHA-256 of all weights, in order, as little-endian float64."""
    layers = [array for name in ("mixing", "growth") for layer in getattr(weights, name) for array in layer]
    arrays = [*layers, weights.mean, weights.deviation, weights.lowest, weights.highest, weights.uncertainty]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array, "<f8").tobytes() for array in arrays)).hexdigest()


def _constants(weights: Networks, grid: tuple[int, int], flavors: int) -> str:
    points, solid = product_grid(*grid)
    spare = (len(points) + LANES) // LANES * LANES - len(points)
    numbers = {
        "NF": flavors,
        "DIRECTIONS": len(points),
        "FEATURES": len(FEATURES),
        "TERMS": len(BASIS),
        "CORRECTIONS": CORRECTIONS,
        "EQUILIBRIUM": EQUILIBRIUM[flavors],
        "SHARE": SHARE[flavors],
        "COUPLING": COUPLING,
        "LOG2E": LOG2E,
        "LN2_HIGH": LN2_HIGH,
        "LN2_LOW": LN2_LOW,
        "LARGEST_FEATURE": networks.LARGEST_FEATURE,
        "LARGEST_CORRECTION": networks.LARGEST_CORRECTION,
        "LARGEST_GROWTH": networks.LARGEST_GROWTH,
    }
    padded = [np.append(points[:, m], np.full(spare, float(m == 2))) for m in range(3)]
    lines = [f"#define {name} {value!r}" for name, value in numbers.items()]
    lines += [f'#define WEIGHTS_SHA256 "{digest(weights)}"', ""]
    lines += [
        _table(name.upper(), getattr(weights, name))
        for name in ("mean", "deviation", "lowest", "highest", "uncertainty")
    ]
    lines += [_table("WEIGHT", np.append(solid, np.zeros(spare)))]
    rows = ",\n".join(_braced(axis) for axis in padded)
    return "\n".join([*lines, f"static const double GRID[3][{len(points) + spare}] = {{\n{rows}}};"])


def _perceptron(name: str, layers: Layers) -> str:
    """Tables of weights and a function that knows their shapes, so that the compiler does too."""
    tables, steps, given = [], [], "x"
    for number, (matrix, bias) in enumerate(layers):
        inputs, outputs = matrix.shape
        weight, constant = f"{name.upper()}_W{number}", f"{name.upper()}_B{number}"
        tables += [_table(weight, np.asarray(matrix).ravel()), _table(constant, bias)]
        last = number == len(layers) - 1
        out = "y" if last else f"h{number}"
        steps += [] if last else [f"double {out}[{outputs}];"]
        steps.append(f"affine({inputs}, {outputs}, {weight}, {constant}, {given}, {out});")
        steps += [] if last else [f"activate({outputs}, {out});"]
        given = out
    body = "\n".join(f"    {step}" for step in steps)
    return "\n".join([*tables, f"WIDE static void {name}(const double *x, double *y)", "{", body, "}"])


def _table(name: str, array: Array) -> str:
    return f"static const double {name}[{np.asarray(array).size}] = {_braced(np.asarray(array))};"


def _braced(array: Array) -> str:
    """Digits enough to read back to the bit; infinite bounds as the largest numbers there are."""
    finite = np.clip(np.asarray(array, dtype=float), -np.finfo(float).max, np.finfo(float).max)
    return "{" + _wrapped([repr(float(value)) for value in finite.ravel()]) + "}"


def _wrapped(words: Sequence[str], width: int = 5) -> str:
    rows = [", ".join(words[first : first + width]) for first in range(0, len(words), width)]
    return ",\n    ".join(rows)

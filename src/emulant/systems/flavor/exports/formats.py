"""The formats of `emulant export` for a run of flavor."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.atomic import replacing, write_text
from emulant.errors import DataError, UsageError
from emulant.systems.flavor.exports import c as library
from emulant.systems.flavor.options import ExportOptions

LOSSES = ("stable", "ndens", "fluxmag", "direction", "growthrate", "unphysical")


def c(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """The C library with its examples, into a folder."""
    surrogate = options.surrogate or "mixing"
    model = run.model(surrogate)
    if not hasattr(model, "networks"):
        raise UsageError(f"--surrogate {surrogate}: `--format c` writes `mixing` only.", "Try `--format onnx`.")
    return library.write(model.networks(), model.grid, _flavors(run), target)


def torchscript(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """`emulant_flavor.pt` for libtorch, with a C++ example, into a folder. Deprecated upstream from torch 2.13 on."""
    import torch

    from emulant.systems.flavor.exports.modules import module_of

    graph = traced(module_of(run.model(options.surrogate or "mixing")), example(_flavors(run)))
    path = target / "emulant_flavor.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(graph, str(partial))
    folder = files(__package__) / "libtorch"
    examples = ("example.cpp", "CMakeLists.txt")
    return [path, *(write_text(target / name, (folder / name).read_text(encoding="utf-8")) for name in examples)]


def onnx(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """`emulant_flavor.onnx`: double F4_initial [N, 4, 2, NF] -> F4_final, growthRate, stable; into a folder."""
    from emulant.systems.flavor.exports.modules import module_of

    path = target / "emulant_flavor.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write_onnx(module_of(run.model(options.surrogate or "mixing")), partial, _flavors(run))
    return [path]


def write_onnx(module: Any, path: Path, flavors: int) -> None:
    """By way of a trace: torch's newer exporter takes minutes for the same graph."""
    import torch

    outputs, cells = ["F4_final", "growthRate", "stable"], example(flavors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced(module, cells),
            (cells,),
            str(path),
            input_names=["F4_initial"],
            output_names=outputs,
            dynamic_axes={name: {0: "N"} for name in ["F4_initial", *outputs]},
            opset_version=18,
            dynamo=False,
        )


def losses(run: Any, splits: Sequence[str], target: Path, options: ExportOptions) -> list[Path]:
    """The curves of a training as a tab-separated file: epoch, per-task loss and largest error, ELN violation, rate."""
    surrogate = options.surrogate or "multitask"
    path = run.folder.events.parent / surrogate / "metrics.csv"
    if not path.is_file():
        raise DataError(f"{path}: is missing.", f"Train `{surrogate}` first: `emulant train`.")
    curves = pl.read_csv(path)
    named = {"epoch": "epoch", "learning_rate": "learning_rate", "validation_eln_violation": "eln_violation"}
    for task in LOSSES:
        named |= {f"train_{task}": f"train_{task}", f"validation_{task}": f"validation_{task}"}
        named |= {f"validation_max_{task}": f"max_{task}"}
    chosen = [pl.col(old).alias(new) for old, new in named.items() if old in curves.columns]
    named_or_all = curves.select(chosen) if len(chosen) > 2 else curves
    return [write_text(target, named_or_all.write_csv(separator="\t"))]


def traced(module: Any, cells: Any) -> Any:
    """A module as a graph."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module.requires_grad_(False), cells, check_trace=False)  # type: ignore[no-untyped-call]


def example(flavors: int) -> Any:
    """Cells to trace with. How many there are does not matter, but every way through must be taken by one.

    Two with a crossing that the grid does not see, a beam of heavy neutrinos; one with a wide crossing; one without.
    """
    import torch

    f4 = np.zeros((4, 4, 2, flavors))
    f4[:, 3, 0, 0], f4[:, 3, 1, 0], f4[:, 3, 0, 1:] = 1.0, 0.5, [[0.02], [0.02], [0.3], [0.0]]
    f4[:, 2, 0, 0], f4[:, 0, 1, 0] = 0.05, 0.02
    beam = np.array([0.3, 0.5, 0.81])
    f4[:, :3, 0, 1:] = 0.95 * (beam / np.sqrt(beam @ beam))[:, None] * f4[:, 3:, 0, 1:]
    return torch.from_numpy(f4)


def _flavors(run: Any) -> int:
    return int(run.dataset("training").geometry["flavors"])

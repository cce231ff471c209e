"""The weights that everything but resume reads: `best.safetensors`, whole by itself. No Lightning is needed for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from emulant.dataset.atomic import write_bytes
from emulant.dataset.seams import Array
from emulant.errors import SurrogateError
from emulant.training.workshop import ABOUT

FITTED = "fitted/"


@dataclass(frozen=True)
class Extras:
    """What `best.safetensors` holds beside the weights, so that it can be used without anything else."""

    about: Mapping[str, Any] = field(default_factory=dict)
    """JSON types, kept in the header."""
    arrays: Mapping[str, Array] = field(default_factory=dict)
    """Numbers that were fitted to the training data: scales, modes."""


def write_weights(path: Path, weights: Mapping[str, Tensor], extras: Extras) -> Path:
    """A safetensors file; equal weights and extras give equal bytes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    plain |= {FITTED + name: torch.tensor(np.asarray(array)) for name, array in extras.arrays.items()}
    # one entry: the order of several is that of a hash table
    return write_bytes(path, save(plain, metadata={ABOUT: json.dumps(dict(extras.about), sort_keys=True)}))


def read_weights(path: Path) -> tuple[dict[str, Tensor], Extras]:
    """What a file of `write_weights` holds.

    Raises:
        SurrogateError: The file is missing, damaged, or holds numbers that are not finite.
    """
    mend = "Train the surrogate again."
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            about: dict[str, Any] = json.loads((file.metadata() or {})[ABOUT])
    except FileNotFoundError:
        raise SurrogateError(f"{path}: is missing.", mend) from None
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise SurrogateError(f"{path}: is not a safetensors file of emulant: {error}.", mend) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise SurrogateError(f"{path}: '{name}' holds values that are not finite.", mend)
    arrays = {name.removeprefix(FITTED): tensors.pop(name).numpy() for name in [*tensors] if name.startswith(FITTED)}
    return tensors, Extras(about, arrays)

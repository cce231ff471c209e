"""The two files of a training: `last.ckpt`, which resume reads, and `best.safetensors`, which everything else reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from emulant.dataset.atomic import replacing, write_bytes
from emulant.errors import SurrogateError

LAST = "last.ckpt"
BEST = "best.safetensors"
KEY = "emulant_key"


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are either whole or not there, and of this very training."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        with replacing(Path(path)) as partial:
            torch.save({**checkpoint, KEY: self.key}, partial)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read `last.ckpt`; nothing in it is ever run.

        Raises:
            SurrogateError: It is damaged, or of another training.
        """
        try:
            checkpoint: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
            key = checkpoint[KEY]
        except Exception as error:  # torn and foreign files end in many kinds: zip, unpickling, key, runtime
            what = f"{path}: is no checkpoint of emulant, or a damaged one."
            raise SurrogateError(what, "Remove it, and training begins anew.") from error
        if key != self.key:
            raise SurrogateError(
                f"{path}: is the checkpoint of a training with other settings or other data.",
                "Restore the study that it belongs to; or remove it, and training begins anew.",
            )
        return checkpoint


def write_weights(path: Path, weights: Mapping[str, Tensor], about: Mapping[str, str]) -> Path:
    """A safetensors file of the weights, with `about` in its header; equal weights give equal bytes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    return write_bytes(path, save(plain, metadata=dict(about)))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights of a safetensors file and what its header says about them.

    Raises:
        SurrogateError: The file is missing, damaged, or holds numbers that are not finite.
    """
    mend = "Train the surrogate again."
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            about = dict(file.metadata() or {})
    except FileNotFoundError:
        raise SurrogateError(f"{path}: is missing.", mend) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise SurrogateError(f"{path}: is not a readable safetensors file: {error}.", mend) from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise SurrogateError(f"{path}: '{name}' holds values that are not finite.", mend)
    return weights, about

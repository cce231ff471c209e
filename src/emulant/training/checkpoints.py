"""`last.ckpt`, the one file that resume reads: whole or not there, and of this very training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from emulant.dataset.atomic import replacing
from emulant.errors import SurrogateError

LAST = "last.ckpt"
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

"""What gas and dark matter look like where no patch is pasted: a transfer function of what lies around halos.

The small halos there have lost gas, too, so their cosmic share of the box would have far too much power.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.dataset.seams import Array, Dataset
from emulant.systems.halos.baselines import identity_maps
from emulant.systems.halos.pasting import MARGIN, Places, fading
from emulant.systems.halos.radii import r200c
from emulant.systems.halos.sight import PIVOT
from emulant.systems.halos.trained import Trained
from emulant.systems.halos.transfer import Transfer

Maps = NDArray[np.float64]


class Around:
    """Training samples without their central halo, which a patch would replace; `Transfer` is fitted to them."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def batches(self, size: int, fields: Sequence[str]) -> Iterator[dict[str, Array]]:
        """As `Dataset.batches`, the maps faded out around the halo; its mass is no feature."""
        geometry = self.dataset.geometry
        pixels, pixel = geometry["resolution"], geometry["scales"][0] / geometry["resolution"]
        distance = pixel * np.hypot(*(np.indices((pixels, pixels)) - pixels // 2))
        for batch in self.dataset.batches(size, fields):
            radius = r200c(batch["halo_mass"])[:, None, None]
            left = 1 - fading(distance, radius, (pixels // 2 - MARGIN) * pixel)
            masses = np.full(len(left), 10.0**PIVOT)
            faded = {"condition": batch["condition"] * left, "target": batch["target"] * left[:, None]}
            yield {**batch, **faded, "halo_mass": masses}


@dataclass(frozen=True)
class Background:
    """A transfer function fitted to what lies around halos."""

    trained: Trained
    transfer: Transfer

    @classmethod
    def of(cls, training: Dataset, trained: Trained) -> Background:
        """Fit to training samples."""
        transfer = Transfer()
        transfer.fit_to(trained, Around(training))
        return cls(trained, transfer)

    def paint(self, dark: Maps, places: Places, parameters: Mapping[str, float]) -> Maps:
        """(3, npix, npix) from the dark-matter-only box (npix, npix): what is outside of patches; no stars."""
        row = {"params": np.array([[*parameters.values()]], float), "halo_mass": np.array([10.0**PIVOT])}
        fields: dict[str, Any] = {**row, "condition": (dark * places.outside)[None]}
        made = self.transfer.applied(fields, self.trained, places.geometry.box_size)[0]
        made[2] = 0.0
        return np.asarray(made)

    def save(self, folder: Path) -> list[Path]:
        return [self.transfer.write(folder / "background.npz")]

    @classmethod
    def load(cls, folder: Path, trained: Trained) -> Background:
        """Raises:
        SurrogateError: The file is missing or damaged.
        """
        transfer = Transfer()
        transfer.read(folder / "background.npz")
        return cls(trained, transfer)


def background_maps(model: Any, dark: Maps, places: Places, parameters: Mapping[str, float]) -> Maps:
    """(3, npix, npix) outside of patches: by the model's own `background` if it has one, else by cosmic shares."""
    background: Background | None = getattr(model, "background", None)
    if background is not None:
        return background.paint(dark, places, parameters)
    fields = {"condition": (dark * places.outside)[None], "params": np.array([[*parameters.values()]], float)}
    return np.asarray(identity_maps(fields, tuple(parameters))[0])

"""What no forecast in a POD basis can exceed: the truth itself, seen through that basis."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from emulant.dataset.seams import Array, Context, Dataset, Fields
from emulant.errors import SurrogateError
from emulant.surrogates.pod import POD
from emulant.surrogates.tables import PODTable


class PODCeiling:
    """An oracle: the true frames projected on the POD basis of the training frames.

    Takes any table that has `energy` and `rank`. It can `follow` a fitted surrogate: then it shows what no forecast in
    that very basis can exceed, whatever rank was tuned.
    """

    Config: ClassVar[type[PODTable]] = PODTable
    lag = 1

    def __init__(self, config: PODTable | None = None) -> None:
        self.config = config or PODTable()
        self._bases: dict[str, POD] = {}

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        for target in train.targets:
            frames = (batch[target] for batch in train.batches(16, [target]))
            rows = (array.reshape(array.shape[0] * array.shape[1], -1) for array in frames)
            self._bases[target] = POD.fit(rows, energy=self.config.energy, rank=self.config.rank)

    def follow(self, surrogate: Any) -> None:
        """Take the basis of a fitted `PodMvar`."""
        self._bases = {surrogate.target: surrogate.basis}

    def forecast_with_truth(self, context: Context, truth: Fields) -> dict[str, Array]:
        """The true target fields (C, H, ...) without what lies outside the basis."""
        if not self._bases:
            raise SurrogateError("pod_ceiling: is not fitted.", "Call `fit` or `load` first.")
        return {target: _through(basis, truth[target]) for target, basis in self._bases.items()}

    def save(self, folder: Path) -> list[Path]:
        """`TARGET.npz` per target field, with the keys of `pod_model.npz`."""
        return [basis.save(folder / f"{target}.npz") for target, basis in self._bases.items()]

    @classmethod
    def load(cls, folder: Path, config: PODTable | None = None) -> Self:
        ceiling = cls(config)
        ceiling._bases = {path.stem: POD.load(path) for path in sorted(folder.glob("*.npz"))}
        if not ceiling._bases:
            raise SurrogateError(f"{folder}: holds no POD basis (*.npz).", "Train again.")
        return ceiling


def _through(basis: POD, fields: Array) -> Array:
    flat = fields.reshape(*fields.shape[:2], -1)
    return basis.decode(basis.encode(flat)).reshape(fields.shape)

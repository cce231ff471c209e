"""What learns and knows no physics, and the one door through which its weights come back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emulant.dataset.npz import names_in, read_arrays
from emulant.dataset.seams import Array
from emulant.errors import DataError, SurrogateError

MEND = "Train the surrogate again."


def read_weights(
    path: Path, axes: Mapping[str, int | None], optional: Mapping[str, int | None] | None = None
) -> dict[str, Array]:
    """The arrays of an npz file that `axes` names, and those of `optional` that it has.

    Args:
        path: The file.
        axes: How many axes each array must have; None: any number.
        optional: The same for arrays that may be absent.

    Raises:
        SurrogateError: The file is missing, damaged or needs pickle, or an array is missing, has another number of
            axes or a value that is not finite. The message names the file and the key.
    """
    wanted = dict(axes)
    try:
        present = names_in(path)
        wanted |= {name: count for name, count in (optional or {}).items() if name in present}
        arrays = read_arrays(path, tuple(wanted))
    except (DataError, OSError) as error:
        raise SurrogateError(getattr(error, "what", f"{path}: {error}."), MEND) from error
    for name, array in arrays.items():
        if wanted[name] not in (None, array.ndim) or array.dtype.kind not in "biuf":
            raise SurrogateError(
                f"{path}: '{name}' is {array.dtype} of shape {array.shape}, not numbers with {wanted[name]} axes.", MEND
            )
        if not np.isfinite(array).all():
            raise SurrogateError(f"{path}: '{name}' holds values that are not finite.", MEND)
    return arrays

"""The one source of random numbers: every stream is a pure function of the study's seed, a purpose and numbers."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

PURPOSES = MappingProxyType(
    {
        "case": 0,
        "rotation": 1,
        "split": 2,
        "training": 3,
        "subsample": 4,
        "bootstrap": 5,
        "rollout": 6,
        "search": 7,
        "simulation": 10,
    }
)
SPLITS = MappingProxyType({"training": 0, "validation": 1, "test": 2, "test_heldout": 3, "test_ood": 4, "test_long": 5})


def sequence(root: int, purpose: str, *numbers: int) -> np.random.SeedSequence:
    """The seed sequence of one purpose: `SeedSequence(root, spawn_key=(purpose, *numbers))`.

    Spawn keys are tuples, so no two purposes, splits or cases can collide, however many there are.
    """
    return np.random.SeedSequence(root, spawn_key=(PURPOSES[purpose], *numbers))


def stream(root: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A generator (PCG64) on `sequence(root, purpose, *numbers)`."""
    return np.random.Generator(np.random.PCG64(sequence(root, purpose, *numbers)))


def case_sequence(root: int, split: str, *case: int) -> np.random.SeedSequence:
    """The seed sequence of a case of a split."""
    return sequence(root, "case", SPLITS[split], *case)


def case_stream(root: int, split: str, *case: int) -> np.random.Generator:
    """The generator of a case of a split."""
    return np.random.Generator(np.random.PCG64(case_sequence(root, split, *case)))

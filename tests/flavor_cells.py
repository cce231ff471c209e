"""Cells for tests: the anchors of the reference, and random, adversarial ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from emulant.dataset.seams import Array
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.mixing.exchange import CORRECTIONS, profile_q
from emulant.systems.flavor.mixing.networks import Networks, predict
from emulant.systems.flavor.mixing.prescription import Outcome, describe, outcome
from emulant.systems.flavor.mixing.shapes import FEATURES
from emulant.systems.flavor.prescriptions import in_chunks


def cell(densities: Any, factors: Any) -> Array:
    """(1, 4, 2, NF) from densities (2, NF) and flux factors (2, NF, 3)."""
    n, f = np.asarray(densities, dtype=float), np.asarray(factors, dtype=float)
    return np.concatenate([np.moveaxis(n[..., None] * f, -1, 0), n[None]])[None]


ANCHOR_A = cell(
    [[0.3, 0.1, 0.1], [0.3, 0.1, 0.1]],
    [[[0, 0, 0.1], [0, 0, 0.5], [0, 0, 0.5]], [[0, 0, 0.4], [0, 0, 0.5], [0, 0, 0.5]]],
)
HEAVY_B = [0, 0.1, 0.3]
ANCHOR_B = cell(
    [[0.35, 0.0625, 0.0625], [0.4, 0.0625, 0.0625]],
    [[[0.1, 0, 0.05], HEAVY_B, HEAVY_B], [[0, 0.2, 0.15], HEAVY_B, HEAVY_B]],
)
ANCHOR_C = cell(
    [[0.4, 0.1, 0.1], [0.2, 0.1, 0.1]],
    [[[0, 0, 0.1], [0, 0, 0.3], [0, 0, 0.3]], [[0, 0, 0.2], [0, 0, 0.3], [0, 0, 0.3]]],
)


def adversarial(rng: np.random.Generator, count: int, flavors: int = 3, equal_heavies: bool = False) -> Array:
    """Beams, isotropic and absent species, vacuum, scales from 1e20 to 1e45, among ordinary cells."""
    n = rng.random((count, 2, flavors)) ** 2
    n *= rng.random(n.shape) > 0.1
    f = 0.98 * rng.random(n.shape) ** rng.choice([0.3, 1.0, 3.0], (count, 1, 1))
    f[rng.random(f.shape) < 0.05] = 1.0
    f[rng.random(f.shape) < 0.05] = 0.0
    alone = rng.random(count) < 0.02
    n[alone] *= np.arange(2 * flavors).reshape(2, flavors) == rng.integers(2 * flavors)
    n[rng.random(count) < 0.005] = 0.0
    direction = rng.normal(size=(count, 3, 2, flavors))
    aligned = rng.random(count) < 0.1
    direction[aligned] = direction[aligned][:, :, :1, :1] * rng.choice([-1.0, 1.0], (aligned.sum(), 1, 2, flavors))
    direction /= np.sqrt(np.sum(direction**2, axis=1, keepdims=True))
    if equal_heavies and flavors == 3:
        for array in (n, f):
            array[..., 2] = array[..., 1]
        direction[..., 2] = direction[..., 1]
    scale = 10.0 ** rng.uniform(20, 45, count)[:, None, None, None]
    return np.concatenate([direction * (f * n)[:, None], n[:, None]], axis=1) * scale


def rotations(rng: np.random.Generator, count: int) -> Array:
    """Proper rotations (count, 3, 3)."""
    turned, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    return turned * np.sign(np.linalg.det(turned))[:, None, None]


def rotated(f4: Array, turn: Array) -> Array:
    """Every cell turned by its rotation."""
    return np.concatenate([np.einsum("cij,cjsa->cisa", turn, f4[:, :3]), f4[:, 3:]], axis=1)


def totals(f4: Array) -> Array:
    """n_tot (C, 1, 1, 1), 1 for vacuum."""
    total = f4[:, 3].sum(axis=(1, 2))[:, None, None, None]
    return np.where(total > 0, total, 1.0)


def random_networks(rng: np.random.Generator, width: int = 32, size: float = 1.0) -> Networks:
    """Networks that have learned nonsense: what holds of them holds of all."""
    features = len(FEATURES)

    def layers(outputs: int) -> list[tuple[Array, Array]]:
        widths = [features, width, width, outputs]
        return [
            (rng.normal(size=pair) * size / np.sqrt(pair[0]), 0.3 * size * rng.normal(size=pair[1]))
            for pair in itertools.pairwise(widths)
        ]

    wide = np.full(features, 10.0)
    mean, deviation = rng.normal(size=features), 1.0 + rng.random(features)
    return Networks(mean, deviation, -wide, wide, layers(CORRECTIONS), layers(1), rng.normal(size=features + 1))


@dataclass(frozen=True)
class Made:
    """A dataset in memory: what a learner needs of one."""

    arrays: dict[str, Array]
    split: str = "training"
    targets: tuple[str, ...] = (F4_FINAL, GROWTH, STABLE)
    families: tuple[str, ...] = ()

    @property
    def cases(self) -> pl.DataFrame:
        count = len(self)
        family = list(self.families) or ["made"] * count
        return pl.DataFrame({"case": range(count), "family": family})

    @property
    def geometry(self) -> dict[str, Any]:
        return {}

    def __len__(self) -> int:
        return len(self.arrays[F4_INITIAL])

    def read(self, fields: Sequence[str], cases: Sequence[int] | None = None) -> dict[str, Array]:
        rows = slice(None) if cases is None else list(cases)
        return {name: self.arrays[name][rows] for name in fields}


@dataclass(frozen=True)
class Given:
    """What an emulator is given."""

    fields: dict[str, Array]


def made_truth(f4: Array) -> dict[str, Array]:
    """Labels of a law that no prescription here has: never called truth but in tests of learning.

    The large side falls off as 1 / (1 + G²/a²)², tilted along the crossing's axis; growth depends on I</I>.
    """
    cells = describe(f4, (12, 16), np)
    shape = cells.shape
    q = profile_q(shape, None, cells.flavors, np)
    odds = q / (1 - q) * np.exp(0.8 * shape.along - 1.5 * shape.brightness * ~shape.is_small)
    factor = np.exp(0.3 - 0.8 * np.sqrt(1 - shape.lesser / (shape.greater + 1e-30)))
    found = outcome(cells, f4, odds / (1 + odds), factor, np)
    return {F4_INITIAL: f4, F4_FINAL: found.final, GROWTH: found.growth, STABLE: found.stable.astype(np.uint8)}


NSM1 = 1e32 * cell(
    [[14.22, 19.65 / 4, 19.65 / 4], [19.15, 19.65 / 4, 19.65 / 4]],
    [
        [[0.0974, 0.0421, -0.1343], [-0.0216, 0.0743, -0.5354], [-0.0216, 0.0743, -0.5354]],
        [[0.0723, 0.0313, -0.3446], [-0.0216, 0.0743, -0.5354], [-0.0216, 0.0743, -0.5354]],
    ],
)
"""A published cell of a neutron-star merger."""


def oracle(f4: Array, weights: Networks) -> Outcome:
    """What `mixing` with these weights says."""
    return in_chunks(lambda part: predict(part, weights, (8, 12), np).outcome, f4)


def expected_error(f4: Array, weights: Networks) -> Array:
    """What `mixing` with these weights says of its own error."""
    parts = [f4[first : first + 128] for first in range(0, len(f4), 128)]
    return np.concatenate([predict(part, weights, (8, 12), np).uncertainty for part in parts])

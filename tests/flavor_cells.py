"""Cells for tests: the anchors of the reference, and random, adversarial ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from emulant.dataset.seams import Array
from emulant.systems.flavor.mixing.exchange import CORRECTIONS
from emulant.systems.flavor.mixing.networks import Networks
from emulant.systems.flavor.mixing.shapes import FEATURES


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

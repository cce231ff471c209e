"""Where cells come from: the samplers. Every cell is drawn from its own stream of random numbers.

`random` alone is nearly always unstable and so teaches nothing about stability; `mixed` is what studies want.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulant.systems.flavor.crossings import margin

Array = NDArray[np.float64]
Generator = np.random.Generator

LARGEST_FACTOR = 0.9
DENSITIES = (1e30, 1e34)
"""1/cm³: n_tot is drawn log-uniformly; everything scales with it."""
OUTSIDE = (1.3, 0.5)
"""Cells like `nsm` with n_ν̄e / n_νe and f_x above these are `ood`: no other sampler makes them."""
SHALLOW = (1e-4, 1e-2)
MIXTURE: Mapping[str, float] = {"random": 0.35, "nsm": 0.30, "shallow": 0.10, "edge": 0.05, "stable": 0.20}
_TRIES = 10_000


class Cell(NamedTuple):
    """A start: four-fluxes (4, 2, 3) in 1/cm³, and the sampler that drew it."""

    f4: Array
    family: str


def draw(sampler: str, generator: Generator) -> Cell:
    """A cell of a sampler; of `mixed`, of one of its parts."""
    if sampler == "mixed":
        sampler = str(generator.choice(list(MIXTURE), p=list(MIXTURE.values())))
    f4 = _SAMPLERS[sampler](generator)
    total = np.exp(generator.uniform(*np.log(DENSITIES)))
    return Cell(f4 / f4[3].sum() * total, sampler)


def _directions(generator: Generator, count: int) -> Array:
    """Evenly over the sphere, (count, 3)."""
    vectors = generator.normal(size=(count, 3))
    return np.asarray(vectors / np.sqrt(np.sum(vectors**2, axis=-1, keepdims=True)))


def _assemble(densities: Array, factors: Array, directions: Array) -> Array:
    """(4, 2, 3) from (νe, ν̄e, νx, ν̄x): densities (4,), flux factors (4,), directions (4, 3); μ and τ are alike."""
    rows = np.concatenate([(densities * factors)[:, None] * directions, densities[:, None]], axis=1)
    f4 = np.empty((4, 2, 3))
    for matter in (0, 1):
        f4[:, matter, 0] = rows[matter]
        f4[:, matter, 1:] = rows[2 + matter][:, None]
    return f4


def _random(generator: Generator) -> Array:
    densities = generator.uniform(size=4)
    return _assemble(densities, generator.uniform(0.0, LARGEST_FACTOR, 4), _directions(generator, 4))


def _merger(generator: Generator, ratio: tuple[float, float]) -> tuple[Array, bool]:
    """A cell as found around a merger remnant, and whether it lies in the region that is kept for `ood`."""
    antineutrinos, heavies = generator.uniform(*ratio), generator.uniform(0.3, 1.5) / 4.0
    while True:
        electron, anti, heavy = generator.uniform((0.05, 0.1, 0.2), (0.3, 0.5, 0.9))
        if electron < anti < heavy:
            break
    axis, opening = _directions(generator, 1)[0], np.radians(generator.uniform(20.0, 60.0))
    directions = np.stack([_within(generator, axis, opening) for _ in range(3)])[[0, 1, 2, 2]]
    densities = np.array([1.0, antineutrinos, heavies, heavies])
    f4 = _assemble(densities, np.array([electron, anti, heavy, heavy]), directions)
    return f4, bool(antineutrinos > OUTSIDE[0] and heavy > OUTSIDE[1])


def _within(generator: Generator, axis: Array, opening: float) -> Array:
    """A direction evenly over the cone of half-angle `opening` about `axis`."""
    cosine, azimuth = generator.uniform(np.cos(opening), 1.0), generator.uniform(0.0, 2.0 * np.pi)
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.sqrt(np.sum(across**2))
    sideways = np.cos(azimuth) * across + np.sin(azimuth) * np.cross(axis, across)
    return np.asarray(cosine * axis + np.sqrt(1.0 - cosine**2) * sideways)


def _until(make: Callable[[], tuple[Array, bool]], wanted: Callable[[Array, bool], bool]) -> Array:
    for _ in range(_TRIES):
        f4, outside = make()
        if wanted(f4, outside):
            return f4
    raise RuntimeError(f"no cell of the wanted kind in {_TRIES} draws")


def _nsm(generator: Generator) -> Array:
    return _until(lambda: _merger(generator, (0.8, 1.6)), lambda _, outside: not outside)


def _ood(generator: Generator) -> Array:
    return _until(lambda: _merger(generator, (0.8, 1.6)), lambda _, outside: outside)


def _stable(generator: Generator) -> Array:
    """Without a crossing: like `random` or, more often, like `nsm` with fewer antineutrinos."""

    def make() -> tuple[Array, bool]:
        return (_random(generator), False) if generator.uniform() < 0.5 else _merger(generator, (0.3, 1.6))

    return _until(make, lambda f4, outside: not outside and margin(f4) == 0.0)


def _shallow(generator: Generator) -> Array:
    """With a margin between 1e-4 and 1e-2: electron antineutrinos of an unstable cell are taken away."""
    wanted = float(np.exp(generator.uniform(*np.log(SHALLOW))))

    def make() -> tuple[Array, bool]:
        f4 = _random(generator) if generator.uniform() < 0.5 else _nsm(generator)
        return _thinned(f4, wanted), False

    return _until(make, lambda f4, _: SHALLOW[0] <= margin(f4) <= SHALLOW[1])


def _thinned(f4: Array, wanted: float) -> Array:
    """The cell with electron antineutrinos scaled, by bisection, until its margin is `wanted` if it can be."""
    low, high = 0.0, 1.0
    for _ in range(20):
        share = 0.5 * (low + high)
        low, high = (low, share) if margin(_scaled(f4, share)) > wanted else (share, high)
    return _scaled(f4, high)


def _scaled(f4: Array, share: float) -> Array:
    thinned = f4.copy()
    thinned[:, 1, 0] *= share
    return thinned


def _edge(generator: Generator) -> Array:
    """What breaks careless code: hardly any flux, a single species, equal shapes, next to beams."""
    kind = generator.integers(4)
    densities, factors = generator.uniform(size=4), generator.uniform(0.0, LARGEST_FACTOR, 4)
    directions = _directions(generator, 4)
    if kind == 0:
        factors *= 10.0 ** generator.uniform(-6.0, -2.0)
    elif kind == 1:
        densities *= np.arange(4) == generator.integers(4)
    elif kind == 2:
        factors[:], directions[:] = factors[0], directions[0]
    else:
        factors = generator.uniform(0.9, 1.0, 4)
    return _assemble(densities, factors, directions)


_SAMPLERS: Mapping[str, Callable[[Generator], Array]] = {
    "random": _random,
    "nsm": _nsm,
    "shallow": _shallow,
    "edge": _edge,
    "stable": _stable,
    "ood": _ood,
}

"""A step of the Vicsek model against the recipe that is passed around for it: a k-d tree and bincount."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.table import Options, Row, Section
from benchmarks.timing import Contest, contest, duration
from emulant.systems.swarm.config import NoiseTable, SystemTable
from emulant.systems.swarm.neighbours import neighbour_sums
from emulant.systems.swarm.vicsek import simulate

Array = NDArray[np.float64]
Sums = Callable[[Array, Array, SystemTable], Array]


def swarm(N: int, L: float, R: float, steps: int, *, eta: float = 0.3) -> SystemTable:
    """A uniform swarm at unit speed, of which only the first and the last frame are kept."""
    return SystemTable(
        N=N, Lx=L, Ly=L, R=R, dt=0.1, T=0.1 * steps, save_every=steps, noise=NoiseTable(eta=eta, kind="uniform")
    )


# -- the recipe ---------------------------------------------------------------------------------------------------


def pair_sums(positions: Array, headings: Array, system: SystemTable) -> Array:
    """Sum of the neighbours' unit vectors, one's own included, from the list of all pairs."""
    tree = cKDTree(positions, boxsize=(system.Lx, system.Ly))
    first, second = tree.query_pairs(system.R, output_type="ndarray").T
    sums = headings.copy()
    for axis in (0, 1):
        sums[:, axis] += np.bincount(first, headings[second, axis], len(positions))
        sums[:, axis] += np.bincount(second, headings[first, axis], len(positions))
    return sums


def matrix_sums(positions: Array, headings: Array, system: SystemTable) -> Array:
    """The same from a sparse matrix of distances, as most tutorials have it."""
    tree = cKDTree(positions, boxsize=(system.Lx, system.Ly))
    distances = tree.sparse_distance_matrix(tree, system.R, output_type="coo_matrix")
    distances.data[:] = 1.0
    return np.asarray(distances.tocsr() @ headings)


def recipe(positions: Array, angles: Array, system: SystemTable, steps: int, sums: Sums = pair_sums) -> Array:
    """`steps` steps; the positions where they end."""
    rng, size = np.random.default_rng(0), np.array([system.Lx, system.Ly])
    noise = system.noise.eta / 2
    for _ in range(steps):
        mean = sums(positions, np.stack([np.cos(angles), np.sin(angles)], axis=1), system)
        angles = np.arctan2(mean[:, 1], mean[:, 0]) + rng.uniform(-noise, noise, len(angles))
        move = system.speed * system.dt * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        positions = (positions + move) % size
        positions[positions >= size] = 0.0  # in floating point -1e-20 % L is L, which the tree refuses
    return positions


# -- the comparison -----------------------------------------------------------------------------------------------


def ours(system: SystemTable) -> tuple[Array, Array]:
    """Positions (2, N, 2) and headings (2, N) of the first and the last frame."""
    trajectory = simulate(system, "uniform", np.random.default_rng(0))
    return trajectory.positions, trajectory.headings


def agreement(N: int, L: float, R: float) -> str:
    """How far the two are apart: the neighbour sums of one state, and five steps without noise."""
    system = swarm(N, L, R, 5, eta=0.0)
    (start, end), angles = ours(system)
    headings = np.stack([np.cos(angles[0]), np.sin(angles[0])], axis=1)
    own, theirs = neighbour_sums(start, headings, R, system.box), pair_sums(start, headings, system)
    apart = np.abs(recipe(start, angles[0], system, 5) - end)
    apart = np.minimum(apart, L - apart).max()
    sums = np.max(np.abs(own - theirs))
    if sums > 1e-12 * max(1.0, np.abs(own).max()):
        raise ArithmeticError(f"the neighbour sums of N = {N}, L = {L:g}, R = {R:g} differ by {sums:g}")
    return f"sums apart {sums:.0e}, 5 steps without noise {apart:.0e}"


def race(N: int, L: float, R: float, steps: int, peer_steps: int, seconds: float) -> Contest:
    """Seconds a step: ours, with everything that `simulate` does; the recipe from the same first frame."""
    system = swarm(N, L, R, steps)
    start, angles = (frames[0] for frames in ours(system))
    peers = {"pairs": pair_sums, "matrix": matrix_sums}
    functions = {name: partial(recipe, start, angles, system, peer_steps, sums) for name, sums in peers.items()}
    found = contest({"ours": partial(ours, system), **functions}, seconds=seconds, rounds=(3, 20))
    per_step = {"ours": steps, "pairs": peer_steps, "matrix": peer_steps}
    return Contest({name: [sample / per_step[name] for sample in found.samples[name]] for name in found.samples})


@dataclass(frozen=True)
class Setting:
    """A swarm to be timed."""

    N: int
    L: float
    R: float
    steps: int
    peer_steps: int
    least_ratio: float | None = None
    """To `pairs`."""
    least_rate: float | None = None
    """Particle-steps per second."""


SETTINGS = (
    Setting(40, 15.0, 2.0, 200, 20),
    Setting(300, 15.0, 2.0, 100, 10),
    Setting(10_000, 100.0, 1.0, 100, 10, least_rate=8e6),
    Setting(100_000, 100_000**0.5, 1.0, 40, 4, least_ratio=10.0, least_rate=8e6),
    Setting(1_000_000, 1000.0, 1.0, 20, 1, least_rate=8e6),
    Setting(10_000, 100.0, 0.3, 100, 10),
    Setting(10_000, 100.0, 3.0, 40, 4),
    Setting(100_000, 100.0, 0.3, 20, 2),
    Setting(100_000, 100.0, 1.0, 20, 2),
    Setting(100_000, 100.0, 3.0, 4, 1),
)


def rows(seconds: float, settings: Sequence[Setting] = SETTINGS) -> Iterator[Row]:
    for setting in settings:
        N, L, R, least = setting.N, setting.L, setting.R, setting.least_ratio
        found = race(N, L, R, setting.steps, setting.peer_steps, seconds)
        what = f"N = {N:,}, L = {L:.4g}, R = {R:g} ({N / L**2 * np.pi * R**2:.2g} in reach)"
        peer = f"cKDTree pairs {found.said('pairs')}, matrix {found.said('matrix')}"
        ratio = found.ratio("pairs")
        target, met = (f"≥ {least:g} x", ratio >= least) if least else ("", None)
        yield Row(what, found.said("ours"), peer, ratio, target, met, agreement(N, L, R))
        if setting.least_rate:
            rate = N / found.median("ours")
            said = f"{rate:.3g} particle-steps/s (max {N / found.least('ours'):.3g})"
            met = rate >= setting.least_rate
            yield Row(f"N = {N:,}, throughput", said, target=f"≥ {setting.least_rate:g}/s", met=met)


def long_case(seconds: float, N: int = 10_000, steps: int = 1000) -> Row:
    """A whole case, alone: density bands form in it, so that its steps are not all alike."""
    found = contest({"ours": partial(ours, swarm(N, N**0.5, 1.0, steps))}, seconds=seconds, rounds=(3, 10))
    median = found.median("ours")
    return Row(f"N = {N:,}, {steps} steps", found.said("ours"), target=f"< {duration(3.0)}", met=median < 3.0)


def run(options: Options) -> Section:
    return Section(
        "A step of the Vicsek model",
        "Time a step, drawing the first frame and the noise included for ours; periodic, unit speed, dt = 0.1, uniform "
        "noise. Peer: `scipy.spatial.cKDTree(boxsize=...)` with `query_pairs` + `bincount` (the ratio is to this one), "
        "and with `sparse_distance_matrix`, from our first frame.",
        [*rows(options.seconds), long_case(options.seconds)],
    )

"""The Vicsek model: every particle takes the mean heading of its neighbours, turned by noise, and moves on.

T. Vicsek et al., Phys. Rev. Lett. 75, 1226 (1995), with the new heading in the move, walls, and optional Morse forces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emulant.errors import SimulationError, UsageError
from emulant.systems.swarm import forces
from emulant.systems.swarm.config import Box, NoiseTable, SystemTable
from emulant.systems.swarm.forces import Morse, sum_forces
from emulant.systems.swarm.initial import confined, positions, unit_vectors
from emulant.systems.swarm.neighbours import Cells, cells_for, fold, inner, sum_within

Array = NDArray[np.float64]
Pair = tuple[float, float]

STILL = 1e-12
"""A mean heading or a velocity shorter than this has no direction; the particle keeps its own."""
BLOCK = 1 << 20
"""Noise angles drawn at a time; one long draw and several short ones give the same numbers."""

REORDER = 8
"""Steps after which the particles are put in the order of the cells again; the results do not depend on it."""


@dataclass(frozen=True)
class Trajectory:
    """A simulated case: T stored frames of N particles."""

    positions: Array
    """(T, N, 2) in the box."""
    headings: Array
    """(T, N) rad, in (-π, π]."""
    speeds: Array
    """(T, N) length per s; v0 throughout unless forces accelerate."""
    times: Array
    """(T,) s."""


class State(NamedTuple):
    """The particles now, (N,) each; the heading as the unit vector (ux, uy)."""

    x: Array
    y: Array
    ux: Array
    uy: Array
    speed: Array
    turn: Array
    """The noise of this step."""
    number: NDArray[np.intp]
    """Who is who: the arrays are kept in the order of the cells, for the processor's cache."""


class Rules(NamedTuple):
    """What a step needs of the study, as compiled kernels take it."""

    dt: float
    radius: float
    every: int
    mobility: float
    steer: bool


class Pull(NamedTuple):
    """Work space of one kind of pair sum: its cells and its (N,) results."""

    cells: Cells
    x: Array
    y: Array


def _pull(particles: int, reach: float, box: Box) -> Pull:
    return Pull(cells_for(particles, reach, box), np.zeros(particles), np.zeros(particles))


@inner  # type: ignore[untyped-decorator]
def _unit(x: float, y: float, else_x: float, else_y: float) -> tuple[float, float]:
    length = math.sqrt(x * x + y * y)
    return (else_x, else_y) if length < STILL else (x / length, y / length)


@inner  # type: ignore[untyped-decorator]
def _velocity(
    mean: Pair, own: Pair, speed: float, turn: float, kick: Pair, dt: float, steer: bool
) -> tuple[float, float, float]:
    """New heading and speed of a particle: neighbours' mean, force, noise. Numbers only, so that it is inlined."""
    px, py = _unit(mean[0], mean[1], own[0], own[1])
    if steer and kick != (0.0, 0.0):
        px, py = _unit(px + kick[0], py + kick[1], own[0], own[1])
    c, s = math.cos(turn), math.sin(turn)
    px, py = c * px - s * py, s * px + c * py
    if steer:
        return px, py, speed
    vx, vy = speed * px + dt * kick[0], speed * py + dt * kick[1]
    px, py = _unit(vx, vy, px, py)
    return px, py, math.sqrt(vx * vx + vy * vy)


@inner  # type: ignore[untyped-decorator]
def _step(state: State, turns: Array, box: Box, rules: Rules, morse: Morse | None, mean: Pull, force: Pull) -> bool:
    """One step of all particles from the old positions; False if one of them moved farther than the box is wide."""
    x, y, ux, uy, speed, turn, number = state
    for i in range(x.size):  # on its own, for the reads are far apart
        turn[i] = turns[number[i]]
    sum_within(rules.radius, x, y, ux, uy, number, box, mean.cells, mean.x, mean.y)
    if morse is not None:
        sum_forces(morse, x, y, ux, uy, number, box, force.cells, force.x, force.y)
    mean_x, mean_y, force_x, force_y = mean.x, mean.y, force.x, force.y
    longest, kick = 0.0, (0.0, 0.0)
    for i in range(x.size):
        if morse is not None:
            kick = (rules.mobility * force_x[i], rules.mobility * force_y[i])
        own = (ux[i], uy[i])
        px, py, pace = _velocity((mean_x[i], mean_y[i]), own, speed[i], turn[i], kick, rules.dt, rules.steer)
        step = rules.dt * pace
        x[i], flip_x = fold(x[i] + step * px, box.Lx, box.periodic)
        y[i], flip_y = fold(y[i] + step * py, box.Ly, box.periodic)
        ux[i], uy[i], speed[i] = flip_x * px, flip_y * py, pace
        longest = max(longest, step)
    return longest <= min(box.Lx, box.Ly)


@inner  # type: ignore[untyped-decorator]
def _take(array: NDArray[Any], order: NDArray[np.intp], spare: NDArray[Any]) -> None:
    for k in range(order.size):
        spare[k] = array[order[k]]
    for k in range(order.size):
        array[k] = spare[k]


@inner  # type: ignore[untyped-decorator]
def _reorder(state: State, cells: Cells) -> None:
    """Keep the particles in the order of the cells, so that neighbours in space are neighbours in memory."""
    for array in (state.x, state.y, state.ux, state.uy, state.speed):
        _take(array, cells.order, state.turn)
    _take(state.number, cells.order, cells.cell)


@inner  # type: ignore[untyped-decorator]
def _store(frame: int, state: State, where: Array, headings: Array, speeds: Array) -> None:
    for i in range(state.x.size):
        n = state.number[i]
        where[frame, n, 0], where[frame, n, 1] = state.x[i], state.y[i]
        headings[frame, n] = math.atan2(state.uy[i], state.ux[i])
        speeds[frame, n] = state.speed[i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _advance(
    state: State,
    turns: Array,
    done: int,
    box: Box,
    rules: Rules,
    morse: Morse | None,
    mean: Pull,
    force: Pull,
    frames: tuple[Array, ...],
) -> int:
    """Take the steps done+1 ... done+len(turns) and store those that are due; the number of steps taken."""
    if done == 0:
        _store(0, state, *frames)
    for k in range(len(turns)):
        if not _step(state, turns[k], box, rules, morse, mean, force):
            return done + k
        step = done + k + 1
        if step % REORDER == 1:
            _reorder(state, mean.cells)
        if step % rules.every == 0 and step // rules.every < len(frames[0]):
            _store(step // rules.every, state, *frames)
    return done + len(turns)


def noise(table: NoiseTable, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """(steps, N) turns in rad."""
    if table.kind == "uniform":
        return rng.uniform(-table.eta / 2, table.eta / 2, shape)
    return rng.normal(0.0, table.sd, shape)


def _start(where: Array, headings: Array, system: SystemTable) -> State:
    N = len(where)
    x, y, ux, uy = (vector.copy() for vector in (*where.T, *unit_vectors(headings).T))
    return State(x, y, ux, uy, np.full(N, system.speed), np.zeros(N), np.arange(N))


def _given(start: tuple[Array, Array], system: SystemTable) -> tuple[Array, Array]:
    where, headings = (np.ascontiguousarray(array, np.float64) for array in start)
    if where.shape != (system.N, 2) or headings.shape != (system.N,):
        raise UsageError(
            f"a start of {len(where)} particles, where the study has {system.N}.", "Give one row for each."
        )
    return confined(where, system.box), headings


def _rules(system: SystemTable) -> Rules:
    table = system.forces
    if table is None:
        return Rules(system.dt, system.R, system.save_every, 0.0, True)
    return Rules(system.dt, system.R, system.save_every, table.mu, table.mode == "steer")


def simulate(
    system: SystemTable,
    family: str,
    rng: np.random.Generator,
    *,
    duration: float | None = None,
    start: tuple[Array, Array] | None = None,
) -> Trajectory:
    """Simulate one case.

    The random numbers are drawn in a fixed order: positions, headings, then N turns per step. A longer case
    therefore begins with the frames of a shorter one, to the bit.

    Args:
        system: The table of the study.
        family: Of the initial positions, see `initial.positions`.
        rng: The case's own stream.
        duration: s; by default `system.T`.
        start: Positions (N, 2), brought into the box, and headings (N,) in rad in place of drawn ones.

    Raises:
        UsageError: The start is not of `system.N` particles.
        SimulationError: The forces have driven a particle across the whole box in one step.
    """
    duration = system.T if duration is None else duration
    steps, shape = system.steps_in(duration), (system.frames_in(duration), system.N)
    frames = np.empty((*shape, 2)), np.empty(shape), np.empty(shape)
    times: Array = (np.arange(shape[0]) * system.save_every) * np.float64(system.dt)
    drawn = positions(family, system, rng), rng.uniform(0, 2 * np.pi, system.N)
    state, rules, table = (
        _start(*(drawn if start is None else _given(start, system)), system),
        _rules(system),
        system.forces,
    )
    morse, reach = (None, system.R) if table is None else (forces.law(table), table.cutoff)
    mean, force = _pull(system.N, system.R, system.box), _pull(system.N, reach, system.box)
    block = max(1, BLOCK // system.N)
    for done in range(0, max(steps, 1), block):
        turns = noise(system.noise, (min(block, steps - done), system.N), rng)
        reached = _advance(state, turns, done, system.box, rules, morse, mean, force, frames)
        if reached < done + len(turns):
            raise SimulationError(
                f"at t = {(reached + 1) * system.dt:g} s a particle moved farther in one step than the box is wide.",
                "Lower system.forces.mu or system.dt.",
            )
    return Trajectory(*frames, times)

"""Oracles of the swarm's physics: plain numpy, every pair, nothing shared with the kernels under test."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def differences(x, box):
    """(N, N, 2) x_i - x_j, at the shortest distance on a torus."""
    d = x[:, None] - x[None]
    if box.periodic:
        size = np.array([box.Lx, box.Ly])
        d -= size * np.round(d / size)
    return d


def sums_within(x, values, radius, box):
    """(N, 2) the sum of the values over all particles within the radius, every pair looked at."""
    near = (differences(x, box) ** 2).sum(-1) <= radius**2
    return np.where(near[..., None], values[None], 0.0).sum(1)


def morse_forces(x, table, box):
    """(N, 2) the sum of the pair forces, every pair looked at."""
    d = differences(x, box)
    distance = np.sqrt((d**2).sum(-1))
    r = np.maximum(distance, 1e-6)
    f = table.Cr / table.lr * np.exp(-r / table.lr) - table.Ca / table.la * np.exp(-r / table.la)
    f[distance > table.rcut_factor * max(table.lr, table.la)] = 0
    return (f[..., None] * d / r[..., None]).sum(1)


def unit(v):
    return v / np.sqrt((v**2).sum(-1, keepdims=True))


def step(x, u, speed, turns, system):
    """One step as the model's page has it: new positions, unit headings, speeds."""
    mean = unit(sums_within(x, u, system.R, system.box))
    force = 0.0 if system.forces is None else system.forces.mu * morse_forces(x, system.forces, system.box)
    steer = system.forces is None or system.forces.mode == "steer"
    aim = unit(mean + force) if steer else mean
    c, s = np.cos(turns), np.sin(turns)
    u = np.stack([c * aim[:, 0] - s * aim[:, 1], s * aim[:, 0] + c * aim[:, 1]], 1)
    v = speed[:, None] * u + (0.0 if steer else system.dt * force)
    x, size = x + system.dt * v, np.array([system.Lx, system.Ly])
    if system.bc == "periodic":
        x = x - size * np.floor(x / size)
    else:
        out = (x < 0) | (x >= size)
        x = np.where(x < 0, -x, np.where(x >= size, 2 * size - x, x))
        v = np.where(out, -v, v)
    return x, unit(v), np.sqrt((v**2).sum(1))


def kernel_sum(x, table, box, images=12):
    """(ny, nx) the sum of Gaussians over all particles and their images, evaluated at the cell centres."""
    h = (table.bandwidth * box.Lx / table.nx, table.bandwidth * box.Ly / table.ny)
    if table.bandwidth_units == "length":
        h = (table.bandwidth, table.bandwidth)

    def axis(centres, x, L, h):
        m = np.arange(-images, images + 1)
        everywhere = x[:, None] + m * L
        if not box.periodic:
            everywhere = np.concatenate([x[:, None] + 2 * m * L, 2 * m * L - x[:, None]], 1)
        return np.exp(-((centres[:, None, None] - everywhere) ** 2) / (2 * h**2)).sum(2) / (h * np.sqrt(2 * np.pi))

    along_x = axis((np.arange(table.nx) + 0.5) * box.Lx / table.nx, x[:, 0], box.Lx, h[0])
    along_y = axis((np.arange(table.ny) + 0.5) * box.Ly / table.ny, x[:, 1], box.Ly, h[1])
    return along_y @ along_x.T


class Scripted:
    """A generator of random numbers that says what it has been told to: positions, headings, and no noise."""

    def __init__(self, positions: Any, headings: Any, box: Any) -> None:
        self.positions = np.asarray(positions, float) / [box.Lx, box.Ly]
        self.headings = np.asarray(headings, float)

    def random(self, shape):
        assert shape == self.positions.shape
        return self.positions

    def uniform(self, low, high, shape):
        return self.headings

    def normal(self, mean, sd, shape):
        return np.zeros(shape)


@pytest.fixture
def brute_sums() -> Callable[..., Any]:
    return sums_within


@pytest.fixture
def brute_forces() -> Callable[..., Any]:
    return morse_forces


@pytest.fixture
def brute_step() -> Callable[..., Any]:
    return step


@pytest.fixture
def brute_density() -> Callable[..., Any]:
    return kernel_sum


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted

"""From initial conditions to today: second-order Lagrangian perturbation theory, then a particle mesh.

Lengths in Mpc/h; momenta p = a² dx/dt in units of H0. Single precision on the mesh; every loop is serial, so that the
bytes do not depend on threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from emulant.dataset.seams import Array
from emulant.systems.halos import mesh
from emulant.systems.halos.cosmology import Cosmology

START = 0.1
"""Scale factor at which the particles begin to move: z = 9."""
SOFTEST = 0.7
"""Of the mesh's Nyquist frequency: forces of finer waves are cut off."""


@dataclass(frozen=True)
class Lattice:
    """n³ particles in a periodic box."""

    n: int
    size: float

    @property
    def sites(self) -> Array:
        """(n³, 3) float32: where the particles would be in a smooth universe, the last axis running fastest.

        They lie half way between nodes of a mesh twice as fine. On its nodes, cloud in cell answers to |displacement|
        instead of displacement, and waves of the lattice grow that should not.
        """
        line = (np.arange(self.n, dtype=np.float32) + np.float32(mesh.OFFSET)) * np.float32(self.size / self.n)
        return np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)

    def wave_numbers(self) -> tuple[Array, Array, Array]:
        """k along each axis of a real transform, shaped to broadcast, float32."""
        whole = (2 * np.pi * fft.fftfreq(self.n, self.size / self.n)).astype(np.float32)
        half = (2 * np.pi * fft.rfftfreq(self.n, self.size / self.n)).astype(np.float32)
        return whole[:, None, None], whole[None, :, None], half[None, None, :]

    def k_squared(self) -> Array:
        """k², with 1 in place of 0 so that one may divide by it."""
        kx, ky, kz = self.wave_numbers()
        squared: Array = kx**2 + ky**2 + kz**2
        squared[0, 0, 0] = 1
        return squared

    def slopes(self) -> tuple[Array, ...]:
        """i k along each axis; 0 at the Nyquist frequency, where a real field has no slope."""
        return tuple(np.where(np.abs(k) < np.abs(k).max() * (1 - 1e-5), 1j * k, 0) for k in self.wave_numbers())


def overdensity(lattice: Lattice, cosmology: Cosmology, rng: np.random.Generator, *, fixed: bool = False) -> Array:
    """Transform of a Gaussian field with the linear power of today, (n, n, n/2+1) complex64.

    Args:
        lattice: Where it lives.
        cosmology: Its power.
        rng: Its phases and amplitudes, the same for every cosmology.
        fixed: Every amplitude is its expectation, only phases are random: power without sample variance.
    """
    n, volume = lattice.n, lattice.size**3
    noise = fft.rfftn(rng.standard_normal((n, n, n), dtype=np.float32))
    if fixed:
        noise *= n**1.5 / np.maximum(np.abs(noise), 1e-12)
    noise *= np.sqrt(_on_mesh(cosmology, np.sqrt(lattice.k_squared())) * n**3 / volume)
    noise[0, 0, 0] = 0
    return np.asarray(noise, dtype=np.complex64)


def _on_mesh(cosmology: Cosmology, k: Array) -> Array:
    """P(k) of every mode, from a table."""
    log_k = np.linspace(np.log(k.min() / 1.01), np.log(k.max() * 1.01), 2000)
    log_power = np.log(cosmology.linear_power(np.exp(log_k)))
    return np.exp(np.interp(np.log(k), log_k, log_power)).astype(np.float32)


def lagrangian(lattice: Lattice, delta: Array) -> tuple[Array, Array]:
    """First- and second-order displacement of today, (n³, 3) float32 each (the second before the factor D²)."""
    shape = (lattice.n,) * 3
    slopes, inverse = lattice.slopes(), 1 / lattice.k_squared()
    potential = delta * inverse

    def back(transform: Array) -> Array:
        return np.asarray(fft.irfftn(transform.astype(np.complex64, copy=False), s=shape))

    def gradient(source: Array) -> Array:
        return np.stack([back(slope * source).ravel() for slope in slopes], axis=-1)

    def tidal(i: int, j: int) -> Array:
        return back(-slopes[i] * slopes[j] * potential)

    diagonal = [tidal(axis, axis) for axis in range(3)]
    source = diagonal[0] * (diagonal[1] + diagonal[2]) + diagonal[1] * diagonal[2]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        source -= tidal(i, j) ** 2
    second = np.float32(3 / 7) * fft.rfftn(source) * inverse
    second[0, 0, 0] = 0
    return gradient(potential), gradient(second)


def evolve(lattice: Lattice, cosmology: Cosmology, delta: Array, *, steps: int, end: float = 1.0) -> Array:
    """Positions (n³, 3) float32 in [0, size) at scale factor `end`, in the order of the lattice.

    Kick, drift, kick; the step factors are those by which linear theory grows exactly, whatever the number of steps
    (Feng et al. 2016, MNRAS 463, 2273).
    """
    first, second = lagrangian(lattice, delta)
    D, momentum = cosmology.growth(START), cosmology.momentum_growth(START)
    positions = lattice.sites + np.float32(D) * first + np.float32(D**2) * second
    momenta = np.float32(momentum) * first + np.float32(2 * D * momentum) * second
    del first, second
    mesh.drift(positions, momenta, 0.0, lattice.size)  # wraps
    times = np.linspace(START, end, steps + 1)
    gravity = _Gravity.of(Lattice(2 * lattice.n, lattice.size), cosmology, len(positions))
    gravity.kick(positions, momenta, _kick(cosmology, times[0], _middle(times, 0), times[0]))
    for step in range(steps):
        now, then = times[step], times[step + 1]
        mesh.drift(positions, momenta, _drift(cosmology, now, then), lattice.size)
        last = _middle(times, step + 1) if step + 1 < steps else then
        gravity.kick(positions, momenta, _kick(cosmology, _middle(times, step), last, then))
    return np.asarray(positions)


def _middle(times: Array, step: int) -> float:
    return 0.5 * float(times[step] + times[step + 1])


def _kick(cosmology: Cosmology, before: float, after: float, at: float) -> float:
    grown = cosmology.momentum_growth(after) - cosmology.momentum_growth(before)
    return grown / (1.5 * cosmology.Omega_m * cosmology.growth(at))


def _drift(cosmology: Cosmology, before: float, after: float) -> float:
    at = 0.5 * (before + after)
    return (cosmology.growth(after) - cosmology.growth(before)) / cosmology.momentum_growth(at)


@dataclass(frozen=True)
class _Gravity:
    """Forces on a mesh twice as fine as the lattice of the particles."""

    grid: Lattice
    response: Array
    """Transform of the potential over that of the counts."""

    @classmethod
    def of(cls, grid: Lattice, cosmology: Cosmology, particles: int) -> _Gravity:
        response = (-1.5 * cosmology.Omega_m * grid.n**3 / particles / grid.k_squared()).astype(np.float32)
        response[0, 0, 0] = 0
        finest = SOFTEST * np.pi * grid.n / grid.size
        response *= np.exp(-((grid.k_squared() / finest**2) ** 2))
        for axis, count in enumerate(response.shape):  # undo the two clouds in cell, of deposit and of kick
            frequencies = fft.rfftfreq(grid.n) if axis == 2 else fft.fftfreq(grid.n)
            window = np.sinc(frequencies).astype(np.float32) ** 4
            response /= window.reshape([count if a == axis else 1 for a in range(3)])
        return cls(grid, response)

    def kick(self, positions: Array, momenta: Array, factor: float) -> None:
        n, spacing = self.grid.n, self.grid.size / self.grid.n
        field = np.zeros((n, n, n), dtype=np.float32)
        mesh.deposit(positions, field, spacing)
        transform = fft.rfftn(field, overwrite_x=True)
        transform *= self.response
        potential = fft.irfftn(transform, s=field.shape, overwrite_x=True)
        forces = np.empty((n, n, n, 3), dtype=np.float32)
        mesh.downhill(potential, spacing, forces)
        mesh.kick(positions, momenta, forces, spacing, factor)

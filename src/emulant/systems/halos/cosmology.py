"""The smooth universe and its linear power spectrum. k in h/Mpc, P in (Mpc/h)³, z = 0, flat, no radiation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from emulant.dataset.seams import Array
from emulant.systems.halos.box import CRITICAL_DENSITY

CMB = 2.7255 / 2.7


@dataclass(frozen=True)
class Cosmology:
    """A flat universe with a cosmological constant."""

    Omega_m: float
    Omega_b: float
    h: float
    sigma8: float
    n_s: float

    @classmethod
    def of(cls, parameters: Mapping[str, float]) -> Cosmology:
        """From parameters as CAMELS spells them."""
        names = ("Omega0", "OmegaBaryon", "HubbleParam", "sigma8", "n_s")
        return cls(*(float(parameters[name]) for name in names))

    @property
    def baryon_fraction(self) -> float:
        return self.Omega_b / self.Omega_m

    @property
    def matter_density(self) -> float:
        """Msun/h per (Mpc/h)³."""
        return self.Omega_m * CRITICAL_DENSITY

    def expansion(self, a: Array | float) -> Array:
        """E = H / H0."""
        return np.sqrt(self.Omega_m * np.asarray(a, dtype=float) ** -3 + 1 - self.Omega_m)

    def growth(self, a: float) -> float:
        """D(a), 1 today (Heath 1977)."""
        return float(self.expansion(a)) * self._growth_integral(a) / self._today

    def momentum_growth(self, a: float) -> float:
        """a³ E dD/da: how the momenta a² dx/dt (in units of H0) of a growing mode grow."""
        E = float(self.expansion(a))
        slope = -1.5 * self.Omega_m * a**-4 / E  # dE/da
        return a**3 * E * (slope * self._growth_integral(a) + E / (a * E) ** 3) / self._today

    @staticmethod
    def _nodes(a: float) -> tuple[Array, Array]:
        x, weights = np.polynomial.legendre.leggauss(64)
        root = 0.5 * np.sqrt(a) * (x + 1)  # a' = root², which is smooth at 0
        return root**2, weights * np.sqrt(a) * root

    def _growth_integral(self, a: float) -> float:
        """int_0^a da / (aE)³."""
        nodes, weights = self._nodes(a)
        return float(np.sum(weights / (nodes * self.expansion(nodes)) ** 3))

    @cached_property
    def _today(self) -> float:
        return self._growth_integral(1.0)

    # -- linear power -------------------------------------------------------------------------------------------

    def linear_power(self, k: Array) -> Array:
        """P(k) today: k^n_s T(k)², scaled to sigma8; 0 at k = 0."""
        k = np.asarray(k, dtype=float)
        power = np.zeros_like(k)
        power[k > 0] = self._amplitude * self._shape(k[k > 0])
        return power

    def _shape(self, k: Array) -> Array:
        return np.asarray(k**self.n_s * transfer(k, self.Omega_m, self.Omega_b, self.h) ** 2)

    @cached_property
    def _amplitude(self) -> float:
        log_k = np.linspace(np.log(1e-4), np.log(50.0), 4000)
        k = np.exp(log_k)
        x = 8 * k
        top_hat = 3 * (np.sin(x) - x * np.cos(x)) / x**3
        variance = np.trapezoid(self._shape(k) * top_hat**2 * k**3, log_k) / (2 * np.pi**2)
        return float(self.sigma8**2 / variance)


def transfer(k: Array, Omega_m: float, Omega_b: float, h: float) -> Array:
    """T(k) with acoustic oscillations: Eisenstein and Hu (1998), ApJ 496, 605, equations 2 to 24. k in h/Mpc."""
    k = np.asarray(k, dtype=float) * h  # in 1/Mpc from here on
    m, b = Omega_m * h**2, Omega_b * h**2
    fraction = Omega_b / Omega_m
    z_eq = 2.5e4 * m * CMB**-4
    k_eq = 0.0746 * m * CMB**-2
    z_drag, sound = _drag(m, b, z_eq, k_eq)
    silk = 1.6 * b**0.52 * m**0.73 * (1 + (10.4 * m) ** -0.95)
    q = k / (13.41 * k_eq)

    alpha_c = ((46.9 * m) ** 0.670 * (1 + (32.1 * m) ** -0.532)) ** -fraction
    alpha_c *= ((12.0 * m) ** 0.424 * (1 + (45.0 * m) ** -0.582)) ** -(fraction**3)
    b1, b2 = 0.944 / (1 + (458 * m) ** -0.708), (0.395 * m) ** -0.0266
    beta_c = 1 / (1 + b1 * ((1 - fraction) ** b2 - 1))
    f = 1 / (1 + (k * sound / 5.4) ** 4)
    cold = f * _pressureless(q, 1.0, beta_c) + (1 - f) * _pressureless(q, alpha_c, beta_c)

    y = (1 + z_eq) / (1 + z_drag)
    root = np.sqrt(1 + y)
    alpha_b = 2.07 * k_eq * sound * (1 + _loading(b, z_drag)) ** -0.75
    alpha_b *= y * (-6 * root + (2 + 3 * y) * np.log((root + 1) / (root - 1)))
    beta_b = 0.5 + fraction + (3 - 2 * fraction) * np.sqrt((17.2 * m) ** 2 + 1)
    node = 8.41 * m**0.435
    shifted = sound / (1 + (node / (k * sound)) ** 3) ** (1 / 3)
    baryons = _pressureless(q, 1.0, 1.0) / (1 + (k * sound / 5.2) ** 2)
    baryons = baryons + alpha_b / (1 + (beta_b / (k * sound)) ** 3) * np.exp(-((k / silk) ** 1.4))
    return np.asarray(fraction * baryons * np.sinc(k * shifted / np.pi) + (1 - fraction) * cold)


def _drag(m: float, b: float, z_eq: float, k_eq: float) -> tuple[float, float]:
    """Redshift of the drag epoch, and the sound horizon then in Mpc."""
    b1 = 0.313 * m**-0.419 * (1 + 0.607 * m**0.674)
    b2 = 0.238 * m**0.223
    z_drag = 1291 * m**0.251 / (1 + 0.659 * m**0.828) * (1 + b1 * b**b2)
    R_drag, R_eq = _loading(b, z_drag), _loading(b, z_eq)
    ratio = (np.sqrt(1 + R_drag) + np.sqrt(R_drag + R_eq)) / (1 + np.sqrt(R_eq))
    return z_drag, float(2 / (3 * k_eq) * np.sqrt(6 / R_eq) * np.log(ratio))


def _loading(b: float, z: float) -> float:
    """Momentum density of baryons over that of photons."""
    return 31.5 * b * CMB**-4 * 1000 / z


def _pressureless(q: Array, alpha: float, beta: float) -> Array:
    C = 14.2 / alpha + 386 / (1 + 69.9 * q**1.08)
    logarithm = np.log(math.e + 1.8 * beta * q)
    return np.asarray(logarithm / (logarithm + C * q**2))

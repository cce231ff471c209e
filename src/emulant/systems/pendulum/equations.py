"""The double pendulum: two point masses on massless rods, in a plane.

Absolute angles θ1, θ2 from the downward vertical, ω = θ̇, Δ = θ1 - θ2, s = sin Δ, c = cos Δ::

    L = ½(m1+m2) l1² ω1² + ½ m2 l2² ω2² + m2 l1 l2 ω1 ω2 c + (m1+m2) g l1 cos θ1 + m2 g l2 cos θ2

(Landau & Lifshitz, Mechanics, §5, problem 1.) The equations of motion hold only three numbers, μ = m2 / (m1+m2),
ρ = l2 / l1 and γ = g / l1; with ν = m1 / (m1+m2) they are::

    (ν + μ s²)   θ̈1 = -μ s (c ω1² + ρ ω2²) - γ (sin θ1 - μ c sin θ2)
    (ν + μ s²) ρ θ̈2 =    s (ω1² + μ ρ c ω2²) + γ (c sin θ1 - sin θ2)

Every formula stands here once: the compiled functions take sines, cosines and numbers, and their plain Python serves
arrays. Arrays of states are (..., 4): θ1, θ2 in rad, ω1, ω2 in rad/s; of parameters (..., 5): l1, l2 in m, m1, m2 in
kg, g in m/s². Their leading axes broadcast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Rates = tuple[Any, Any]

compiled = njit(error_model="numpy")
"""Strict IEEE arithmetic, no contraction into FMA: the same bits on every machine. Division by zero gives inf."""


# -- formulas, for numbers and arrays alike -------------------------------------------------------------------------


@compiled  # type: ignore[untyped-decorator]
def accelerate(s1: Any, c1: Any, s2: Any, c2: Any, w1: Any, w2: Any, mu: Any, nu: Any, rho: Any, gamma: Any) -> Rates:
    """θ̈1, θ̈2 from sines and cosines of both angles, both velocities, and the reduced parameters."""
    s, c = s1 * c2 - c1 * s2, c1 * c2 + s1 * s2
    u1, u2 = w1 * w1, rho * (w2 * w2)
    inverse = 1.0 / (nu + mu * (s * s))
    a1 = -(mu * s * (c * u1 + u2) + gamma * (s1 - mu * c * s2)) * inverse
    a2 = (s * (u1 + mu * c * u2) + gamma * (c * s1 - s2)) * (inverse / rho)
    return a1, a2


@compiled  # type: ignore[untyped-decorator]
def accelerate_tangent(
    s1: Any, c1: Any, s2: Any, c2: Any, w1: Any, w2: Any, mu: Any, nu: Any, rho: Any, gamma: Any
) -> tuple[Rates, tuple[Any, Any, Any, Any], tuple[Any, Any, Any, Any]]:
    """The accelerations and the gradient of each with respect to θ1, θ2, ω1, ω2.

    By the product rule on θ̈ = N / D: δθ̈ = (δN - θ̈ δD) / D.
    """
    s, c = s1 * c2 - c1 * s2, c1 * c2 + s1 * s2
    u1, u2 = w1 * w1, rho * (w2 * w2)
    inverse = 1.0 / (nu + mu * (s * s))
    pull1, pull2 = c * u1 + u2, u1 + mu * c * u2
    a1 = -(mu * s * pull1 + gamma * (s1 - mu * c * s2)) * inverse
    b2 = (s * pull2 + gamma * (c * s1 - s2)) * inverse  # ρ θ̈2
    turn = 2.0 * mu * s * c  # ∂D/∂θ1 = -∂D/∂θ2
    swing1, swing2 = mu * (c * pull1 - s * s * u1), c * pull2 - mu * (s * s) * u2
    of_first = (
        (-swing1 - gamma * (c1 + mu * s * s2) - a1 * turn) * inverse,
        (swing1 + gamma * mu * (s * s2 + c * c2) + a1 * turn) * inverse,
        -turn * w1 * inverse,
        -2.0 * mu * s * rho * w2 * inverse,
    )
    scaled = inverse / rho
    of_second = (
        (swing2 + gamma * (c * c1 - s * s1) - b2 * turn) * scaled,
        (-swing2 + gamma * (s * s1 - c2) + b2 * turn) * scaled,
        2.0 * s * w1 * scaled,
        turn * rho * w2 * scaled,
    )
    return (a1, b2 / rho), of_first, of_second


@compiled  # type: ignore[untyped-decorator]
def reduced_energy(s1: Any, c1: Any, s2: Any, c2: Any, w1: Any, w2: Any, mu: Any, nu: Any, rho: Any, gamma: Any) -> Any:
    """E / ((m1+m2) l1²), 1/s²."""
    kinetic = 0.5 * (w1 * w1 + mu * rho * rho * (w2 * w2)) + mu * rho * (w1 * w2) * (c1 * c2 + s1 * s2)
    return kinetic - gamma * (c1 + mu * rho * c2)


# -- for arrays ---------------------------------------------------------------------------------------------------


def reduced(parameters: Array) -> Array:
    """(..., 4) μ, ν, ρ (1) and γ (1/s²) of (..., 5) parameters."""
    l1, l2, m1, m2, g = np.moveaxis(parameters, -1, 0)
    return np.stack([m2 / (m1 + m2), m1 / (m1 + m2), l2 / l1, g / l1], axis=-1)


def inertia(parameters: Array) -> Array:
    """(...) (m1+m2) l1² in kg m², by which reduced energies are multiplied."""
    inertia: Array = (parameters[..., 2] + parameters[..., 3]) * parameters[..., 0] ** 2
    return inertia


def _arguments(states: Array, parameters: Array) -> tuple[Array, ...]:
    theta1, theta2, w1, w2 = np.moveaxis(states, -1, 0)
    mu, nu, rho, gamma = np.moveaxis(reduced(parameters), -1, 0)
    return np.sin(theta1), np.cos(theta1), np.sin(theta2), np.cos(theta2), w1, w2, mu, nu, rho, gamma


def accelerations(states: Array, parameters: Array) -> Array:
    """(..., 2) θ̈1, θ̈2 in rad/s²."""
    return np.stack(accelerate.py_func(*_arguments(states, parameters)), axis=-1)


def energy(states: Array, parameters: Array) -> Array:
    """(...) J, zero when both rods are level and at rest."""
    energy: Array = inertia(parameters) * reduced_energy.py_func(*_arguments(states, parameters))
    return energy


def energy_scale(parameters: Array) -> Array:
    """(...) (m1+m2) g l1 + m2 g l2 in J: minus the energy of the pendulum that hangs at rest."""
    l1, l2, m1, m2, g = np.moveaxis(parameters, -1, 0)
    scale: Array = (m1 + m2) * g * l1 + m2 * g * l2
    return scale


def mass_matrix(states: Array, parameters: Array) -> Array:
    """(..., 2, 2) M(q) in kg m²; the kinetic energy is ½ ωᵀ M ω, the canonical momenta are p = M ω."""
    l1, l2, m1, m2, _ = np.moveaxis(parameters, -1, 0)
    coupling = m2 * l1 * l2 * np.cos(states[..., 0] - states[..., 1])
    first, second = np.broadcast_arrays((m1 + m2) * l1**2, coupling)[0], np.broadcast_arrays(m2 * l2**2, coupling)[0]
    return np.stack([np.stack([first, coupling], -1), np.stack([coupling, second], -1)], -2)


def momenta(states: Array, parameters: Array) -> Array:
    """(..., 2) canonical momenta p = M(q) ω in kg m²/s."""
    momenta: Array = (mass_matrix(states, parameters) @ states[..., 2:, None])[..., 0]
    return momenta


def jacobian(states: Array, parameters: Array) -> Array:
    """(..., 4, 4) ∂ẏ/∂y of ẏ = (ω1, ω2, θ̈1, θ̈2)."""
    _, first, second = accelerate_tangent.py_func(*_arguments(states, parameters))
    rows = np.stack([np.stack(np.broadcast_arrays(*row), -1) for row in (first, second)], -2)
    kinematic = np.broadcast_to(np.eye(2, 4, 2), rows.shape)
    return np.concatenate([kinematic, rows], axis=-2)

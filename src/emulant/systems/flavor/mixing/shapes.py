"""What of a crossing decides the outcome: the two sides of G(v), as numbers that turn with nothing.

The equations of motion know the angular distributions only through G(v), and its scale only sets the unit of time. So
the features are scale-free functionals of G alone: not densities, not flux factors. They are of "the small side" and
"the large side", never of "plus" and "minus", and so cannot tell neutrinos from antineutrinos or a from b.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

from emulant.systems.flavor.mixing.crossings import Crossings
from emulant.systems.flavor.mixing.exponential import small as tiny_number

FEATURES = (
    "ratio",
    "log_ratio",
    "small_solid_angle",
    "small_along",
    "large_along",
    "across",
    "small_along_squared",
    "large_along_squared",
    "small_tensor",
    "large_tensor",
    "common_tensor",
    "small_flatness",
    "large_flatness",
    "profile_level",
)
PROFILE_STEPS = 6
TINY = 1e-60


@dataclass(frozen=True)
class Shapes:
    """Sides of crossings, rows R of them, or (C, P) in their place; D directions."""

    is_small: Any
    """(R, D): whether a direction is on the small side."""
    squares: Any
    """(R, D): G²."""
    small: Any
    """(R, D): w |G| on the small side, 0 on the other: its sum is I<."""
    large: Any
    """(R, D): likewise, I>."""
    lesser: Any
    """(R,): I<."""
    greater: Any
    """(R,): I>."""
    profile: Any
    """(R,): b = 1/a² of the profile 1 / (1 + b G²), which makes the large side mix as much as the small one."""
    along: Any
    """(R, D): μ = v·d of the axis d from the large side to the small one."""
    brightness: Any
    """(R, D): |G| / (|G| + its mean over the side), in [0, 1)."""
    features: Any
    """(R, F), in the order of `FEATURES`."""


def shapes(crossed: Crossings, xp: Any) -> Shapes:
    """The two sides of every pair."""
    turned = xp.where((crossed.positive <= crossed.negative)[..., None], crossed.lepton, -crossed.lepton)
    weights, v = crossed.weights, crossed.directions
    tiny, faint = tiny_number(TINY, xp), tiny_number(1e-12, xp)
    is_small, squares = turned > 0.0, turned * turned
    small, large = weights * xp.clip(turned, 0.0, None), weights * xp.clip(-turned, 0.0, None)
    small_weights, large_weights = xp.where(is_small, weights, 0.0), xp.where(is_small, 0.0, weights)
    lesser, greater = xp.sum(small, axis=-1), xp.sum(large, axis=-1)
    under, over = lesser + tiny, greater + tiny
    solid_small, solid_large = xp.sum(small_weights, axis=-1), xp.sum(large_weights, axis=-1)
    mean_small, mean_large = lesser / (solid_small + tiny), greater / (solid_large + tiny)
    profile = profile_level(large, squares, lesser, xp)
    low, high = small / under[..., None], large / over[..., None]
    axis, high_mean = _axis(low, high, v, xp)
    along = xp.sum(v * axis[:, None], axis=-1)
    low_tensor, high_tensor = _tensor(low, v, xp), _tensor(high, v, xp)
    low_along, high_along = xp.sum(low * along, axis=-1), xp.sum(high * along, axis=-1)
    features = [
        lesser / over,
        xp.log((lesser + faint) / (greater + faint)),
        solid_small / (4.0 * pi),
        low_along,
        high_along,
        xp.sum(high_mean * high_mean, axis=-1) - high_along * high_along,
        xp.sum(low * along * along, axis=-1),
        xp.sum(high * along * along, axis=-1),
        _contracted(low_tensor, low_tensor, xp),
        _contracted(high_tensor, high_tensor, xp),
        _contracted(low_tensor, high_tensor, xp),
        lesser * mean_small / (xp.sum(small_weights * squares, axis=-1) + tiny),
        greater * mean_large / (xp.sum(large_weights * squares, axis=-1) + tiny),
        1.0 / (1.0 + profile * mean_large * mean_large),
    ]
    mean = xp.where(is_small, mean_small[..., None], mean_large[..., None])
    brightness = xp.abs(turned) / (xp.abs(turned) + mean + tiny)
    return Shapes(is_small, squares, small, large, lesser, greater, profile, along, brightness, xp.stack(features, -1))


def profile_level(large: Any, squares: Any, lesser: Any, xp: Any) -> Any:
    """b >= 0 with Σ w|G| / (1 + b G²) over the large side = I<.

    The reciprocal of the sum is concave in b and not far from a line, so Newton's method on it, from b = 0, rises to
    the root and is within 1e-3 after a few steps; what is left, the balance of the two sides takes up.
    """
    tiny = tiny_number(TINY, xp)
    b = xp.zeros_like(lesser)
    for _ in range(PROFILE_STEPS):
        falling = 1.0 / (1.0 + b[..., None] * squares)
        value = xp.sum(large * falling, axis=-1) + tiny
        slope = xp.sum(large * squares * falling * falling, axis=-1) + tiny
        b = b + xp.clip(value * (value - lesser) / (slope * (lesser + tiny)), 0.0, 1e30)
    return b


def _axis(low: Any, high: Any, v: Any, xp: Any) -> tuple[Any, Any]:
    """The axis from the large side to the small one, (R, 3), and the large side's mean direction."""
    high_mean = _mean(high, v, xp)
    difference = _mean(low, v, xp) - high_mean
    size = xp.sqrt(xp.sum(difference * difference, axis=-1, keepdims=True))
    return difference / xp.where(size > tiny_number(1e-9, xp), size, 1e9), high_mean


def _mean(share: Any, v: Any, xp: Any) -> Any:
    return xp.matmul(share[:, None], v)[:, 0]


def _tensor(share: Any, v: Any, xp: Any) -> Any:
    """Second moments (R, 3, 3)."""
    return xp.matmul(xp.swapaxes(share[..., None] * v, 1, 2), v)


def _contracted(a: Any, b: Any, xp: Any) -> Any:
    return xp.sum(xp.sum(a * b, axis=-1), axis=-1)

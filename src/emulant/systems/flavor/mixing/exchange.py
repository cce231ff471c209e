"""How far each direction mixes, balanced so that no lepton number is made, and what becomes of the four-fluxes.

q(v) in (0, 1) is given for both sides of a crossing. Q = c q min(1, A∓/A±) with A± = ∫ max(±G, 0) q dΩ makes
∫ G Q dΩ = 0: the larger side gives way. Every direction is then mixed by a doubly stochastic matrix, which keeps the
number of each matter state, every lepton number, positivity and |F| <= n.
"""

from __future__ import annotations

from typing import Any

from emulant.systems.flavor.fields import pairs
from emulant.systems.flavor.mixing.crossings import Crossings
from emulant.systems.flavor.mixing.exponential import exponential
from emulant.systems.flavor.mixing.exponential import small as small_number
from emulant.systems.flavor.mixing.shapes import Shapes

EQUILIBRIUM = {2: 1.0 / 2.0, 3: 2.0 / 3.0}
"""q0 of the small side: what leaves a flavor when all NF of them are shared out evenly, 1 - 1/NF."""
SHARE = {2: 1.0, 3: 0.5}
"""c: of two flavors Q_ab is q; of three a direction may mix in two pairs, half each."""
BASIS = ("one", "brightness", "along", "along_squared", "brightness_along")
CORRECTIONS = 2 * len(BASIS) + 1
"""Of the log odds of q, on the basis, for the small and the large side; and of ln b."""


def profile_q(shape: Shapes, corrections: Any, flavors: int, xp: Any) -> Any:
    """q (..., D): q0 on the small side, q0 / (1 + b G²) on the large one, their log odds corrected.

    Corrections are (..., `CORRECTIONS`); None or zeros: the profile itself.
    """
    q0, scaled = EQUILIBRIUM[flavors], shape.profile[..., None] * shape.squares
    scaled = xp.where(shape.is_small, 0.0, scaled)
    if corrections is None:
        return q0 / (1.0 + scaled)
    terms, bright, along = len(BASIS), shape.brightness, shape.along
    basis = xp.stack([xp.ones_like(bright), bright, along, along * along, bright * along], -1)
    scaled = scaled * exponential(corrections[..., -1], xp)[..., None]
    small = xp.matmul(basis, corrections[..., :terms, None])[..., 0]
    large = xp.matmul(basis, corrections[..., terms : 2 * terms, None])[..., 0]
    return q0 / (q0 + (1.0 - q0 + scaled) * exponential(-xp.where(shape.is_small, small, large), xp))


def box3d_q(shape: Shapes, flavors: int, xp: Any) -> Any:
    """Box3D: q0 on the small side, one constant on the large one (Zaizen and Nagakura 2023; Richers et al. 2024)."""
    constant = shape.lesser / xp.where(shape.greater > 0.0, shape.greater, 1.0)
    return EQUILIBRIUM[flavors] * xp.where(shape.is_small, 1.0, constant[..., None])


def balanced(shape: Shapes, q: Any, flavors: int, xp: Any) -> Any:
    """Q (..., D) of q: at most c, and ∫ G Q dΩ = 0."""
    less = xp.sum(shape.small * q, axis=-1)
    more = xp.sum(shape.large * q, axis=-1)
    both = xp.minimum(less, more)
    small = both / xp.where(less > 0.0, less, 1.0)
    large = both / xp.where(more > 0.0, more, 1.0)
    return SHARE[flavors] * q * xp.where(shape.is_small, small[..., None], large[..., None])


def moments(crossed: Crossings, exchanged: Any, xp: Any) -> Any:
    """Four-fluxes (..., 4, 2) that go from a to b, n_tot = 1, when every direction exchanges its share Q (..., D)."""
    weighted = xp.where(crossed.present[..., None], crossed.weights * exchanged, 0.0)
    moved = weighted[..., None, :] * crossed.differences
    flux = xp.swapaxes(xp.matmul(moved, crossed.directions), -2, -1)
    return xp.concatenate([flux, xp.sum(moved, axis=-1)[..., None, :]], -2)


def assembled(moved: Any, flavors: int, xp: Any) -> Any:
    """Change of the four-fluxes (C, 4, 2, NF) by what goes from a to b in every pair, (C, P, 4, 2)."""
    columns: list[Any] = [0.0] * flavors
    for number, (a, b) in enumerate(pairs(flavors)):
        columns[a] = columns[a] - moved[:, number]
        columns[b] = columns[b] + moved[:, number]
    return xp.stack(columns, -1)


def step_to_the_cone(f4: Any, change: Any, xp: Any) -> tuple[Any, Any]:
    """The largest t in [0, 1], (C,), for which f4 + t·change has n >= 0 and |F| <= n in all species; and whether t < 1.

    Along the way n² - |F|² = c0 + 2 c1 t + c2 t², a parabola that starts at c0 >= 0. A linear step keeps every
    conserved sum. It is stopped a billionth early, so that rounding cannot cross the edge.
    """
    n, dn = f4[:, 3], change[:, 3]
    c0 = xp.clip(n * n - _squared(f4, xp), 0.0, None)
    c1 = n * dn - xp.sum(f4[:, :3] * change[:, :3], axis=1)
    c2 = dn * dn - _squared(change, xp)
    root = xp.sqrt(xp.clip(c1 * c1 - c0 * c2, 0.0, None))
    # the smallest root >= 0 of c0 + 2 c1 t + c2 t²; the form without cancellation
    falls = (c1 < 0.0) | ((c2 < 0.0) & (c0 + 2.0 * c1 + c2 < 0.0))
    divisor = xp.where(c1 < 0.0, root - c1, -c2)
    numerator = xp.where(c1 < 0.0, c0, c1 + root)
    crosses = falls & (c1 * c1 - c0 * c2 >= 0.0) & (divisor > 0.0)
    cone = xp.where(crosses, numerator / xp.where(divisor > 0.0, divisor, 1.0), 2.0)
    empty = xp.where(dn < 0.0, n / xp.where(dn < 0.0, -dn, 1.0), 2.0)
    t = xp.amin(xp.minimum(cone, empty), (1, 2))
    short = t < 1.0
    return xp.where(short, t - small_number(1e-9, xp) * t, 1.0), short


def _squared(f4: Any, xp: Any) -> Any:
    flux = f4[:, :3]
    return xp.sum(flux * flux, axis=1)

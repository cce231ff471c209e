"""Names, shapes and units of everything that a flavor dataset holds, and the constants of the physics.

A four-flux F^m has m = x, y, z, t: index 3 is the number density n, indices 0 to 2 are the flux divided by c, all in
1/cm³. Species are (matter, flavor): neutrino or antineutrino; e, μ, τ (NF = 3) or e, x (NF = 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from emulant.dataset.seams import Field

HBAR: Final = 1.05457266e-27
"""erg s."""
LIGHT: Final = 2.99792458e10
"""cm/s."""
COUPLING: Final = 1.925516e-22
"""K = √2 G_F / ħ in cm³/s. K n_tot is the rate that all growth rates are measured by, c / (K n_tot) the length."""

F4_INITIAL: Final = "F4_initial(1|ccm)"
F4_FINAL: Final = "F4_final(1|ccm)"
F4_STDDEV: Final = "F4_final_stddev(1|ccm)"
GROWTH: Final = "growthRate(1|s)"
GROWTH_BOX: Final = "growthRate_box(1|s)"
STABLE: Final = "stable"

SPECIES = ("xyzt", "matter", "flavor")
"""The dimensions of a four-flux: (4, 2, NF)."""

FIELDS: Mapping[str, Field] = {
    F4_INITIAL: Field("<f8", SPECIES, "1/cm³"),
    F4_FINAL: Field("<f8", SPECIES, "1/cm³", optional=True),
    GROWTH: Field("<f8", (), "1/s", optional=True),
    STABLE: Field("|u1", (), "1"),
}
"""What surrogates see (the first) and put out (the others). NaN in a target: no label for this case."""

TARGETS = (F4_FINAL, GROWTH, STABLE)

DIAGNOSTICS: Mapping[str, Field] = {
    F4_STDDEV: Field("<f8", SPECIES, "1/cm³", optional=True),
    GROWTH_BOX: Field("<f8", (), "1/s", optional=True),
    "margin": Field("<f8", (), "1", optional=True),
    "drift": Field("<f8", (), "1", optional=True),
    "axis": Field("<f8", ("xyz",), "1", optional=True),
}
"""What is stored beside, for checks and scores; `Dataset.read` gives it, but no surrogate is shown it. NaN: not known.

F4_final_stddev: spread over the seeds. growthRate_box: the slope seen in the box. margin: I< / (I< + I>), the depth of
the crossing, the largest over the pairs of flavors. drift: rms change, over n_tot, of the final state between the two
halves of its averaging window. axis: unit vector of the box.
"""

OUTCOMES = ("simulated", "stable", "labels_only", "slow", "not_saturated", "not_converged", "given")
"""How a case came by its labels; a column of `Dataset.cases`.

simulated       the box has run, saturated and settled
stable          no crossing: the final state is the initial one
labels_only     linear analysis alone, as `splits.labels_only` asks: no F4_final
slow            would need more than `system.max_steps`: no F4_final
not_saturated   has run, but the instability had not peaked in time: F4_final is not to be trusted
not_converged   has run, but its mean still moved by more than `SETTLED`: F4_final is not to be trusted
given           from a file of the user
"""
EXCLUDED = ("slow", "not_saturated", "not_converged")
"""Outcomes that belong into no score of the final state but their own."""
SETTLED: Final = 0.002
"""Drift, as rms over n_tot, above which a simulation counts as not converged."""
ABSENT: Final = 1e-12
"""A side of a crossing with an integral of at most this, over n_tot, is rounding noise: there is no crossing."""


def pairs(flavors: int) -> tuple[tuple[int, int], ...]:
    """Pairs of flavors that can mix: (e, x), or (e, μ), (e, τ), (μ, τ)."""
    return ((0, 1),) if flavors == 2 else ((0, 1), (0, 2), (1, 2))

"""The learned part: three small networks that see the features of a crossing and correct what is known without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulant.systems.flavor.mixing.exchange import profile_q
from emulant.systems.flavor.mixing.exponential import exponential
from emulant.systems.flavor.mixing.prescription import (
    UNSEEN,
    Described,
    Outcome,
    describe,
    outcome,
    rate,
)
from emulant.systems.flavor.mixing.selection import spread

LARGEST_CORRECTION = 6.0
"""Of log odds."""
LARGEST_GROWTH = 2.5
"""Of ln(γ / K n_tot √(I+ I-)); linear analysis gives -1.7 to 0.4."""
LARGEST_FEATURE = 6.0
"""Standard deviations at which features are clipped: beyond the training's range corrections stay what they are."""

Layers = list[tuple[Any, Any]]
"""Matrices (inputs, outputs) and biases, in order."""


@dataclass(frozen=True)
class Networks:
    """Weights, as arrays of either namespace."""

    mean: Any
    """(F,) of the features in training, and what follows from them likewise."""
    deviation: Any
    lowest: Any
    highest: Any
    """The range outside of which a feature counts as unseen."""
    mixing: Layers
    growth: Layers
    uncertainty: Any
    """(F + 1,): ln of the error over the root of the change, linear in |scaled features|; the last is the constant."""

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Networks:
        """From arrays by name: `mixing.0.weight`, `mixing.0.bias`, ..., `mean`, ..."""
        return cls(
            arrays["mean"],
            arrays["deviation"],
            arrays["lowest"],
            arrays["highest"],
            layers_of(arrays, "mixing"),
            layers_of(arrays, "growth"),
            arrays["uncertainty"],
        )


def layers_of(arrays: Mapping[str, Any], name: str) -> Layers:
    """The layers `NAME.0.weight`, `NAME.0.bias`, `NAME.1.weight` ..."""
    count = sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in arrays)
    return [(arrays[f"{name}.{i}.weight"], arrays[f"{name}.{i}.bias"]) for i in range(count)]


def scaled_features(features: Any, networks: Networks, xp: Any) -> Any:
    scaled = (features - networks.mean) / networks.deviation
    return xp.clip(scaled, -LARGEST_FEATURE, LARGEST_FEATURE)


def corrections(scaled: Any, layers: Layers, xp: Any) -> Any:
    """Of the profile, (..., `exchange.CORRECTIONS`)."""
    return bounded(perceptron(scaled, layers, xp), LARGEST_CORRECTION, xp)


def growth_factor(scaled: Any, layers: Layers, xp: Any) -> Any:
    """γ / (K n_tot √(I+ I-)), (...)."""
    return exponential(bounded(perceptron(scaled, layers, xp)[..., 0], LARGEST_GROWTH, xp), xp)


def perceptron(x: Any, layers: Layers, xp: Any) -> Any:
    """(..., F) -> (..., outputs)."""
    for number, (matrix, bias) in enumerate(layers):
        x = xp.matmul(x, matrix) + bias
        if number < len(layers) - 1:
            x = activation(x, xp)
    return x


def activation(x: Any, xp: Any) -> Any:
    """x (1 + x / √(1 + x²)) / 2: as SiLU, but of square roots only, which every machine rounds alike."""
    return 0.5 * x * (1.0 + x / xp.sqrt(1.0 + x * x))


def bounded(x: Any, bound: float, xp: Any) -> Any:
    """x where it is small, and never beyond the bound."""
    return x / xp.sqrt(1.0 + (x / bound) ** 2)


@dataclass(frozen=True)
class Prediction:
    """An outcome, and how far it is to be trusted."""

    outcome: Outcome
    uncertainty: Any
    """(C,): expected rms error of the final four-fluxes over all components, in n_tot; 0 without crossing."""


def predict(f4: Any, networks: Networks, grid: tuple[int, int], xp: Any) -> Prediction:
    """Everything about cells (C, 4, 2, NF) in 1/cm³."""
    cells = describe(f4, grid, xp)
    scaled = scaled_features(cells.shape.features, networks, xp)
    q = profile_q(cells.shape, corrections(scaled, networks.mixing, xp), cells.flavors, xp)
    found = outcome(cells, f4, q, growth_factor(scaled, networks.growth, xp), xp)
    status = found.status + xp.where(unseen(cells, networks, xp), UNSEEN, 0)
    final = Outcome(found.final, found.growth, found.stable, status)
    return Prediction(final, uncertainty(cells, found, scaled, f4, networks, xp))


def unseen(cells: Described, networks: Networks, xp: Any) -> Any:
    """(C,): whether a crossing has a feature outside the training's range."""
    features = cells.shape.features
    outside = ((features < networks.lowest) | (features > networks.highest)).any(-1)
    return spread(outside, cells.place, xp).any(1)


def uncertainty(cells: Described, found: Outcome, scaled: Any, f4: Any, networks: Networks, xp: Any) -> Any:
    """(C,): the root of the rms change, times what was learned of how far features are from their mean."""
    return exponential(log_error(cells, scaled, networks, xp), xp) * xp.sqrt(rms_change(cells, found, f4, xp))


def log_error(cells: Described, scaled: Any, networks: Networks, xp: Any) -> Any:
    """(C,): ln of the error over the root of the change; of several pairs the mean by their rates."""
    logs = xp.matmul(xp.abs(scaled), networks.uncertainty[:-1]) + networks.uncertainty[-1]
    weight = rate(cells.crossed, xp)
    total = xp.sum(spread(weight, cells.place, xp), axis=1)
    return xp.sum(spread(weight * logs, cells.place, xp), axis=1) / xp.where(total > 0.0, total, 1.0)


def rms_change(cells: Described, found: Outcome, f4: Any, xp: Any) -> Any:
    """(C,) of all components, in n_tot."""
    scale = xp.where(cells.total > 0.0, cells.total, 1.0)[:, None, None, None]
    stable = found.stable[:, None, None, None]
    change = (xp.where(stable, 0.0, found.final) - xp.where(stable, 0.0, f4)) / scale
    return xp.sqrt(xp.mean(change * change, axis=(1, 2, 3)))

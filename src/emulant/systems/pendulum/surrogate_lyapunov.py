"""How chaotic the surrogates are: the largest Lyapunov exponent of a model's own rollout, beside the truth's.

A trained forecaster is a map that is iterated (`flow`). Beside every trajectory runs a second one at distance 1e-7 that
is pulled back to that distance after each step (Benettin, Galgani, Strelcyn, Phys. Rev. A 14, 2338 (1976)); in float64
this agrees with the map's exact derivative to 1e-6, and it costs a tenth. The state of a recurrent network is its
output and its memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.evaluation.forecasts import Start, context
from emulant.systems.pendulum.chaos import are_chaotic
from emulant.systems.pendulum.config import PARAMETERS, PendulumEvaluation
from emulant.systems.pendulum.lyapunov import spectrum

DISTANCE = 1e-7
FASTEST = 50.0
"""rad/s. A rollout that turns faster has left every pendulum; it has no exponent."""
NAMES = ("lyapunov_surrogate", "lyapunov_true", "lyapunov_error")


def probe(name: str, model: Any, dataset: Dataset, evaluation: PendulumEvaluation) -> Mapping[str, Array]:
    """Exponents of a model's rollouts from the end of the context, and of the truth over the same span.

    Measured are the first `surrogate_lyapunov_cases` cases of each group, chaotic and regular. NaN: not measured, or
    the rollout has left |ω| < 50 rad/s.

    Returns:
        `lyapunov_surrogate`, `lyapunov_true` (1/s) and `lyapunov_error`, |λ' - λ| / λ of chaotic cases: (C,) each;
        nothing for a model that is no map, such as the baselines.
    """
    if not hasattr(model, "flow") or not evaluation.surrogate_lyapunov_cases:
        return {}
    chaotic = are_chaotic(dataset, evaluation)
    chosen = _chosen(chaotic, evaluation.surrogate_lyapunov_cases)
    step, cases = float(dataset.geometry["step"]), dataset.cases["case"].to_numpy()[chosen].tolist()
    frames = evaluation.context_frames or round(evaluation.context / step)
    steps = max(1, round(evaluation.surrogate_lyapunov_time / step))
    found = {quantity: np.full(len(dataset), np.nan) for quantity in NAMES}
    exponents = of_model(model, dataset, cases, frames, steps)
    starts = dataset.read(["state"], cases)["state"][:, frames - 1]
    true = spectrum(starts, dataset.cases.select(PARAMETERS).to_numpy()[chosen], steps * step).exponents[:, 0]
    measured = np.isfinite(exponents)
    found["lyapunov_surrogate"][chosen] = exponents
    found["lyapunov_true"][chosen] = np.where(measured, true, np.nan)
    found["lyapunov_error"][chosen] = np.where(chaotic[chosen], np.abs(exponents - true) / true, np.nan)
    return found


def of_model(model: Any, dataset: Dataset, cases: Sequence[int], frames: int, steps: int) -> Array:
    """(C,) 1/s; the largest exponent of each rollout of some cases, NaN where it runs away."""
    flow = model.flow(_twice(context(dataset, cases, Start("", frames - 1))))
    rates, observed = grow(flow, steps)
    with np.errstate(all="ignore"):
        states = flow.decode(observed)[::2]
        bounded = (np.abs(states[..., 2:]) < FASTEST).all(axis=(1, 2))
    exponents: Array = np.where(bounded, rates, np.nan) / float(dataset.geometry["step"])
    return exponents


def grow(flow: Any, steps: int) -> tuple[Array, Array]:
    """Iterate a map of 2 C rows: trajectories and, after each of them, its neighbour.

    Returns:
        (C,) mean logarithm of the neighbour's distance after a step over that before it, NaN if not finite; and
        (2 C, steps, F) what the map said after each step.
    """
    import torch

    from emulant.training.process import threads

    state, observed = flow.state[::2], []
    direction = torch.full_like(state, state.shape[1] ** -0.5)
    total = torch.zeros(len(state), dtype=state.dtype)
    with threads(1), torch.no_grad():
        for _ in range(steps):
            pairs = flow.step(torch.stack([state, state + DISTANCE * direction], dim=1).flatten(0, 1))
            observed.append(flow.observe(pairs))
            state, neighbour = pairs.unflatten(0, (-1, 2)).unbind(1)
            apart = (neighbour - state) / DISTANCE
            length = apart.norm(dim=1, keepdim=True)
            direction, total = apart / length, total + length[:, 0].log()
    rates = (total / steps).numpy()
    return np.where(np.isfinite(rates), rates, np.nan), torch.stack(observed, dim=1).numpy()


def _twice(seen: Context) -> Context:
    fields, parameters = (
        {name: np.repeat(array, 2, axis=0) for name, array in arrays.items()}
        for arrays in (seen.fields, seen.parameters)
    )
    return replace(seen, fields=fields, parameters=parameters)


def _chosen(chaotic: Array, count: int) -> Array:
    """The rows of the first cases, chaotic and regular."""
    first = [np.flatnonzero(group)[:count] for group in (chaotic, ~chaotic)]
    return np.sort(np.concatenate(first))

"""Where chaos lives: the largest Lyapunov exponent over all starts at rest, as a map of both angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from emulant.dataset.seams import Array
from emulant.reporting.figures import WIDTH, Drawing
from emulant.reporting.style import Theme
from emulant.systems.pendulum.config import PARAMETERS
from emulant.systems.pendulum.lanes import advance
from emulant.systems.pendulum.tableau import rk8

POINTS = 90
"""Of each angle."""
LONGEST = 60.0
"""s that each start is followed at most."""
NEAR = 1e-7
"""How far apart the two trajectories of a start begin, and are put again after every stretch."""
STRETCH = 0.5
"""s between two such corrections."""
STEPS = 25
"""Steps of rk8 in a stretch: 0.02 s each, exact to far less than an exponent's own scatter."""
CIRCLES = "#3fcf9f"


def largest_exponents(starts: Array, parameters: Array, time: float) -> Array:
    """(C,) 1/s from two near trajectories of each start (Benettin, Galgani & Strelcyn, Phys. Rev. A 14, 2338 (1976)).

    Cheaper by far than the tangent dynamics of all four vectors, for maps and wherever the first exponent is enough.

    Args:
        starts: (C, 4) rad, rad/s.
        parameters: (C, 5).
        time: s, rounded up to whole stretches of 0.5 s.
    """
    method, stretches = rk8(), int(np.ceil(time / STRETCH))
    state, offset = np.array(starts, dtype=float), np.full((len(starts), 4), NEAR / 2)
    growth, doubled = np.zeros(len(starts)), np.concatenate([parameters, parameters])
    for _ in range(stretches):
        both = advance(np.concatenate([state, state + offset]), doubled, STRETCH, 1, STEPS, method)[:, -1]
        state, offset = both[: len(starts)], both[len(starts) :] - both[: len(starts)]
        length = np.linalg.norm(offset, axis=1)
        growth += np.log(length / NEAR)
        offset *= (NEAR / length)[:, None]
    rates: Array = growth / (stretches * STRETCH)
    return rates


def exponent_map(parameters: Array, time: float, points: int = POINTS) -> Array:
    """(points, points) exponents of starts at rest, θ2 by θ1, in the middles of equal cells of (-π, π).

    Only the half with θ1 > 0 is computed: (-θ1, -θ2) is the mirror image. `points` is even.
    """
    angles = (np.arange(points) + 0.5) * 2 * np.pi / points - np.pi
    theta2, theta1 = np.meshgrid(angles, angles[points // 2 :], indexing="ij")
    starts = np.stack([theta1.ravel(), theta2.ravel(), *np.zeros((2, theta1.size))], axis=1)
    half = largest_exponents(starts, np.tile(parameters, (len(starts), 1)), time).reshape(points, points // 2)
    return np.concatenate([half[::-1, ::-1], half], axis=1)


def draw_map(run: Any) -> Drawing:
    """The map for the parameters of the study, with the test cases that start at rest."""
    dataset = run.dataset(run.test_splits[0])
    parameters = dataset.cases.select(PARAMETERS).median().to_numpy()[0]
    swept = any(dataset.cases[name].n_unique() > 1 for name in PARAMETERS)
    time = min(LONGEST, run.study.evaluation.lyapunov_time)
    exponents = exponent_map(parameters, time)
    starts = dataset.read(["state"])["state"][:, 0]
    resting = np.degrees((starts[(starts[:, 2:] == 0).all(axis=1), :2] + np.pi) % (2 * np.pi) - np.pi)

    def draw(theme: Theme) -> Figure:
        figure = Figure(figsize=(WIDTH, 4.1))
        axes = figure.add_axes((0.13, 0.12, 0.68, 0.81))
        image = axes.imshow(
            exponents, origin="lower", extent=(-180, 180, -180, 180), cmap="magma", vmin=0, interpolation="nearest"
        )
        axes.plot(
            *resting.T, "o", markersize=2.2, markerfacecolor="none", markeredgecolor="#3fcf9f", markeredgewidth=0.6
        )
        axes.set(
            xlabel="θ1 at the start / degrees", ylabel="θ2 at the start / degrees", xlim=(-180, 180), ylim=(-180, 180)
        )
        axes.set_xticks(range(-180, 181, 90))
        axes.set_yticks(range(-180, 181, 90))
        axes.grid(visible=False)
        bar = figure.colorbar(image, cax=figure.add_axes((0.84, 0.12, 0.03, 0.81)))
        bar.set_label("largest exponent / s⁻¹")
        return figure

    above = run.study.evaluation.chaotic_above
    share = float((exponents > above).mean())
    whose = "the medians of the test cases' parameters" if swept else "the study's parameters"
    dots = f" Circles: the {len(resting)} test cases that start at rest." if len(resting) else ""
    return Drawing(
        draw,
        "Where chaos lives",
        f"Largest Lyapunov exponent over {time:g} s of pendulums let go at rest, for {whose}. "
        f"{100 * share:.0f} % of the map lie above {above:g} s⁻¹.{dots}",
        f"Map of Lyapunov exponents over both initial angles: {100 * share:.0f} % above {above:g} per second, "
        f"up to {exponents.max():.2f}; small around the hanging rest",
    )

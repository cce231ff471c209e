"""The swarm to be played with: push particles, and see their density and its forecast part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from emulant.dataset.memory import Unfiled
from emulant.dataset.seams import Array, CaseResult
from emulant.dataset.seeds import stream
from emulant.dataset.tables import Table
from emulant.errors import UsageError
from emulant.evaluation.forecasts import Start, forecast
from emulant.evaluation.metrics import r2, relative_errors
from emulant.play.parts import Action, Answer, Control, Play
from emulant.systems.swarm.config import FAMILIES, Box, SwarmConfig

ACTIONS = ("push", "gather", "scatter", "turn")
"""What a stroke does to the particles within its reach.

push     they go along with it, and head where it went
gather   they move half the way to its end
scatter  they head away from its end
turn     they head where it went, and stay where they are
"""
LONGEST = 300
"""Frames that can be followed."""
NOISE = 1
"""Beside the purpose `simulation`: the noise of what is played, which no case of a dataset has."""

Share = Annotated[float, Field(ge=-0.5, le=1.5)]


class Stroke(Table):
    """From where to where, as shares of the box from its lower left corner; how far it reaches, a length."""

    start: tuple[Share, Share]
    end: tuple[Share, Share]
    reach: Annotated[float, Field(gt=0)]
    does: Literal[ACTIONS]  # type: ignore[valid-type]


class Scene(Table):
    """Particles to begin with (none: a family draws them), a stroke that changes them, and how long they are seen."""

    family: Literal[FAMILIES]  # type: ignore[valid-type]
    number: Annotated[int, Field(ge=0, le=2**31)] = 0
    """Which draw of the family, and which noise."""
    seconds: Annotated[float, Field(gt=0)]
    particles: tuple[tuple[float, float, float], ...] = ()
    """x, y, heading of all, as an answer has given them."""
    stroke: Stroke | None = None


def play(run: Any) -> Play:
    """What the page needs of an opened run."""
    config: SwarmConfig = run.study.config
    system, game = config.system, Game(run)
    step, context = system.frame_step, run.study.context_frames
    least = (context + 5) * step
    length = min(system.Lx, system.Ly)
    return Play(
        title="Swarm",
        hint=f"Draw across the particles on the left to push them. The surrogate sees the first {context} frames after "
        "that (shaded in the charts), then forecasts the density on the right by itself.",
        script=Path(__file__).with_name("play.js"),
        actions={"follow": Action(Scene, game.follow)},
        controls=[
            Control("family", "Initial family", FAMILIES[0], choices=FAMILIES, group="Swarm"),
            Control("number", "Random draw", 0, step=1, group="Swarm"),
            Control("does", "A stroke will", ACTIONS[0], choices=ACTIONS, group="Brush"),
            Control("reach", "Its reach", length / 6, length / 30, length / 2, length / 60, group="Brush"),
            Control(
                "seconds",
                "Follow it for",
                min(max(4 * system.T, least), LONGEST * step),
                least,
                LONGEST * step,
                step,
                unit="s",
                group="Film",
            ),
        ],
        facts={"Lx": system.Lx, "Ly": system.Ly, "periodic": system.box.periodic},
    )


class Game:
    """A run, and what is the same for all that is played with it."""

    def __init__(self, run: Any) -> None:
        self.config: SwarmConfig = run.study.config
        self.geometry = run.study.system.geometry(self.config)
        self.context: int = run.study.context_frames

    def follow(self, model: Any, scene: Scene) -> Answer:
        """Particles (T, N, 3), density (T, ny, nx), its forecast (H, ny, nx), relative error (H,)."""
        from emulant.systems.swarm import density, files, vicsek

        config, system = self.config, self.config.system
        frames = max(round(scene.seconds / system.frame_step), self.context) + 1
        if frames > LONGEST + 1:
            raise UsageError(f"{scene.seconds:g} s are more than {LONGEST} frames.", "Follow it for a shorter time.")
        rng = stream(config.seed, "simulation", NOISE, scene.number)
        duration = (frames - 1) * system.frame_step
        path = vicsek.simulate(system, scene.family, rng, duration=duration, start=self._begin(scene))
        arrays = {
            "positions": path.positions,
            "headings": path.headings,
            "rho": density.density(path.positions, config.density, system.box),
        }
        case = Unfiled.of([CaseResult(0, arrays)], files.FIELDS, ("rho",), self.geometry)
        found = next(forecast(model, case, Start("", self.context - 1)))[1]
        truth = {"rho": arrays["rho"][None, self.context :]}
        with np.errstate(over="ignore", invalid="ignore"):
            error = relative_errors(truth, found, "rho")[0]
            score = float(r2(truth, found, {}, field="rho")[0, -1])
        seen = np.concatenate([path.positions, path.headings[..., None]], axis=2)
        return Answer(
            {"particles": seen, "rho": arrays["rho"], "forecast": found["rho"][0], "error": error},
            {"step": system.frame_step, "context": self.context, "r2": score},
        )

    def _begin(self, scene: Scene) -> tuple[Array, Array] | None:
        """Positions (N, 2) and headings (N,) that a scene begins with; None: as the family draws them."""
        if not scene.particles:
            return None
        particles = np.array(scene.particles)
        if scene.stroke is not None:
            particles = struck(particles, scene.stroke, self.config.system.box)
        return particles[:, :2], particles[:, 2]


def struck(particles: Array, stroke: Stroke, box: Box) -> Array:
    """The particles (N, 3) after a stroke; what has left the box is put back by whoever simulates on."""
    size = np.array([box.Lx, box.Ly])
    way = (np.array(stroke.end) - np.array(stroke.start)) * size
    from_start = _shortest(particles[:, :2] - np.array(stroke.start) * size, box)
    from_end = from_start - way
    near, moved = _to_segment(from_start, way) <= stroke.reach, particles.copy()
    if stroke.does in ("push", "turn") and way.any():
        moved[near, 2] = np.arctan2(way[1], way[0])
    if stroke.does == "push":
        moved[near, :2] += way
    if stroke.does == "gather":
        moved[near, :2] -= from_end[near] / 2
    if stroke.does == "scatter":
        moved[near, 2] = np.arctan2(from_end[near, 1], from_end[near, 0])
    return moved


def _shortest(offsets: Array, box: Box) -> Array:
    """(N, 2) offsets, around a torus where that is nearer."""
    size = np.array([box.Lx, box.Ly])
    return np.asarray(offsets - size * np.round(offsets / size)) if box.periodic else offsets


def _to_segment(offsets: Array, way: Array) -> Array:
    """(N,) how far points, seen from its start, are from the nearest of a segment."""
    square = float(way @ way)
    along = np.clip(offsets @ way / square, 0.0, 1.0) if square else np.zeros(len(offsets))
    found: Array = np.linalg.norm(offsets - along[:, None] * way, axis=1)
    return found

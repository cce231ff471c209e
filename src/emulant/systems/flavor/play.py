"""A cell to be played with: move its fluxes, and see stability, growth and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream
from emulant.dataset.tables import Table
from emulant.play.parts import Action, Answer, Control, Play
from emulant.systems.flavor.config import FlavorConfig
from emulant.systems.flavor.fields import F4_FINAL, GROWTH, STABLE

SPECIES = ("e", "a", "x")
"""νe, ν̄e, and each of the four heavy ones, which are alike."""
LABELS = {"e": "νe", "a": "ν̄e", "x": "νx"}
BEGIN = {"e": (1.0, 0.15, 0.0), "a": (1.15, 0.3, 0.5), "x": (0.3, 0.5, -0.3)}
"""Density, flux factor, direction in rad: a cell beside a merger's remnant."""
AROUND = 180
"""Directions of a picture."""
PRESCRIPTION = "box3d"
PLAYED = 1
"""Beside the purpose `simulation`: the seeds of the box that is run for the page."""

Density = Annotated[float, Field(ge=0.0, le=100.0)]
Factor = Annotated[float, Field(ge=0.0, le=1.0)]
Direction = Annotated[float, Field(ge=-100.0, le=100.0)]


class Cell(Table):
    """Densities relative to each other, flux factors, and directions of the fluxes in the plane of z and x."""

    density_e: Density
    density_a: Density
    density_x: Density
    factor_e: Factor
    factor_a: Factor
    factor_x: Factor
    direction_e: Direction
    direction_a: Direction
    direction_x: Direction
    total: Annotated[float, Field(ge=1e20, le=1e40)] = 1e32
    """1/cm³, all species together."""

    @property
    def f4(self) -> Array:
        """(4, 2, 3) in 1/cm³; an empty cell stays empty."""
        rows = {}
        for name in SPECIES:
            n, f, φ = (getattr(self, f"{part}_{name}") for part in ("density", "factor", "direction"))
            rows[name] = n * np.array([f * np.sin(φ), 0.0, f * np.cos(φ), 1.0])
        made = np.empty((4, 2, 3))
        made[:, 0, 0], made[:, 1, 0], made[:, :, 1:] = rows["e"], rows["a"], rows["x"][:, None, None]
        amount = made[3].sum()
        return made * (self.total / amount) if amount > 0 else made


def play(run: Any) -> Play:
    """What the page needs of an opened run."""
    game = Game(run)
    return Play(
        title="Fast flavor instability",
        hint="Drag the fluxes, or slide densities. Where the electron lepton number changes sign with direction, the "
        "cell is unstable; the bars show what the surrogate and Box3D make of it. Simulate it to see who is right.",
        script=Path(__file__).with_name("play.js"),
        actions={"look": Action(Cell, game.look), "simulate": Action(Cell, game.simulate, slow=True)},
        controls=[
            *(
                Control(f"density_{s}", f"n({LABELS[s]})", BEGIN[s][0], 0.0, 2.0, 0.01, group="Densities, relative")
                for s in SPECIES
            ),
            *(
                Control(f"factor_{s}", f"|F|/n of {LABELS[s]}", BEGIN[s][1], 0.0, 0.95, 0.01, group="Fluxes")
                for s in SPECIES
            ),
            *(
                Control(
                    f"direction_{s}",
                    f"towards, {LABELS[s]}",
                    BEGIN[s][2],
                    -3.1416,
                    3.1416,
                    0.01,
                    unit="rad",
                    group="Fluxes",
                )
                for s in SPECIES
            ),
            Control("total", "All together", 1e32, 1e30, 1e34, log=True, unit="cm⁻³", group="Scale"),
        ],
        facts={"species": list(SPECIES), "labels": [LABELS[s] for s in SPECIES], "around": AROUND},
    )


class Game:
    """A run, and what of it is loaded once."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.config: FlavorConfig = run.study.config

    @cached_property
    def prescription(self) -> Any:
        return self.run.model(PRESCRIPTION)

    def look(self, model: Any, cell: Cell) -> Answer:
        """Distributions and G around the plane of z and x, before and after; densities before and after; what is known.

        `distributions` (3, A) of νe, ν̄e, νx and `g` (2, A), before and after by the model, per n_tot and steradian;
        `densities` (3, 4): before, by the model, by Box3D, of νe, ν̄e, νx, ν̄x over n_tot.
        """
        from emulant.systems.flavor.closure import closure, lepton_numbers
        from emulant.systems.flavor.truth import label

        f4, directions = cell.f4, _directions()
        known = label(f4, self.config.system, None, simulate=False)
        found, simple = _said(model, f4), _said(self.prescription, f4)
        before, after = (closure(each / cell.total).at(directions) for each in (f4, found[F4_FINAL]))
        g = [leptons[0] - leptons[1] for leptons in map(lepton_numbers, (before, after))]
        facts = {
            "unstable": not bool(known.arrays.get(STABLE, 1)) if not known.fault else None,
            "growth": float(known.arrays.get(GROWTH, np.nan)),
            "margin": float(known.arrays.get("margin", np.nan)),
            "fault": known.fault,
            "says_unstable": not bool(found[STABLE]),
            "says_growth": float(found[GROWTH]),
            "uncertainty": float(found.get("uncertainty", np.nan)),
            "prescribed_growth": float(simple[GROWTH]),
        }
        densities = [_densities(each, cell.total) for each in (f4, found[F4_FINAL], simple[F4_FINAL])]
        return Answer(
            {
                "distributions": np.stack([before[0, 0], before[1, 0], before[0, 1]]),
                "g": np.stack(g),
                "densities": np.stack(densities),
            },
            facts,
        )

    def simulate(self, model: Any, cell: Cell) -> Answer:
        """`densities` (1, 4) after the box has saturated, if it has, and how it went."""
        from emulant.systems.flavor.truth import label

        system, seed = self.config.system, self.config.seed

        def streams() -> list[np.random.Generator]:
            return [stream(seed, "simulation", PLAYED, number) for number in range(system.seeds)]

        found = label(cell.f4, system, streams, simulate=True)
        facts = {"outcome": found.outcome, "fault": found.fault, "steps": found.steps, "limit": system.max_steps}
        if F4_FINAL not in found.arrays:
            return Answer({}, facts)
        return Answer({"densities": _densities(np.asarray(found.arrays[F4_FINAL]), cell.total)[None]}, facts)


def _said(model: Any, f4: Array) -> Mapping[str, Array]:
    """What a model says of one cell, as `emulant predict` asks it."""
    from emulant.systems.flavor.predict import predicted

    return {name: column[0] for name, column in predicted(model, f4[None], np.zeros(1, bool)).items()}


def _directions() -> Array:
    """(A, 3) around the plane of z and x, from z on."""
    φ = np.linspace(0.0, 2.0 * np.pi, AROUND, endpoint=False)
    return np.stack([np.sin(φ), np.zeros(AROUND), np.cos(φ)], axis=1)


def _densities(f4: Array, total: float) -> Array:
    """(4,) of νe, ν̄e, νx, ν̄x over n_tot; the heavy ones are one of two."""
    n = f4[3] / total
    return np.array([n[0, 0], n[1, 0], n[0, 1:].mean(), n[1, 1:].mean()])

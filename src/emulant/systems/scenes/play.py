"""Scenes to be played with: pick one, and see it simulated and predicted side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from emulant.dataset.memory import Unfiled
from emulant.dataset.seams import Array, CaseResult
from emulant.dataset.tables import Table
from emulant.errors import UsageError
from emulant.evaluation.forecasts import Start, forecast
from emulant.play.parts import Action, Answer, Control, Play
from emulant.systems.scenes.arrays import padded_states, scene_arrays
from emulant.systems.scenes.catalogue import SCENARIOS, TYPES, make_scene
from emulant.systems.scenes.config import ScenesConfig
from emulant.systems.scenes.scene import FIELDS, FRAME, HEIGHT, STEP, WIDTH, Scene, initial_state, quantised

HARDER = max(scenario.hardest for scenario in SCENARIOS.values())
LONGEST = 300
"""Frames that can be predicted."""


class Picked(Table):
    """A scene, and how many frames after the context are predicted."""

    type: Literal[TYPES]  # type: ignore[valid-type]
    difficulty: Annotated[int, Field(ge=1, le=HARDER)]
    seed: Annotated[int, Field(ge=0, lt=2**53)]
    gravity: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    frames: Annotated[int, Field(ge=1, le=LONGEST)] = 60


def play(run: Any) -> Play:
    """What the page needs of an opened run."""
    config: ScenesConfig = run.study.config
    context = run.study.context_frames
    known = [*config.types_of("training"), *config.system.kept_out]
    types = tuple(dict.fromkeys([*known, *TYPES]))
    return Play(
        title="Scenes",
        hint=f"Pick a type, how hard it is, and a seed. The surrogate sees the first {context} frames (shaded) and "
        "goes on alone. Outlines on the right are where the bodies really are.",
        script=Path(__file__).with_name("play.js"),
        actions={"pick": Action(Picked, Game(run).pick)},
        controls=[
            Control("type", "Type", types[0], choices=types, group="Scene"),
            Control("difficulty", "Difficulty", 2, 1, HARDER, 1, group="Scene"),
            Control("seed", "Seed", 1, step=1, group="Scene"),
            Control("gravity", "Gravity", 1.0, 0.25, 2.0, 0.05, unit="× its own", group="Scene"),
            Control("frames", "Frames to predict", 60, 10, 200, 10, group="Film"),
        ],
        facts={
            "width": WIDTH,
            "height": HEIGHT,
            "trained": [*config.types_of("training")],
            "hardest": config.system.difficulty[1],
        },
    )


class Game:
    """A run, and what is the same for all that is played with it."""

    def __init__(self, run: Any) -> None:
        self.config: ScenesConfig = run.study.config
        self.context: int = run.study.context_frames

    def pick(self, model: Any, picked: Picked) -> Answer:
        """Truth (T, N, 6) from frame 0 on, prediction (H, N, 6), and its error (H,): rms over bodies, px.

        Raises:
            UsageError: The type does not get that difficult.
        """
        from emulant.systems.scenes.simulation import engine, simulate

        hardest = SCENARIOS[picked.type].hardest
        if picked.difficulty > hardest:
            raise UsageError(f"{picked.type} gets no harder than {hardest}.", "Lower the difficulty.")
        settings = engine(self.config.system.substeps, self.config.system.iterations)
        scene = make_scene(picked.type, picked.difficulty, picked.seed, settings, picked.gravity)
        scene = replace(scene, frames=self.context + picked.frames)
        truth = quantised(simulate(scene))
        found = next(forecast(model, self._case(scene, truth), Start("", self.context - 1)))[1]["state"][0]
        found = found[:, : len(scene.bodies)]
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.sqrt(np.square(found - truth[self.context :])[..., :2].sum(axis=2).mean(axis=1))
        return Answer(
            {
                "truth": np.concatenate([initial_state(scene)[None], truth]),
                "forecast": found,
                "error": np.where(np.isnan(error), np.inf, error),
            },
            {"step": STEP, "context": self.context, "description": scene.description, **_drawn(scene)},
        )

    def _case(self, scene: Scene, truth: Array) -> Unfiled:
        state, mask = padded_states([truth])
        arrays = {"state": state[0], "mask": mask[0], **{name: rows[0] for name, rows in scene_arrays([scene]).items()}}
        parameters = {"difficulty": scene.difficulty, "objects": len(scene.bodies)}
        record = {"family": scene.type, "parameters": parameters}
        return Unfiled.of([CaseResult(0, arrays, record)], FIELDS, ("state",), {"step": FRAME})


def _drawn(scene: Scene) -> dict[str, Sequence[Any]]:
    """What a picture shows beside the states."""
    return {
        "bodies": [{"kind": body.kind, "size": body.size} for body in scene.bodies],
        "statics": [{"kind": piece.kind, "points": piece.points, "radius": piece.radius} for piece in scene.statics],
        "joints": [asdict(joint) for joint in scene.joints],
    }

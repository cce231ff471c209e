"""The bound of what can be forecast: the engine itself, set to the last frame that was shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset, Fields
from emulant.dataset.tables import Table
from emulant.systems.scenes.scene import (
    BODY_KINDS,
    FORCE_KINDS,
    JOINT_KINDS,
    STATIC_KINDS,
    Body,
    Engine,
    Force,
    Joint,
    Scene,
    Static,
)

POINTS = {"segment": 2, "circle": 1}


class Resimulate:
    """An oracle: what it lacks is the rounding of the stored state, and the engine's memory of its contacts."""

    Config: ClassVar[type[Table]] = Table
    lag = 1

    def __init__(self, config: Table | None = None) -> None:
        self.config = config or Table()

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Nothing."""

    def forecast_with_truth(self, context: Context, truth: Fields) -> dict[str, Array]:
        """`state` (C, H, N, 6) of the scenes that the headers tell, run on."""
        from emulant.systems.scenes.simulation import simulate

        found: Array = np.zeros(truth["state"].shape)
        for row, last in enumerate(context.fields["state"][:, -1]):
            scene = scene_of(context.static, row)
            there = len(scene.bodies)
            found[row, :, :there] = simulate(scene, found.shape[1], last[:there])
        return {"state": found}

    def save(self, folder: Path) -> list[Path]:
        """Nothing: there are no weights."""
        return []

    @classmethod
    def load(cls, folder: Path, config: Table | None = None) -> Self:
        return cls(config)


def scene_of(fields: Fields, row: int) -> Scene:
    """The scene of one row of a dataset's fields, as the engine needs it; its bodies are at the origin, at rest."""
    one: dict[str, Any] = {name: array[row].tolist() for name, array in fields.items()}
    substeps, iterations = one["engine"]
    return Scene(
        type="",
        category="",
        difficulty=0,
        seed=0,
        description="",
        gravity=tuple(one["gravity"]),
        bodies=tuple(_body(one, i) for i, kind in enumerate(one["body_kind"]) if kind),
        statics=tuple(_static(one, i) for i, kind in enumerate(one["static_kind"]) if kind),
        joints=tuple(_joint(one, i) for i, kind in enumerate(one["joint_kind"]) if kind),
        force=_force(one["force"]),
        engine=Engine(substeps, iterations),
    )


def _body(one: dict[str, Any], i: int) -> Body:
    kind: Any = BODY_KINDS[one["body_kind"][i]]
    material = (one[name][i] for name in ("mass", "moment", "friction", "elasticity"))
    return Body(kind, tuple(one["size"][i]), (0.0, 0.0), (0.0, 0.0), 0.0, 0.0, *material)


def _static(one: dict[str, Any], i: int) -> Static:
    kind: Any = STATIC_KINDS[one["static_kind"][i]]
    points = [tuple(point) for point in one["static_points"][i]]
    distinct = points[: POINTS[kind]] if kind in POINTS else list(dict.fromkeys(points))
    radius, friction, elasticity = (one[f"static_{name}"][i] for name in ("radius", "friction", "elasticity"))
    return Static(kind, tuple(distinct), radius, friction, elasticity, tuple(one["static_velocity"][i]))


def _joint(one: dict[str, Any], i: int) -> Joint:
    kind: Any = JOINT_KINDS[one["joint_kind"][i]]
    anchors = one["joint_anchors"][i]
    ends = tuple(one["joint_bodies"][i])
    return Joint(kind, ends, (tuple(anchors[0]), tuple(anchors[1])), one["joint_distance"][i], one["joint_collide"][i])


def _force(row: list[float]) -> Force | None:
    kind: Any = FORCE_KINDS[int(row[0])]
    return None if kind == "none" else Force(kind, row[1], (row[2], row[3]), row[4])

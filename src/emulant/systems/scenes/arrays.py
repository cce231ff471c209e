"""Scenes as padded arrays: the fields of a dataset that have no time axis. See `scene.FIELDS`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emulant.dataset.seams import Array
from emulant.systems.scenes.scene import (
    BODY_KINDS,
    CORNERS,
    FIELDS,
    FORCE_KINDS,
    JOINT_KINDS,
    STATIC_KINDS,
    Body,
    Joint,
    Scene,
    Static,
)


def scene_arrays(scenes: Sequence[Scene]) -> dict[str, Array]:
    """All fields but `state` and `mask`, first axis = scenes; padded with zeros to the largest of these scenes."""
    rows = [_rows(scene) for scene in scenes]
    padded = {name: _padded([row[name] for row in rows]) for name in rows[0]}
    return {name: array.astype(FIELDS[name].dtype) for name, array in padded.items()}


def _rows(scene: Scene) -> dict[str, Array]:
    force = scene.force
    acting = (
        [0.0] * 5 if force is None else [FORCE_KINDS.index(force.kind), force.strength, *force.centre, force.softening]
    )
    return {
        **_body_rows(scene.bodies),
        **_static_rows(scene.statics),
        **_joint_rows(scene.joints),
        "gravity": np.array(scene.gravity),
        "force": np.array(acting),
        "engine": np.array([scene.engine.substeps, scene.engine.iterations]),
    }


def _body_rows(bodies: Sequence[Body]) -> dict[str, Array]:
    return {
        "body_kind": np.array([BODY_KINDS.index(body.kind) for body in bodies]),
        "size": _shaped([body.size for body in bodies], 2),
        **{
            name: np.array([getattr(body, name) for body in bodies])
            for name in ("mass", "moment", "friction", "elasticity")
        },
    }


def _static_rows(pieces: Sequence[Static]) -> dict[str, Array]:
    corners = [(piece.points + piece.points[-1:] * CORNERS)[:CORNERS] for piece in pieces]
    return {
        "static_kind": np.array([STATIC_KINDS.index(piece.kind) for piece in pieces]),
        "static_points": _shaped(corners, CORNERS, 2),
        "static_radius": np.array([piece.radius for piece in pieces]),
        "static_friction": np.array([piece.friction for piece in pieces]),
        "static_elasticity": np.array([piece.elasticity for piece in pieces]),
        "static_velocity": _shaped([piece.surface_velocity for piece in pieces], 2),
    }


def _joint_rows(joints: Sequence[Joint]) -> dict[str, Array]:
    return {
        "joint_kind": np.array([JOINT_KINDS.index(joint.kind) for joint in joints]),
        "joint_bodies": _shaped([joint.bodies for joint in joints], 2),
        "joint_anchors": _shaped([joint.anchors for joint in joints], 2, 2),
        "joint_distance": np.array([joint.distance for joint in joints]),
        "joint_collide": np.array([joint.collide for joint in joints]),
    }


def _shaped(values: Sequence[Any], *shape: int) -> Array:
    """(len(values), *shape), also where there are none."""
    return np.array(values, dtype=np.float64).reshape(-1, *shape)


def _padded(arrays: Sequence[Array]) -> Array:
    longest = max(len(array) for array in arrays)
    stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]))
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def padded_states(states: Sequence[Array]) -> tuple[Array, Array]:
    """States (T, N, 6) of each scene as one array (C, T, N, 6), and the mask (C, T, N) of bodies that are there."""
    frames, most = len(states[0]), max(state.shape[1] for state in states)
    stacked, mask = np.zeros((len(states), frames, most, 6)), np.zeros((len(states), frames, most), dtype=bool)
    for row, state in enumerate(states):
        stacked[row, :, : state.shape[1]], mask[row, :, : state.shape[1]] = state, True
    return stacked, mask

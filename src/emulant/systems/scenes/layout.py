"""Scenes of any size side by side, without padding: one list of items, one of pairs, one of joints; numpy.

Items are the bodies of all scenes, then what does not move: static pieces, centres of attraction, and the world as the
last one. What does not move has no inverse mass, so the same formulas serve both.
"""

from __future__ import annotations

import numpy as np

from emulant.dataset.seams import Array, Fields
from emulant.systems.scenes.scene import FORCE_KINDS, JOINT_KINDS, STATIC_KINDS

STATIC_FIELDS = (
    *("body_kind", "size", "mass", "moment", "friction", "elasticity"),
    *("static_kind", "static_points", "static_radius", "static_friction", "static_elasticity", "static_velocity"),
    *("joint_kind", "joint_bodies", "joint_anchors", "joint_distance", "joint_collide"),
    *("gravity", "force", "engine"),
)
"""What a scene is, beside its state."""


def layout(fields: Fields) -> dict[str, Array]:
    """What of `STATIC_FIELDS` is there, (C, ...) padded, as the arrays of `flat.Flat`."""
    scene, body = np.nonzero(fields["body_kind"])
    number: Array = np.full(fields["body_kind"].shape, -1)
    number[scene, body] = np.arange(len(scene))
    pieces = _pieces(fields)
    centre_of, centres = _centres(fields)
    bodies, statics = len(scene), len(pieces["scene"])
    world = bodies + statics + len(centres)
    disc = fields["body_kind"][scene, body] == 1
    size = fields["size"][scene, body]
    still = np.zeros(len(centres) + 1)
    joint_scene, joint = np.nonzero(fields["joint_kind"])
    ends = fields["joint_bodies"][joint_scene, joint].T
    ends = np.where(ends < 0, world, number[joint_scene, ends])
    apart = ends[:, ~fields["joint_collide"][joint_scene, joint]]
    pulls = _attractions(fields, number, centre_of, bodies + statics)
    inverse = 1 / np.stack([fields[name][scene, body] for name in ("mass", "mass", "moment")], axis=-1)
    moving = np.zeros((bodies, 2))

    def joined(name: str) -> Array:
        return np.concatenate([fields[name][scene, body], pieces[name], still])

    return {
        "rows": scene * number.shape[1] + body,
        "scene": scene,
        "fixed": np.concatenate([pieces["pose"], np.pad(centres, ((0, 1), (0, 1)))]),
        "core": np.concatenate([size * ~disc[:, None], pieces["core"], np.zeros((len(still), 2))]),
        "radius": np.concatenate([size[:, 0] * disc, pieces["radius"], still]),
        "inverse": np.pad(inverse, ((0, world + 1 - bodies), (0, 0))),
        "friction": joined("friction"),
        "elasticity": joined("elasticity"),
        "surface": np.concatenate([moving, pieces["surface"], np.zeros((len(still), 2))]),
        "gravity": fields["gravity"][scene],
        "substeps": fields["engine"][scene, :1].astype(np.float64),
        "pairs": _pairs(scene, pieces["scene"], bodies, apart, world + 1),
        "joints": ends,
        "anchors": fields["joint_anchors"][joint_scene, joint].swapaxes(0, 1),
        "distance": fields["joint_distance"][joint_scene, joint],
        "pin": fields["joint_kind"][joint_scene, joint] == JOINT_KINDS.index("pin"),
        **pulls,
    }


def _pieces(fields: Fields) -> dict[str, Array]:
    """The static pieces; a polygon is its edges, without thickness."""
    kind, corners = fields["static_kind"], fields["static_points"]
    starts, ends = corners, np.roll(corners, -1, axis=2)
    length = np.linalg.norm(ends - starts, axis=-1)
    shown = length > 0  # (C, S, corners)
    polygon = kind == STATIC_KINDS.index("polygon")
    shown &= polygon[..., None]
    shown[..., 0] |= (kind > 0) & ~polygon
    scene, piece, corner = np.nonzero(shown)
    a, b = starts[scene, piece, corner], ends[scene, piece, corner]
    way = b - a
    thick = np.where(polygon, 0.0, fields["static_radius"])[scene, piece]
    half = 0.5 * np.hypot(way[:, 0], way[:, 1])
    return {
        "scene": scene,
        "pose": np.column_stack([0.5 * (a + b), np.arctan2(way[:, 1], way[:, 0])]),
        "core": np.column_stack([half, np.zeros_like(half)]),
        "radius": thick,
        "friction": fields["static_friction"][scene, piece],
        "elasticity": fields["static_elasticity"][scene, piece],
        "surface": fields["static_velocity"][scene, piece],
    }


def _centres(fields: Fields) -> tuple[Array, Array]:
    """Which centre each scene has (-1: none), and where they are, (K, 2)."""
    central = fields["force"][:, 0] == FORCE_KINDS.index("central")
    number = np.where(central, np.cumsum(central) - 1, -1)
    return number, fields["force"][central][:, 2:4]


def _attractions(fields: Fields, number: Array, centre_of: Array, first: int) -> dict[str, Array]:
    pulled, source, strength, softening = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)], [np.zeros(0)]
    for row in np.flatnonzero(fields["force"][:, 0]):
        _, gm, _, _, epsilon = fields["force"][row]
        own = number[row][number[row] >= 0]
        if centre_of[row] >= 0:
            i, j, pull = own, np.full(len(own), first + centre_of[row]), np.full(len(own), gm)
        else:
            i, j = (index[~np.eye(len(own), dtype=bool)] for index in np.meshgrid(own, own, indexing="ij"))
            pull = gm * fields["mass"][row][j - own[0]]
        pulled.append(i)
        source.append(j)
        strength.append(pull)
        softening.append(np.full(len(i), epsilon**2))
    return {
        "attractions": np.stack([np.concatenate(pulled), np.concatenate(source)]),
        "strength": np.concatenate(strength),
        "softening": np.concatenate(softening),
    }


def _pairs(scene: Array, piece_scene: Array, bodies: int, apart: Array, items: int) -> Array:
    """Body and body, body and static piece of the same scene, without those that a joint keeps from colliding."""
    first, second = [np.zeros(0, int)], [np.zeros(0, int)]
    for own in np.split(np.arange(bodies), np.flatnonzero(np.diff(scene)) + 1):
        i, j = np.triu_indices(len(own), 1)
        pieces = bodies + np.flatnonzero(piece_scene == scene[own[0]]) if len(own) else own
        first += [own[i], np.repeat(own, len(pieces))]
        second += [own[j], np.tile(pieces, len(own))]
    pairs = np.stack([np.concatenate(first), np.concatenate(second)])
    code = np.minimum(*apart) * items + np.maximum(*apart)
    return pairs[:, ~np.isin(pairs[0] * items + pairs[1], code)]

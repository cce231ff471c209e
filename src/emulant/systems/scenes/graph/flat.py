"""The arrays of `layout` as tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from emulant.dataset.seams import Array, Fields
from emulant.systems.scenes.layout import layout


class Flat(NamedTuple):
    """B bodies of several scenes, I items with what does not move, P pairs that may touch, J joints, Q attractions."""

    rows: Tensor
    """(B,) the place of each body in padded arrays (C, N), counted through."""
    scene: Tensor
    """(B,)"""
    fixed: Tensor
    """(I - B, 3) x, y, angle of what does not move."""
    core: Tensor
    """(I, 2) half extents without the radius, px."""
    radius: Tensor
    """(I,)"""
    inverse: Tensor
    """(I, 3) 1/m, 1/m, 1/moment; 0 of what does not move."""
    friction: Tensor
    """(I,)"""
    elasticity: Tensor
    """(I,)"""
    surface: Tensor
    """(I, 2) velocity of the surface itself, px/s."""
    gravity: Tensor
    """(B, 2)"""
    substeps: Tensor
    """(B, 1) of the engine, per frame."""
    pairs: Tensor
    """(2, P) items; the first is a body."""
    joints: Tensor
    """(2, J) items."""
    anchors: Tensor
    """(2, J, 2) in the items' own axes."""
    distance: Tensor
    """(J,) of a pin; 0 of a pivot."""
    pin: Tensor
    """(J,) bool"""
    attractions: Tensor
    """(2, Q): a body, and what pulls it."""
    strength: Tensor
    """(Q,) px³/s²"""
    softening: Tensor
    """(Q,) ε² in px²"""

    @property
    def bodies(self) -> int:
        return len(self.rows)


def only(flat: Flat, chosen: Tensor) -> Flat:
    """The same without the bodies that are not `chosen` (B,), whole scenes; what does not move may stay unused."""
    items = torch.cat([chosen, chosen.new_ones(len(flat.radius) - len(chosen))])
    place = items.cumsum(0) - 1
    kept: dict[str, Tensor] = {name: getattr(flat, name)[chosen] for name in ("rows", "scene", "gravity", "substeps")}
    kept |= {name: getattr(flat, name)[items] for name in ("core", "radius", "inverse", "friction", "elasticity")}
    kept["surface"] = flat.surface[items]
    for name, others in (("pairs", ()), ("joints", ("distance", "pin")), ("attractions", ("strength", "softening"))):
        ends = getattr(flat, name)
        own = items[ends].all(dim=0)
        kept[name] = place[ends[:, own]]
        kept |= {other: getattr(flat, other)[own] for other in others}
        if name == "joints":
            kept["anchors"] = flat.anchors[:, own]
    return flat._replace(**kept)


def flatten(fields: Fields) -> Flat:
    """Scenes (C, ...) of `STATIC_FIELDS`, padded, as one list; float32."""
    return Flat(**{name: _tensor(array) for name, array in layout(fields).items()})


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32 if array.dtype.kind == "f" else None))

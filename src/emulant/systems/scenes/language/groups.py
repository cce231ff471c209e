"""Scenes that are longer than the context: cut into groups of bodies, each shown with its nearest neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emulant.dataset.seams import Array, Fields


class Group(NamedTuple):
    """Bodies of one scene in the order of their document."""

    bodies: Array
    own: int
    """How many of them, the first ones, are continued here; the others only shown."""


def groups(scene: Fields, state: Array, room: int) -> list[Group]:
    """All bodies of a scene, each the own one of just one group; one group if there is room for them all.

    Args:
        scene: Its fields without a time axis.
        state: (N, 6), what nearness is measured in.
        room: How many bodies a document holds.
    """
    count = int((scene["body_kind"] > 0).sum())
    if count <= room:
        return [Group(np.arange(count), count)]
    places = state[:count, :2]
    return [_with_neighbours(own, places, room) for own in _halved(np.arange(count), places, max(1, 2 * room // 3))]


def _halved(bodies: Array, places: Array, most: int) -> list[Array]:
    """Bodies in neighbourhoods of at most `most`, by halving along the longer side."""
    if len(bodies) <= most:
        return [bodies]
    side = int(np.argmax(np.ptp(places[bodies], axis=0)))
    ordered = bodies[np.argsort(places[bodies, side], kind="stable")]
    middle = len(bodies) // 2
    return [*_halved(ordered[:middle], places, most), *_halved(ordered[middle:], places, most)]


def _with_neighbours(own: Array, places: Array, room: int) -> Group:
    others = np.setdiff1d(np.arange(len(places)), own)
    distance = np.linalg.norm(places[others, None] - places[own], axis=-1).min(axis=1)
    return Group(np.concatenate([own, others[np.argsort(distance, kind="stable")][: room - len(own)]]), len(own))

"""Energy and momentum of scenes, with their true masses."""

from __future__ import annotations

import numpy as np

from emulant.dataset.seams import Array, Fields
from emulant.systems.scenes.scene import FORCE_KINDS, STEP


def kinetic(states: Array, fields: Fields) -> Array:
    """(C, H) of states (C, H, N, 6); velocities are taken half a substep back, where they are in step with places.

    The engine moves places with the old velocity: with v as stored, free flight would seem to gain energy.
    """
    half = 0.5 * STEP / fields["engine"][:, 0]
    velocity = states[..., 3:5] - half[:, None, None, None] * fields["gravity"][:, None, None]
    squares = fields["mass"][:, None] * (velocity**2).sum(-1) + fields["moment"][:, None] * states[..., 5] ** 2
    return np.asarray(0.5 * squares.sum(-1))


def potential(states: Array, fields: Fields) -> Array:
    """(C, H) in gravity and in what attracts."""
    mass = fields["mass"][:, None]
    place = states[..., :2]
    found = -(mass * (place * fields["gravity"][:, None, None]).sum(-1)).sum(-1)
    for row in np.flatnonzero(fields["force"][:, 0]):
        found[row] += _attraction(place[row], fields["mass"][row], fields["body_kind"][row] > 0, fields["force"][row])
    return np.asarray(found)


def _attraction(place: Array, mass: Array, there: Array, force: Array) -> Array:
    """(H,) of one scene's places (H, N, 2)."""
    kind, strength, *centre, softening = force
    place, mass = place[:, there], mass[there]
    if FORCE_KINDS[int(kind)] == "central":
        distance = np.sqrt(((place - centre) ** 2).sum(-1) + softening**2)
        return np.asarray(-strength * (mass / distance).sum(-1))
    i, j = np.triu_indices(len(mass), 1)
    distance = np.sqrt(((place[:, i] - place[:, j]) ** 2).sum(-1) + softening**2)
    return np.asarray(-strength * (mass[i] * mass[j] / distance).sum(-1))

"""Scores of forecast scenes. `state` is (C, H, N, 6); padding holds zeros and counts for nothing.

Each function gives (C, H): entry h is the score of a scene over its first h + 1 forecast frames. What the header says
of the scenes comes through `info["headers"]`, see `Headers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from emulant.dataset.seams import Array, Dataset, Fields, Metric
from emulant.systems.scenes.energy import kinetic, potential
from emulant.systems.scenes.layout import STATIC_FIELDS, layout
from emulant.systems.scenes.scene import STEP
from emulant.systems.scenes.touching import Encounters, Layout, encounters, flat_states

Info = Mapping[str, Any]
LIFT = 10.0
"""px by which a scene at rest would have to be lifted for an energy drift of one."""
PIXEL, LOST = 1.0, 5.0
"""px: what counts as hit, and the RMS distance at which a forecast is no longer valid."""


class Headers:
    """The headers of the scenes that are being scored; those of the last piece are remembered."""

    def __init__(self, opened: Callable[[str], Dataset]) -> None:
        self.opened = opened
        self._key: tuple[str, tuple[int, ...]] | None = None
        self._fields: Fields = {}
        self._plan: Layout = {}

    def fields(self, info: Info) -> Fields:
        """`STATIC_FIELDS` of the cases at hand, (C, ...)."""
        self._look_up(info)
        return self._fields

    def plan(self, info: Info) -> Layout:
        """The same as a list of items."""
        self._look_up(info)
        return self._plan

    def _look_up(self, info: Info) -> None:
        split, cases = info["cases"]["split"][0], tuple(info["cases"]["case"].to_list())
        if self._key != (split, cases):
            self._fields = self.opened(split).read(STATIC_FIELDS, cases)
            self._plan, self._key = layout(self._fields), (split, cases)


def _present(info: Info) -> Array:
    """(C, N) bool"""
    return np.asarray(info["headers"].fields(info)["body_kind"] > 0)


def _over_bodies(values: Array, info: Info) -> Array:
    """(C, H, N) -> (C, H): the mean over the bodies that are there; inf where a forecast is not finite."""
    there = _present(info)[:, None]
    counted = np.where(there, np.where(np.isnan(values), np.inf, values), 0.0)
    return np.asarray(counted.sum(-1) / there.sum(-1))


def _so_far(values: Array) -> Array:
    """(C, H): the mean over the frames up to each."""
    return np.asarray(np.cumsum(values, axis=1) / np.arange(1, values.shape[1] + 1))


def _squares(truth: Fields, forecast: Fields, columns: slice) -> Array:
    """(C, H, N) summed over two coordinates; inf where the forecast is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = ((forecast["state"][..., columns] - truth["state"][..., columns]) ** 2).sum(-1)
    return np.where(np.isnan(squares), np.inf, squares)


PLACE, SPEED = slice(0, 2), slice(3, 5)


def position_mse(truth: Fields, forecast: Fields, info: Info) -> Array:
    """Per coordinate, over bodies and frames."""
    return _so_far(_over_bodies(_squares(truth, forecast, PLACE) / 2, info))


def velocity_mse(truth: Fields, forecast: Fields, info: Info) -> Array:
    """Per coordinate, over bodies and frames."""
    return _so_far(_over_bodies(_squares(truth, forecast, SPEED) / 2, info))


def within_1px(truth: Fields, forecast: Fields, info: Info) -> Array:
    """Share of bodies and frames."""
    return _so_far(_over_bodies(np.less(_squares(truth, forecast, PLACE), PIXEL**2), info))


def valid_time(truth: Fields, forecast: Fields, info: Info) -> Array:
    """s until the root of the mean squared distance first exceeds `LOST`."""
    good = np.logical_and.accumulate(_over_bodies(_squares(truth, forecast, PLACE), info) <= LOST**2, axis=1)
    return np.asarray(np.cumsum(good, axis=1) * STEP)


def coverage(truth: Fields, forecast: Fields, info: Info) -> Array:
    """Share of bodies and frames that were put out as numbers."""
    missing = np.any(~np.isfinite(forecast["state"]), axis=-1, keepdims=True)[..., 0]
    return _so_far(_over_bodies(1.0 - missing, info))


def energy_drift(truth: Fields, forecast: Fields, info: Info) -> Array:
    """|E - E of the truth| over the truth's largest kinetic energy and the spread of its potential.

    What hardly moves is measured by its weight instead: the rounding of a place in a scene at rest is no drift.
    """
    fields = info["headers"].fields(info)
    motion, height = kinetic(truth["state"], fields), potential(truth["state"], fields)
    weight = fields["mass"].sum(axis=1) * np.linalg.norm(fields["gravity"], axis=1)
    scale = np.maximum(motion.max(axis=1) + np.ptp(height, axis=1), LIFT * weight + fields["mass"].sum(axis=1))
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(kinetic(forecast["state"], fields) + potential(forecast["state"], fields) - motion - height)
    return _so_far(np.where(np.isnan(off), np.inf, off) / scale[:, None])


def momentum_drift(truth: Fields, forecast: Fields, info: Info) -> Array:
    """‖Σ m (v - v of the truth)‖ / Σ m |v|; the denominator is that of 1 px/s at least."""
    mass = info["headers"].fields(info)["mass"][:, None]
    actual = truth["state"][..., SPEED]
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.linalg.norm((mass[..., None] * (forecast["state"][..., SPEED] - actual)).sum(2), axis=-1)
    amount = (mass * np.linalg.norm(actual, axis=-1).clip(1.0)).sum(-1)
    return _so_far(np.where(np.isnan(off), np.inf, off) / amount)


def contact_f1(truth: Fields, forecast: Fields, info: Info) -> Array:
    """F1 of the beginnings of contacts, right if the same pair begins within a frame of it.

    Undefined for scenes in which nothing begins, neither in truth nor in the forecast.
    """
    actual, made, scene = _encounters(truth, forecast, info)
    found = [_counted(part, scene, len(truth["state"])) for part in _matched(actual, made)]
    hits, events, kept, claims = found
    precision, recall = kept / np.maximum(claims, 1), hits / np.maximum(events, 1)
    score = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return np.asarray(np.where(events + claims > 0, score, np.nan))


def contact_mse(truth: Fields, forecast: Fields, info: Info) -> Array:
    """`position_mse` over those bodies and frames that are in contact in the truth; undefined where none is."""
    plan, states = info["headers"].plan(info), truth["state"]
    actual = encounters(plan, flat_states(plan, states))[0]
    touched = np.zeros((states.shape[1], plan["inverse"].shape[0]), dtype=bool)
    for side in actual.pairs:
        frames, pairs = np.nonzero(actual.touching)
        touched[frames, side[pairs]] = True
    cases, frames_, bodies, _ = states.shape
    mask = np.zeros((frames_, cases * bodies), dtype=bool)
    mask[:, plan["rows"]] = touched[:, : len(plan["rows"])]
    mask = mask.reshape(frames_, cases, bodies).swapaxes(0, 1)
    squares = np.where(mask, _squares(truth, forecast, PLACE) / 2, 0.0)
    counts = np.cumsum(mask.sum(-1), axis=1)
    return np.where(counts > 0, np.cumsum(squares.sum(-1), axis=1) / np.maximum(counts, 1), np.nan)


def _encounters(truth: Fields, forecast: Fields, info: Info) -> tuple[Encounters, Encounters, Array]:
    """Those of truth and forecast, and the scene of each pair."""
    plan = info["headers"].plan(info)
    actual, made = encounters(plan, *(flat_states(plan, fields["state"]) for fields in (truth, forecast)))
    return actual, made, plan["scene"][actual.pairs[0]]


def _matched(actual: Encounters, made: Encounters) -> tuple[Array, Array, Array, Array]:
    """(H, P) each: true beginnings that were forecast, all true ones, forecast ones that are true, all forecast."""
    true, said = actual.begins, made.begins
    return true & _widened(said), true, said & _widened(true), said


def _widened(events: Array) -> Array:
    """A frame to either side counts as well."""
    wide = events.copy()
    wide[1:] |= events[:-1]
    wide[:-1] |= events[1:]
    return wide


def _counted(events: Array, scene: Array, cases: int) -> Array:
    """(C, H) how many of the events (H, P) there are up to each frame."""
    counts = np.zeros((cases, len(events)))
    np.add.at(counts, (scene,), events.T)
    return np.asarray(np.cumsum(counts, axis=1))


METRICS: Mapping[str, Metric] = {
    "position_mse": Metric(position_mse, "px²", "mean squared error of positions, per coordinate", "lower"),
    "velocity_mse": Metric(velocity_mse, "px²/s²", "mean squared error of velocities, per coordinate", "lower"),
    "within_1px": Metric(within_1px, "1", "share of bodies and frames less than 1 px off", "higher", 1.0),
    "valid_time": Metric(valid_time, "s", "time until the RMS distance of a scene exceeds 5 px", "higher", np.inf),
    "contact_mse": Metric(contact_mse, "px²", "position_mse over bodies and frames in contact in the truth", "lower"),
    "contact_f1": Metric(
        contact_f1, "1", "F1 of beginnings of contact (pair, frame within 1; contact: gap < 0.5 px)", "higher", 1.0
    ),
    "energy_drift": Metric(
        energy_drift, "1", "energy off the truth's, over its largest kinetic energy and spread of potential", "lower"
    ),
    "momentum_drift": Metric(momentum_drift, "1", "momentum off the truth's, over the sum of m |v|", "lower"),
    "coverage": Metric(coverage, "1", "share of bodies and frames that were put out", "higher", 1.0),
}
"""The headline first: the report's columns follow this order."""

"""Closest points in closed form, against the engine's own and against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymunk
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.systems.scenes.geometry import Shapes, points, touch

KINDS = ("disc", "box", "segment")


def shapes(*rows: tuple[float, ...]) -> Shapes:
    """x, y, angle, half width, half height, radius each."""
    x, y, angle, width, height, radius = np.array(rows, dtype=np.float64).T
    return Shapes(x, y, np.cos(angle), np.sin(angle), width, height, radius)


@st.composite
def shape(draw: Any) -> tuple[float, ...]:
    place = draw(st.tuples(*[st.floats(0, 60)] * 2, st.floats(-3, 3)))
    kind, size, other = draw(st.sampled_from(KINDS)), draw(st.floats(2, 20)), draw(st.floats(2, 20))
    return (*place, *{"disc": (0, 0, size), "box": (size, other, 0), "segment": (size, 0, 2)}[kind])


def outline(row: tuple[float, ...], count: int = 400) -> np.ndarray:
    """Points of the core's edge, (count, 2)."""
    x, y, angle, width, height, _ = row
    corners = np.array([(width, height), (-width, height), (-width, -height), (width, -height), (width, height)])
    t = np.linspace(0, 4, count, endpoint=False)
    part = t.astype(int)
    along = corners[part] + (t - part)[:, None] * (corners[part + 1] - corners[part])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return along @ turn.T + (x, y)


@settings(max_examples=150)
@given(shape(), shape())
def test_gap_of_shapes_apart_is_the_least_distance_of_their_points(a: Any, b: Any) -> None:
    found = touch(shapes(a), shapes(b), np)
    distance = np.linalg.norm(outline(a)[:, None] - outline(b)[None], axis=-1).min()
    if found.gap[0] > 0:
        assert found.gap[0] == pytest.approx(distance - a[5] - b[5], abs=0.25)
    assert np.hypot(found.nx, found.ny)[0] == pytest.approx(1)


@settings(max_examples=150)
@given(shape(), shape())
def test_order_of_shapes_turns_the_normal_round_and_nothing_else(a: Any, b: Any) -> None:
    one, other = touch(shapes(a), shapes(b), np), touch(shapes(b), shapes(a), np)
    assert one.gap[0] == pytest.approx(other.gap[0], abs=1e-3)
    if one.gap[0] > 0.1:
        assert one.nx[0] * other.nx[0] + one.ny[0] * other.ny[0] == pytest.approx(-1, abs=1e-6)


@settings(max_examples=200)
@given(shape(), shape())
def test_shallow_overlaps_agree_with_the_engine(a: Any, b: Any) -> None:
    found = touch(shapes(a), shapes(b), np)
    if not -1 < found.gap[0] < -0.05 or min(a[3], b[3]) < 1:
        return  # deep ones have no right answer; for discs the engine may give the depth a positive sign
    there = _engine_shape(a).shapes_collide(_engine_shape(b))
    assert min(point.distance for point in there.points) == pytest.approx(found.gap[0], abs=0.02)
    assert there.normal.x * found.nx[0] + there.normal.y * found.ny[0] == pytest.approx(1, abs=1e-3)


def _engine_shape(row: tuple[float, ...]) -> pymunk.Shape:
    x, y, angle, width, height, radius = row
    body = pymunk.Body(1, 1)
    body.position, body.angle = (x, y), angle
    made: pymunk.Shape
    if width == 0:
        made = pymunk.Circle(body, radius)
    elif height == 0:
        made = pymunk.Segment(body, (-width, 0), (width, 0), radius)
    else:
        made = pymunk.Poly.create_box(body, (2 * width, 2 * height))
    space = pymunk.Space()
    space.add(body, made)
    made.cache_bb()
    body.keep = space  # type: ignore[attr-defined]
    return made


def test_a_block_on_a_block_touches_at_both_ends_of_their_common_face() -> None:
    below, above = shapes((0, 0, 0, 20, 10, 0)), shapes((5, 20.2, 0, 20, 10, 0))
    found = touch(below, above, np)
    ends = points(below, above, found, np)
    assert (found.nx[0], found.ny[0]) == pytest.approx((0, 1))
    assert [float(end.x[0]) for end in ends] == pytest.approx([20, -15])
    assert [float(end.gap[0]) for end in ends] == pytest.approx([0.2, 0.2])
    assert [float(end.y[0]) for end in ends] == pytest.approx([10.1, 10.1])


def test_a_tilted_block_touches_at_its_corner_and_gapes_at_the_other_end() -> None:
    floor, block = shapes((0, 0, 0, 200, 0, 2)), shapes((0, 14, 0.1, 20, 10, 0))
    found = touch(floor, block, np)
    gaps = sorted(float(end.gap[0]) for end in points(floor, block, found, np))
    assert gaps[0] == pytest.approx(found.gap[0], abs=1e-6)
    assert gaps[1] - gaps[0] == pytest.approx(40 * np.sin(0.1), abs=1e-6)


def test_torch_gives_what_numpy_gives() -> None:
    rng = np.random.default_rng(0)
    rows = [np.column_stack([rng.uniform(0, 60, (200, 2)), rng.uniform(-3, 3, 200), rng.uniform(0, 20, (200, 3))])] * 2
    one = [shapes(*map(tuple, each)) for each in (rows[0], rows[0][::-1])]
    other = [Shapes(*(torch.tensor(part.copy()) for part in each)) for each in one]
    for left, right in zip(touch(*one, np), touch(*other, torch), strict=True):
        np.testing.assert_allclose(left, right.numpy(), atol=1e-9)

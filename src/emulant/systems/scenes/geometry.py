"""Where two shapes come closest, in closed form.

Every shape is a rectangle with rounded corners: half extents of its core along its own axes, and a radius around it. A
disc has a core without extent, a segment one without width, a box a radius of zero. So one function serves all pairs.
It is written for numpy (metrics) and torch (the contact graph) alike: `xp` is the module of the arrays that go in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

FLAT = 0.05
"""px. Cores that are closer than this touch with a face: the direction between their closest points is mere noise."""
CORNERS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))


class Shapes(NamedTuple):
    """Rounded rectangles, arrays of one shape: centre, direction of their first axis, half extents, radius; px."""

    x: Any
    y: Any
    cos: Any
    sin: Any
    half_width: Any
    half_height: Any
    radius: Any

    def inward(self, x: Any, y: Any) -> tuple[Any, Any]:
        """World directions in the shape's own axes."""
        return self.cos * x + self.sin * y, self.cos * y - self.sin * x

    def outward(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Directions of its own axes in the world's."""
        return self.cos * x - self.sin * y, self.sin * x + self.cos * y


class Touch(NamedTuple):
    """How two shapes face each other: the normal points from the first to the second."""

    gap: Any
    """px; negative where they overlap."""
    nx: Any
    ny: Any


class Point(NamedTuple):
    """One point of a contact, midway between the surfaces, relative to the centre of the first shape; px."""

    x: Any
    y: Any
    gap: Any
    """Along the normal, there."""


def touch(a: Shapes, b: Shapes, xp: Any) -> Touch:
    """Distance and direction of the closest points; of shapes whose cores overlap, the shallowest way out."""
    dx, dy = b.x - a.x, b.y - a.y
    square, nx, ny = _from_corners(b, a, -dx, -dy, xp)  # corners of b against a: from a to b
    other, mx, my = _from_corners(a, b, dx, dy, xp)
    nearer = other < square
    square = xp.where(nearer, other, square)
    nx, ny = xp.where(nearer, -mx, nx), xp.where(nearer, -my, ny)
    distance = xp.sqrt(square)
    depth, fx, fy = _faces(a, b, dx, dy, xp)
    apart = (distance > FLAT) & (depth > 0)
    safe = xp.where(apart, distance, xp.ones_like(distance))
    gap = xp.where(apart, distance, depth) - a.radius - b.radius
    return Touch(gap, xp.where(apart, nx / safe, fx), xp.where(apart, ny / safe, fy))


def points(a: Shapes, b: Shapes, found: Touch, xp: Any) -> tuple[Point, Point]:
    """The two ends of the stretch along which the shapes face each other; equal where they touch in one point."""
    nx, ny = found.nx, found.ny
    start, end, rise, base = _face(a, nx, ny, xp)
    start_b, end_b, rise_b, base_b = _face(b, -nx, -ny, xp)
    dx, dy = b.x - a.x, b.y - a.y
    along, across = ny * -dx + nx * dy, nx * dx + ny * dy
    low, high = xp.maximum(start, along - end_b), xp.minimum(end, along - start_b)  # b looks the other way
    beside = low > high  # corner to corner: no stretch at all
    middle = 0.5 * (low + high)
    made = []
    for t in (xp.where(beside, middle, low), xp.where(beside, middle, high)):
        top = base + rise * t + a.radius
        bottom = across - base_b + rise_b * (t - along) - b.radius
        gap = xp.where(beside, found.gap, bottom - top)
        height = xp.where(beside, top + 0.5 * found.gap, 0.5 * (top + bottom))
        made.append(Point(nx * height - ny * t, ny * height + nx * t, gap))
    return made[0], made[1]


def _from_corners(a: Shapes, b: Shapes, dx: Any, dy: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Squared distance of the corner of `a` that is nearest to the core of `b`, and the way from there to it.

    (dx, dy): from a to b. The way returned leads from b to the corner, unscaled.
    """
    best = wx = wy = None
    for u, v in CORNERS:
        cx, cy = a.outward(u * a.half_width, v * a.half_height)
        px, py = b.inward(cx - dx, cy - dy)
        ex = px - xp.clip(px, -b.half_width, b.half_width)
        ey = py - xp.clip(py, -b.half_height, b.half_height)
        square = ex * ex + ey * ey
        if best is None:
            best, wx, wy = square, ex, ey
        else:
            nearer = square < best
            best, wx, wy = xp.where(nearer, square, best), xp.where(nearer, ex, wx), xp.where(nearer, ey, wy)
    return best, *b.outward(wx, wy)


def _faces(a: Shapes, b: Shapes, dx: Any, dy: Any, xp: Any) -> tuple[Any, Any, Any]:
    """The face of either core that separates them best, or is the shallowest way out: separation and its normal."""
    depth = nx = ny = None
    for x, y in ((a.cos, a.sin), (-a.sin, a.cos), (b.cos, b.sin), (-b.sin, b.cos)):
        along = dx * x + dy * y
        separation = xp.abs(along) - _extent(a, x, y, xp) - _extent(b, x, y, xp)
        sign = xp.where(along < 0, -xp.ones_like(along), xp.ones_like(along))
        if depth is None:
            depth, nx, ny = separation, sign * x, sign * y
        else:
            better = separation > depth + 1e-4  # of equal faces the first
            depth = xp.where(better, separation, depth)
            nx, ny = xp.where(better, sign * x, nx), xp.where(better, sign * y, ny)
    return depth, nx, ny


def _extent(a: Shapes, x: Any, y: Any, xp: Any) -> Any:
    """Half extent of the core along a direction."""
    u, v = a.inward(x, y)
    return xp.abs(u) * a.half_width + xp.abs(v) * a.half_height


def _face(a: Shapes, nx: Any, ny: Any, xp: Any) -> tuple[Any, Any, Any, Any]:
    """The face of the core that looks most along (nx, ny), as a line over the tangent (-ny, nx).

    Returns where it starts and ends along the tangent, its slope, and its height above the centre at 0.
    """
    u, v = a.inward(nx, ny)
    sideways = xp.abs(u) > xp.abs(v)
    one, zero = xp.ones_like(u), xp.zeros_like(u)
    su, sv = xp.where(u < 0, -one, one), xp.where(v < 0, -one, one)
    # centre of the face and half its length, in the shape's own axes
    cx, cy = xp.where(sideways, su * a.half_width, zero), xp.where(sideways, zero, sv * a.half_height)
    hx, hy = xp.where(sideways, zero, a.half_width), xp.where(sideways, a.half_height, zero)
    height, run = cx * u + cy * v, cy * u - cx * v
    half_rise, half_run = hx * u + hy * v, hy * u - hx * v
    long = xp.abs(half_run) > 1e-3
    slope = xp.where(long, half_rise / xp.where(long, half_run, one), zero)
    reach = xp.abs(half_run)
    return run - reach, run + reach, slope, height - slope * run

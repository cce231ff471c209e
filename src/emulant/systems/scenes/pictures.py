"""Scenes as pictures: discs with a radius line, boxes, static pieces in grey, joints as thin lines.

A frame is drawn at twice its size as kinds of ink, and halved: how many of the four pixels are inked becomes the shade.
So edges are smooth, and a frame costs no more than a few milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from emulant.reporting.frames import GREYS, Colour, Pixels, palette, ramp
from emulant.systems.scenes.scene import HEIGHT, STATIC, WIDTH, Body, Scene, Static, Vector

LEVELS = 5
"""Shades of an ink, from paper on."""
GREEN, BLUE = (44, 160, 44), (31, 119, 180)
"""Truth and prediction."""
HUES: Sequence[Colour] = (
    (91, 143, 201),
    (230, 159, 80),
    (108, 176, 118),
    (201, 111, 128),
    (158, 128, 194),
    (90, 172, 173),
)
"""The bodies of a scene that is shown by itself, in turn."""
_STATIC, _JOINT = (112, 112, 108), (170, 166, 158)
SIZE = (400, 300)
"""px of a panel, which is 4:3 as the canvas is."""


class Painter:
    """Draws frames of scenes in certain colours; every frame has the same palette."""

    def __init__(self, hues: Sequence[Colour], size: tuple[int, int] = SIZE) -> None:
        self.size = size
        self.hues = len(hues)
        inks: list[Colour] = [_STATIC, _JOINT]
        for hue in hues:
            inks += [_mixed(hue, 0.62), hue]
        self.colours: Pixels = palette(*(ramp(ink, LEVELS) for ink in inks))

    def frame(self, scene: Scene, state: NDArray[np.float64], hue: int | None = None) -> Pixels:
        """(height, width) palette indices of a state (N, 6); `hue`: that colour for all bodies, else in turn."""
        page = Image.new("L", (2 * self.size[0], 2 * self.size[1]))
        draw, scale = ImageDraw.Draw(page), 2 * self.size[0] / WIDTH
        for piece in scene.statics:
            _static(draw, piece, scale)
        for number, (body, row) in enumerate(zip(scene.bodies, state.tolist(), strict=True)):
            if all(map(math.isfinite, row)) and abs(row[0]) + abs(row[1]) < 1e5:
                _body(draw, body, row, 3 + 2 * (number % self.hues if hue is None else hue), scale)
        _joints(draw, scene, state, scale)
        return self._halved(np.asarray(page))

    def _halved(self, page: Pixels) -> Pixels:
        quarters = np.stack([page[row::2, column::2] for row in (0, 1) for column in (0, 1)])
        ink, covered = quarters.max(axis=0), np.count_nonzero(quarters, axis=0)
        shades = (GREYS + (ink.astype(np.int64) - 1) * LEVELS + covered).astype(np.uint8)
        return np.where(ink > 0, shades, np.uint8(0))


def _mixed(colour: Colour, share: float) -> Colour:
    """A darker one, for the inside of bodies."""
    red, green, blue = (round(share * part) for part in colour)
    return red, green, blue


def _place(x: float, y: float, scale: float) -> Vector:
    return x * scale, (HEIGHT - y) * scale


def _turned(x: float, y: float, angle: float, anchor: Vector) -> Vector:
    cos, sin = math.cos(angle), math.sin(angle)
    return x + cos * anchor[0] - sin * anchor[1], y + sin * anchor[0] + cos * anchor[1]


def _body(draw: ImageDraw.ImageDraw, body: Body, row: Sequence[float], ink: int, scale: float) -> None:
    x, y, angle = row[:3]
    half_width, half_height = body.size
    if body.kind == "disc":
        _disc(draw, _place(x, y, scale), half_width * scale, ink)
        rim = _place(*_turned(x, y, angle, (half_width, 0.0)), scale)
        draw.line([_place(x, y, scale), rim], fill=ink + 1, width=2)
        return
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    corners = [_place(*_turned(x, y, angle, (i * half_width, j * half_height)), scale) for i, j in signs]
    draw.polygon(corners, fill=ink, outline=ink + 1, width=2)


def _disc(draw: ImageDraw.ImageDraw, centre: Vector, radius: float, ink: int) -> None:
    (x, y), radius = centre, max(radius, 1.0)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink, outline=ink + 1, width=2)


def _static(draw: ImageDraw.ImageDraw, piece: Static, scale: float) -> None:
    points = [_place(*point, scale) for point in piece.points]
    if piece.kind == "polygon":
        draw.polygon(points, fill=1)
        return
    radius = piece.radius * scale
    if piece.kind == "segment":
        draw.line(points, fill=1, width=max(round(2 * radius), 2))
    for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)


def _joints(draw: ImageDraw.ImageDraw, scene: Scene, state: NDArray[np.float64], scale: float) -> None:
    for joint in scene.joints:
        ends = []
        for number, anchor in zip(joint.bodies, joint.anchors, strict=True):
            x, y, angle = (0.0, 0.0, 0.0) if number == STATIC else state[number, :3].tolist()
            ends.append(_turned(x, y, angle, anchor))
        if all(math.isfinite(value) for end in ends for value in end):
            a, b = (_place(*end, scale) for end in ends)
            draw.line([a, b], fill=2, width=2)
            draw.ellipse((a[0] - 3, a[1] - 3, a[0] + 3, a[1] + 3), fill=2)

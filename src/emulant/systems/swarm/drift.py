"""The density as it is, carried along at the swarm's mean velocity: a strong forecast once a flock is ordered."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from emulant.dataset.seams import Array, Context, Dataset
from emulant.dataset.tables import Table
from emulant.errors import SurrogateError


class Drift:
    """The last context frame, shifted rigidly by V times the lead time.

    V is the mean velocity of the particles at the last context frame. Without headings (foreign data) it is how fast
    the density's centre has moved over the context, at most `speed`. Walls: the frame is extended evenly beyond them.
    """

    Config: ClassVar[type[Table]] = Table
    lag = 2

    def __init__(self, config: Table | None = None) -> None:
        self.config = config or Table()

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Nothing to learn."""

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`rho` (C, horizon, ny, nx), particles per area."""
        if "rho" not in context.fields:
            raise SurrogateError("drift: the context has no field 'rho'.", "Give the density.")
        geometry = context.geometry
        lengths = np.array([geometry["Lx"], geometry["Ly"]], dtype=float)
        lead = context.step * np.arange(1, horizon + 1)
        displacement = mean_velocity(context)[:, None, :] * lead[:, None]
        frame = context.fields["rho"][:, -1]
        if geometry["bc"] == "periodic":
            return {"rho": shift(frame, displacement, lengths)}
        ny, nx = frame.shape[-2:]
        mirrored = np.concatenate([frame, frame[..., ::-1]], axis=-1)
        mirrored = np.concatenate([mirrored, mirrored[..., ::-1, :]], axis=-2)
        return {"rho": shift(mirrored, displacement, 2 * lengths)[..., :ny, :nx]}

    def save(self, folder: Path) -> list[Path]:
        """Nothing: there are no weights."""
        return []

    @classmethod
    def load(cls, folder: Path, config: Table | None = None) -> Self:
        return cls(config)


def mean_velocity(context: Context) -> Array:
    """(C, 2) mean velocity of the particles at the last context frame, length per time."""
    speed = float(context.geometry["speed"])
    if "headings" in context.fields:
        headings = context.fields["headings"][:, -1]
        return speed * np.stack([np.cos(headings).mean(axis=-1), np.sin(headings).mean(axis=-1)], axis=-1)
    rho = context.fields["rho"]
    if rho.shape[1] < 2:
        return np.zeros((len(rho), 2))
    velocity = np.stack([_axis_velocity(context, axis) for axis in ("x", "y")], axis=-1)
    # The first Fourier mode of a spread-out swarm is small and its phase jumps; no swarm outruns its particles.
    norm = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return np.asarray(velocity * np.minimum(1.0, speed / np.maximum(norm, np.finfo(float).tiny)))


def _axis_velocity(context: Context, axis: str) -> Array:
    """(C,) how fast the density's centre moves along one axis: circular if periodic, plain between walls."""
    length = float(context.geometry[f"L{axis}"])
    profile = context.fields["rho"].sum(axis=-2 if axis == "x" else -1)
    cells = profile.shape[-1]
    centres = (np.arange(cells) + 0.5) / cells
    duration = context.step * (profile.shape[1] - 1)
    if context.geometry["bc"] == "periodic":
        turns = np.unwrap(np.angle(profile @ np.exp(2j * np.pi * centres)), axis=1) / (2 * np.pi)
    else:
        turns = (profile @ centres) / profile.sum(axis=-1)
    return np.asarray(length * (turns[:, -1] - turns[:, 0]) / duration)


def shift(frames: Array, displacement: Array, lengths: Array) -> Array:
    """Periodic frames (C, ny, nx) moved by each of (C, H, 2) lengths (x, y): (C, H, ny, nx), exact below Nyquist."""
    ny, nx = frames.shape[-2:]
    kx = 2 * np.pi * np.arange(nx // 2 + 1) / lengths[0]
    ky = 2 * np.pi * np.fft.fftfreq(ny, 1 / ny) / lengths[1]
    phase_x = np.exp(-1j * displacement[..., 0, None] * kx)[:, :, None, :]
    phase_y = np.exp(-1j * displacement[..., 1, None] * ky)[:, :, :, None]
    return np.fft.irfft2(np.fft.rfft2(frames)[:, None] * phase_y * phase_x, s=(ny, nx))

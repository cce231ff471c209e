"""From noise to data: conditional flow matching, and the variational diffusion objective beside it.

Time runs from 0 (noise) to 1 (data). An objective says what state a network sees at a time, what it should answer,
and how answers bring noise to data. Nothing here knows what the data are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

Answer: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(state (B, ...), time (B,)) -> what the network answers, (B, ...)."""
Solver: TypeAlias = Literal["heun", "euler"]
FREQUENCIES = 8


class Objective(Protocol):
    """How a network learns to make data of noise."""

    def pose(self, noise: Tensor, data: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """The state that the network sees at `time` (B,), and the answer that it should give."""

    def sample(self, answer: Answer, noise: Tensor, steps: int, solver: Solver = "heun") -> Tensor:
        """Data, from noise, in so many steps."""


@dataclass(frozen=True)
class FlowMatching:
    """Straight paths x_t = (1 - t) noise + t data, and their velocity (Lipman et al. 2023).

    The answer is what the velocity has beyond its best linear guess from x_t, for data of unit variance, over its own
    spread (after Karras et al. 2022): a network need not learn to copy the noise, and its targets are of order one at
    all times.
    """

    def pose(self, noise: Tensor, data: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        t = _over(time, data)
        state, (guess, spread) = (1 - t) * noise + t * data, self._scales(t)
        return state, (data - noise - guess * state) / spread

    def sample(self, answer: Answer, noise: Tensor, steps: int, solver: Solver = "heun") -> Tensor:
        """Steps of Heun (two answers each, the last one too) or Euler (one)."""

        def velocity(x: Tensor, time: Tensor) -> Tensor:
            guess, spread = self._scales(_over(time, x))
            return guess * x + spread * answer(x, time)

        x, h = noise, 1.0 / steps
        for step in range(steps):
            time = x.new_full((len(x),), step * h)
            slope = velocity(x, time)
            if solver == "heun":
                slope = 0.5 * (slope + velocity(x + h * slope, time + h))
            x = x + h * slope
        return x

    @staticmethod
    def _scales(t: Tensor) -> tuple[Tensor, Tensor]:
        """The velocity's linear coefficient on x_t, and the spread of what is left."""
        variance = t**2 + (1 - t) ** 2
        return (2 * t - 1) / variance, variance.rsqrt()


@dataclass(frozen=True)
class VariationalDiffusion:
    """x_t = α data + σ noise with log-SNR linear in time; the answer is the noise (Kingma et al. 2021).

    With that schedule the bound's weight is constant, so the plain mean square of the answer is the bound.
    """

    lowest: float = -8.0
    highest: float = 8.0
    """log-SNR at times 0 and 1."""

    def pose(self, noise: Tensor, data: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        signal, spread = self._scales(_over(time, data))
        return signal * data + spread * noise, noise

    def sample(self, answer: Answer, noise: Tensor, steps: int, solver: Solver = "heun") -> Tensor:
        """The probability flow, by its exponential integrator of first (DDIM, Song et al. 2021) or second order."""
        x, h = noise, 1.0 / steps
        for step in range(steps):
            now = x.new_full((len(x),), step * h)
            guess = answer(x, now)
            there = self._step(x, guess, now, h)
            if solver == "heun":
                there = self._step(x, 0.5 * (guess + answer(there, now + h)), now, h)
            x = there
        signal, spread = self._scales(x.new_ones(1))
        return (x - spread * answer(x, x.new_ones(len(x)))) / signal

    def _step(self, x: Tensor, noise: Tensor, time: Tensor, h: float) -> Tensor:
        (signal, spread), (later, less) = self._scales(_over(time, x)), self._scales(_over(time + h, x))
        return later * (x - spread * noise) / signal + less * noise

    def _scales(self, time: Tensor) -> tuple[Tensor, Tensor]:
        ratio = self.lowest + (self.highest - self.lowest) * time
        return ratio.sigmoid().sqrt(), (-ratio).sigmoid().sqrt()


OBJECTIVES: Mapping[str, Objective] = {"flow_matching": FlowMatching(), "diffusion": VariationalDiffusion()}


def time_features(time: Tensor) -> Tensor:
    """(B,) -> (B, 2 FREQUENCIES): sines and cosines, the slowest half a turn in all."""
    waves = math.pi * 2.0 ** torch.arange(FREQUENCIES, dtype=time.dtype, device=time.device)
    angles = time[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _over(time: Tensor, images: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..., 1)"""
    return time.reshape(-1, *[1] * (images.ndim - 1))

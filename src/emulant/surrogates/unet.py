"""A U-Net whose normalisation listens to a vector: images in, images out. It knows no physics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Residual blocks at `len(multiples)` resolutions, each half the one before.

    After Ronneberger et al. (2015), with the adaptive group normalisation of Dhariwal & Nichol (2021). Its last layer
    begins at zero, so that an untrained network puts out zeros.
    """

    def __init__(
        self, inputs: int, outputs: int, vector: int, width: int = 16, multiples: Sequence[int] = (1, 2, 2, 4)
    ) -> None:
        """`inputs`, `outputs`: channels; `vector`: length of what conditions it; images are (B, C, n, n), with n a
        multiple of 2 ** (len(multiples) - 1)."""
        super().__init__()
        widths, embedded = [width * multiple for multiple in multiples], 4 * width
        self.embed = nn.Sequential(nn.Linear(vector, embedded), nn.SiLU(), nn.Linear(embedded, embedded), nn.SiLU())
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        before = [width, *widths[:-1]]
        self.down = nn.ModuleList(Block(a, b, embedded) for a, b in zip(before, widths, strict=True))
        self.middle = Block(widths[-1], widths[-1], embedded)
        below = [*widths[1:], widths[-1]]
        self.up = nn.ModuleList(Block(a + b, b, embedded) for a, b in zip(below, widths, strict=True))
        self.last = nn.Sequential(_norm(width), nn.SiLU(), zeroed(nn.Conv2d(width, outputs, 3, padding=1)))

    def forward(self, images: Tensor, vector: Tensor) -> Tensor:
        """(B, inputs, n, n), (B, vector) -> (B, outputs, n, n)"""
        embedded = self.embed(vector)
        x, skips = self.stem(images.contiguous(memory_format=torch.channels_last)), []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.avg_pool2d(x, 2), embedded)
            skips.append(x)
        x = self.middle(x, embedded)
        for level in reversed(range(len(skips))):
            x = self.up[level](torch.cat([x, skips[level]], dim=1), embedded)
            x = nn.functional.interpolate(x, scale_factor=2.0) if level else x
        found: Tensor = self.last(x)
        return found


class Block(nn.Module):
    """Two convolutions beside a shortcut; the vector shifts and stretches what is between them."""

    def __init__(self, inputs: int, outputs: int, embedded: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.norm = _norm(outputs)
        self.listen = nn.Linear(embedded, 2 * outputs)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        stretch, shift = self.listen(embedded)[:, :, None, None].chunk(2, dim=1)
        inside = self.norm(self.first(x)) * (1 + stretch) + shift
        found: Tensor = self.shortcut(x) + self.second(inside)
        return found


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, with all weights at zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(next(groups for groups in (8, 4, 2, 1) if channels % groups == 0), channels)

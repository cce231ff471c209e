"""A decoder-only transformer over tokens, in maximal update parametrisation: one learning rate for every width.

muP after Yang et al. (arXiv 2203.03466), in the form that needs no groups of parameters: with m = width / 768, a
hidden matrix is used as W / m where W is m times as large, which under Adam is the rate divided by m; logits are
divided by m; queries meet keys over the width of a head, not its root. What goes back into the stream begins at zero.
Rotary positions, RMS norms, no biases.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, rms_norm, scaled_dot_product_attention

from emulant.surrogates.language_tables import Shape

BASE_WIDTH = 768
"""Where a learning rate means what it says."""
HEAD = 64
"""Width of a head whose scores are divided by the usual root."""
THETA = 10_000.0


class Cache:
    """Keys and values of what each row has read so far; rows may be of different lengths."""

    def __init__(self, shape: Shape, rows: int, room: int, device: torch.device, dtype: torch.dtype) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.keys, self.values = ([self._empty(rows, room) for _ in range(shape.layers)] for _ in range(2))

    def _empty(self, rows: int, room: int) -> Tensor:
        width = self.shape.width // self.shape.heads
        return torch.zeros(rows, self.shape.heads, room, width, device=self.device, dtype=self.dtype)

    @property
    def room(self) -> int:
        return self.keys[0].shape[2]

    def widen(self, room: int) -> None:
        """Make room for that many tokens in every row."""
        if room <= self.room:
            return
        more = self._empty(len(self.lengths), max(room, self.room + 256) - self.room)
        for stored in (self.keys, self.values):
            stored[:] = [torch.cat([part, more], dim=2) for part in stored]

    def write(self, layer: int, places: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put (B, H, n, W) at places (B, n); everything up to now."""
        index = places[:, None, :, None].expand_as(key)
        self.keys[layer].scatter_(2, index, key.to(self.dtype))
        self.values[layer].scatter_(2, index, value.to(self.dtype))
        return self.keys[layer], self.values[layer]


class Transformer(nn.Module):
    """Tokens in, logits of the next token out."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape, self.scale = shape, shape.width / BASE_WIDTH
        self.embedding = nn.Embedding(vocabulary, shape.width)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.readout = nn.Parameter(torch.zeros(vocabulary, shape.width))
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(self, tokens: Tensor, chosen: Tensor | None = None) -> Tensor:
        """(B, T) -> logits (B, T, V); of the places (B, T) that are `chosen`, (K, V)."""
        states = self.embedding(tokens)
        angles = self._angles(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            states = block(states, angles)
        return self._logits(states if chosen is None else states[chosen])

    def read(self, tokens: Tensor, counts: Tensor, cache: Cache) -> Tensor:
        """Read on: (B, n) further tokens, of which each row has `counts` (B,), at least 0. Logits (B, V) after the
        last of them; where there are none, they mean nothing."""
        tokens, counts = tokens.to(cache.device), counts.to(cache.device)
        places = cache.lengths[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
        cache.widen(int(places.max()) + 1)
        states, angles = self.embedding(tokens), self._angles(places)[:, None]
        end = int((cache.lengths + counts).max())
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            states = block.read(states, angles, cache, layer, places, end)
        cache.lengths += counts
        last = (counts - 1).clamp_min(0)
        return self._logits(states[torch.arange(len(states), device=states.device), last])

    def cache(self, rows: int, room: int) -> Cache:
        weight = self.embedding.weight
        return Cache(self.shape, rows, room, weight.device, weight.dtype)

    def _logits(self, states: Tensor) -> Tensor:
        return linear(rms_norm(states, states.shape[-1:]), self.readout) / self.scale

    def _angles(self, places: Tensor) -> Tensor:
        """(..., W) sines and cosines of rotary positions."""
        half = self.shape.width // self.shape.heads // 2
        rates = THETA ** (-torch.arange(half, device=places.device, dtype=torch.float32) / half)
        turned = places[..., None].float() * rates
        return torch.cat([turned.cos(), turned.sin()], dim=-1)

    def flops_per_token(self, context: int) -> int:
        """Of a forward and a backward pass: 6 N + 12 L d T, N without the input embedding."""
        weights = sum(p.numel() for p in self.parameters()) - self.embedding.weight.numel()
        return 6 * weights + 12 * self.shape.layers * self.shape.width * context


class _Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, self.heads = shape.width, shape.heads
        self.attention_scale = HEAD**0.5 / (width // shape.heads)
        self.gain, self.hidden_gain = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))
        scale = width / BASE_WIDTH
        self.mixed = _Hidden(width, 3 * width, scale)
        self.out = _Hidden(width, width, scale, zero=True)
        self.up = _Hidden(width, 4 * width, scale)
        self.down = _Hidden(4 * width, width, scale, zero=True)

    def forward(self, states: Tensor, angles: Tensor) -> Tensor:
        query, key, value = self._parts(states, angles)
        found = scaled_dot_product_attention(query, key, value, is_causal=True, scale=self.attention_scale)
        return self._after(states, found)

    def read(self, states: Tensor, angles: Tensor, cache: Cache, layer: int, places: Tensor, end: int) -> Tensor:
        query, key, value = self._parts(states, angles)
        keys, values = (part[:, :, :end] for part in cache.write(layer, places, key, value))
        seen = torch.arange(end, device=places.device) <= places[:, None, :, None]
        found = scaled_dot_product_attention(query, keys, values, attn_mask=seen, scale=self.attention_scale)
        return self._after(states, found)

    def _parts(self, states: Tensor, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mixed = self.mixed(rms_norm(states, states.shape[-1:], self.gain))
        query, key, value = mixed.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return _turned(query, angles), _turned(key, angles), value

    def _after(self, states: Tensor, found: Tensor) -> Tensor:
        states = states + self.out(found.transpose(1, 2).flatten(2))
        hidden: Tensor = self.up(rms_norm(states, states.shape[-1:], self.hidden_gain))
        change: Tensor = self.down(gelu(hidden))
        return states + change


class _Hidden(nn.Module):
    """A hidden matrix of muP; `scale` is m."""

    def __init__(self, fan_in: int, fan_out: int, scale: float, *, zero: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(fan_out, fan_in))
        nn.init.normal_(self.weight, std=0.0 if zero else scale * fan_in**-0.5)

    def forward(self, states: Tensor) -> Tensor:
        return linear(states, self.weight) / self.scale


def _turned(states: Tensor, angles: Tensor) -> Tensor:
    """Rotary positions on (B, H, T, W)."""
    cosine, sine = angles.to(states.dtype).chunk(2, dim=-1)
    left, right = states.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)

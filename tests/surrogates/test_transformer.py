"""The transformer: what it has read it need not read again, and one learning rate serves every width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from emulant.surrogates.language_tables import SHAPES, Shape
from emulant.surrogates.transformer import Transformer

VOCABULARY = 64


@pytest.fixture
def network() -> Transformer:
    """With no weight at zero."""
    torch.manual_seed(0)
    made = Transformer(Shape(2, 64, 4), VOCABULARY)
    for parameter in made.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.01)
    return made.requires_grad_(False)


def test_reading_on_is_as_good_as_reading_anew(network: Transformer) -> None:
    """Rows of different lengths, in pieces of different lengths, one of them none."""
    tokens = torch.randint(VOCABULARY, (3, 60), generator=torch.Generator().manual_seed(1))
    whole, cache, read = network(tokens), network.cache(3, 2), [0, 0, 0]
    for counts in ([20, 31, 7], [1, 0, 5], [4, 4, 4], [0, 9, 1], [1, 1, 1]):
        piece = torch.zeros(3, max(counts), dtype=torch.long)
        for row, count in enumerate(counts):
            piece[row, :count] = tokens[row, read[row] : read[row] + count]
            read[row] += count
        found = network.read(piece, torch.tensor(counts), cache)
        for row, count in enumerate(counts):
            if count:
                torch.testing.assert_close(found[row], whole[row, read[row] - 1], atol=1e-5, rtol=0)
    assert cache.lengths.tolist() == read


def test_nothing_is_seen_before_its_time(network: Transformer) -> None:
    tokens = torch.randint(VOCABULARY, (1, 30))
    changed = tokens.clone()
    changed[0, 20:] = (changed[0, 20:] + 1) % VOCABULARY
    one, other = network(tokens), network(changed)
    torch.testing.assert_close(one[0, :20], other[0, :20])
    assert (one[0, 20:] - other[0, 20:]).abs().max() > 1e-3


def test_chosen_places_have_the_same_logits(network: Transformer) -> None:
    tokens, chosen = torch.randint(VOCABULARY, (2, 9)), torch.rand(2, 9) > 0.5
    torch.testing.assert_close(network(tokens, chosen), network(tokens)[chosen])


@pytest.mark.parametrize(("size", "millions"), [("125M", 84.9), ("350M", 302.0), ("760M", 679.5)])
def test_sizes_are_the_documented_ones(size: str, millions: float) -> None:
    with torch.device("meta"):
        network = Transformer(SHAPES[size], 3216)
    hidden = sum(p.numel() for name, p in network.named_parameters() if name.endswith("weight") and p.ndim == 2)
    assert (hidden - network.embedding.weight.numel()) / 1e6 == pytest.approx(millions, abs=0.1)


def _sentences(seed: int, rows: int = 16, length: int = 33) -> Tensor:
    """Each token follows from the two before it."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCABULARY, (rows, length))
    for place in range(2, length):
        tokens[:, place] = (tokens[:, place - 1] + 3 * tokens[:, place - 2]) % VOCABULARY
    return torch.from_numpy(tokens)


def _trained(width: int, rate: float, steps: int, seed: int = 0) -> tuple[Transformer, float]:
    """The network after some steps of Adam, and its loss over the last tenth of them."""
    torch.manual_seed(seed)
    network = Transformer(Shape(2, width, width // 16), VOCABULARY)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    losses = []
    for step in range(steps):
        tokens = _sentences(step)
        loss = cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return network, float(np.mean(losses[-max(1, steps // 10) :]))


def _activations(network: Transformer) -> list[float]:
    """RMS of what each block adds to the stream, and of the logits."""
    found: list[float] = []

    def note(_: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        found.append(float((made - given[0]).square().mean().sqrt()))

    hooks = [block.register_forward_hook(note) for block in network.blocks]
    with torch.no_grad():
        found.append(float(network(_sentences(999)).square().mean().sqrt()))
    for hook in hooks:
        hook.remove()
    return found


def test_activations_do_not_depend_on_the_width() -> None:
    """The coordinate check of muP: after a few steps, the slopes of log RMS against log width are flat."""
    widths = np.array([64, 128, 256, 512])
    rows = []
    for width in widths:
        several = [_activations(_trained(int(width), 3e-4, 4, seed)[0]) for seed in range(2)]
        rows.append(np.mean(np.log(several), axis=0))
    slopes = np.polyfit(np.log(widths), np.array(rows), 1)[0]
    assert (np.abs(slopes) < 0.05).all(), slopes


@pytest.mark.soak
def test_the_best_learning_rate_is_the_same_at_every_width() -> None:
    rates = 3e-4 * 2.0 ** np.arange(0, 7)
    best = [rates[np.argmin([_trained(width, float(rate), 150)[1] for rate in rates])] for width in (64, 512)]
    assert 0.5 <= best[0] / best[1] <= 2, best

"""Flow matching and diffusion where the best answer is known: data that are normal."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from emulant.surrogates.generative import FlowMatching, VariationalDiffusion, time_features  # noqa: E402
from emulant.surrogates.unet import UNet  # noqa: E402

MEAN, SPREAD = 1.5, 0.4


def best_answer(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """E[data - noise | x_t] for data N(MEAN, SPREAD²), less the guess for data of unit variance, over its spread."""
    t = time[:, None]
    variance, guess = (1 - t) ** 2 + t**2 * SPREAD**2, (1 - t) ** 2 + t**2
    velocity = MEAN + (t * SPREAD**2 - (1 - t)) / variance * (x - t * MEAN)
    return (velocity - (2 * t - 1) / guess * x) * guess.sqrt()


def best_noise(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """E[noise | x_t]."""
    signal, spread = VariationalDiffusion()._scales(time[:, None])
    return spread / (signal**2 * SPREAD**2 + spread**2) * (x - signal * MEAN)


@pytest.mark.parametrize(("objective", "answer"), [(FlowMatching(), best_answer), (VariationalDiffusion(), best_noise)])
@pytest.mark.parametrize(("solver", "steps", "tolerance"), [("heun", 20, 0.02), ("euler", 200, 0.02)])
def test_the_best_answer_brings_noise_to_the_data(objective, answer, solver, steps, tolerance) -> None:
    noise = torch.randn(20_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = (noise - noise.mean()) / noise.std()
    data = objective.sample(answer, noise, steps, solver)
    assert data.mean().item() == pytest.approx(MEAN, abs=tolerance)
    assert data.std().item() == pytest.approx(SPREAD, abs=tolerance)


@pytest.mark.parametrize(("objective", "answer"), [(FlowMatching(), best_answer), (VariationalDiffusion(), best_noise)])
def test_what_is_posed_has_that_best_answer(objective, answer) -> None:
    """The mean of the posed answers, given the state, is the conditional expectation: their error is uncorrelated."""
    generator = torch.Generator().manual_seed(1)
    noise, data = (torch.randn(200_000, 1, dtype=torch.float64, generator=generator) for _ in range(2))
    time = torch.full((len(noise),), 0.6, dtype=torch.float64)
    state, asked = objective.pose(noise, MEAN + SPREAD * data, time)
    error = asked - answer(state, time)
    assert abs(error.mean().item()) < 0.01
    assert abs((error * (state - state.mean())).mean().item()) < 0.01


def test_targets_are_of_order_one_at_all_times_and_nothing_is_left_of_white_noise() -> None:
    generator = torch.Generator().manual_seed(2)
    noise, data = (torch.randn(100_000, 1, dtype=torch.float64, generator=generator) for _ in range(2))
    for t in (0.0, 0.3, 0.5, 0.9, 1.0):
        state, asked = FlowMatching().pose(noise, data, torch.full((len(noise),), t, dtype=torch.float64))
        assert asked.std().item() == pytest.approx(1.0, abs=0.01)
        assert abs((asked * state).mean().item()) < 0.02
    made = FlowMatching().sample(lambda x, time: torch.zeros_like(x), noise, 20)
    assert made.std().item() == pytest.approx(1.0, abs=0.01)


def test_an_untrained_unet_puts_out_zeros_and_listens_once_trained() -> None:
    torch.manual_seed(0)
    network = UNet(5, 2, 3, width=8, multiples=(1, 2, 4))
    images, vector = torch.randn(2, 5, 16, 16), torch.randn(2, 3)
    assert network(images, vector).shape == (2, 2, 16, 16)
    assert not network(images, vector).any()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        wanted = vector[:, :2, None, None] * images[:, :2]
        loss = torch.nn.functional.mse_loss(network(images, vector), wanted)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * wanted.square().mean().item()
    assert not torch.allclose(network(images, vector), network(images, vector.flip(0)))


def test_time_features_tell_times_apart() -> None:
    features = time_features(torch.linspace(0, 1, 101))
    assert features.shape == (101, 16)
    assert torch.cdist(features, features).fill_diagonal_(1).min() > 0.01

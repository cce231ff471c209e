"""The networks: what they learn, what they keep, what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from halo_cutouts import Asked, Cutouts, cutouts

from emulant.errors import DataError, SurrogateError
from emulant.systems.halos.networks import FlowPainter, UNetPainter
from emulant.systems.halos.normalisation import FILES, Normalisation
from emulant.systems.halos.painter import Painter
from emulant.systems.halos.sight import Sight, turned
from emulant.systems.halos.tables import FlowTable, UNetTable
from emulant.training.table import TrainingTable

QUICK = {"width": 8, "multiples": (1, 2), "training": TrainingTable(max_epochs=40, learning_rate=6e-3)}


@pytest.fixture(scope="module")
def train() -> Cutouts:
    return cutouts()


@pytest.fixture(scope="module")
def held() -> Cutouts:
    return cutouts(64, seed=3, split="test")


@pytest.fixture(scope="module", params=["unet", "flow"])
def trained(request: pytest.FixtureRequest, train: Cutouts) -> Painter:
    made = UNetPainter(UNetTable(**QUICK)) if request.param == "unet" else FlowPainter(FlowTable(**QUICK))
    made.fit(train)
    return made


def log_error(maps: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((np.log10(maps + 1) - np.log10(truth + 1)) ** 2)))


def test_a_trained_network_beats_the_baseline_that_it_began_at(trained: Painter, train: Cutouts, held: Cutouts) -> None:
    truth = held.values["target"]
    painted = trained.predict(Asked.of(held), samples=3, seed=1)["target"]
    fresh = type(trained)(trained.config.model_copy(update={"calibrate": 0}))
    assert painted.shape == (64, 1 if trained.kind == "unet" else 3, *truth.shape[1:])
    share = 0.049 / 0.3
    identity = np.stack([(1 - share) * held.values["condition"], share * held.values["condition"]], axis=1)
    assert log_error(painted.mean(axis=1)[:, 1], truth[:, 1]) < 0.75 * log_error(identity[:, 1], truth[:, 1])
    masses, true = painted.mean(axis=1).sum(axis=(0, 2, 3)), truth.sum(axis=(0, 2, 3))
    np.testing.assert_allclose(masses[:2], true[:2], rtol=0.2)
    with pytest.raises(SurrogateError, match="not fitted"):
        fresh.predict(Asked.of(held))


def test_pixels_without_stars_are_empty_and_as_many_as_they_should_be(trained: Painter, held: Cutouts) -> None:
    painted, truth = trained.predict(Asked.of(held))["target"][:, 0], held.values["target"]
    assert painted.min() == 0.0
    assert np.isfinite(painted).all()
    assert np.mean(painted[:, 2] > 0) == pytest.approx(np.mean(truth[:, 2] > 0), rel=0.25)


def test_what_is_loaded_paints_as_what_was_saved(trained: Painter, held: Cutouts, tmp_path: Path) -> None:
    written = trained.save(tmp_path)
    assert {path.name for path in written} == {"best.safetensors", "background.npz", *FILES}
    loaded = type(trained).load(tmp_path)
    one, two = (each.predict(Asked.of(held), samples=2, seed=5)["target"] for each in (trained, loaded))
    assert one.tobytes() == two.tobytes()


def test_draws_follow_from_the_sample_and_the_seed_alone(trained: Painter, held: Cutouts) -> None:
    together = trained.predict(Asked.of(held), samples=2, seed=5)["target"]
    alone = trained.predict(Asked.of(held.select([7])), samples=2, seed=5)["target"]
    np.testing.assert_allclose(together[7], alone[0], rtol=2e-3)
    if trained.kind == "flow":
        assert np.std(np.log(together[:, :, 1].sum(axis=(2, 3))), axis=1).mean() > 1e-3
        other = trained.predict(Asked.of(held.select([7])), samples=1, seed=6)["target"]
        assert not np.allclose(other[0, 0], alone[0, 0], rtol=1e-3)


def test_statistics_of_another_model_are_refused(trained: Painter, held: Cutouts, tmp_path: Path) -> None:
    trained.save(tmp_path)
    Normalisation.of(held).save(tmp_path)
    with pytest.raises(SurrogateError, match=r"dark_matter_normalization_stats\.npz.*not those"):
        type(trained).load(tmp_path)


@pytest.mark.parametrize("change", [{"npix": 256}, {"box_size": 25.0}, {"scales": (6.25, 12.5, 25.0)}])
def test_data_of_another_geometry_are_refused(trained: Painter, change: dict) -> None:
    with pytest.raises(SurrogateError, match=next(iter(change))):
        trained.predict(Asked.of(cutouts(4, **change)))


def test_data_with_other_parameters_are_refused(trained: Painter) -> None:
    with pytest.raises(DataError, match="Omega0, RadioFeedbackFactor"):
        trained.predict(Asked.of(cutouts(4, parameters=("Omega0", "RadioFeedbackFactor", "OmegaBaryon"))))


def test_the_diffusion_objective_trains_and_paints(train: Cutouts, held: Cutouts) -> None:
    short = FlowPainter(FlowTable(**QUICK | {"training": TrainingTable(max_epochs=3)}, objective="diffusion", steps=6))
    short.fit(train)
    painted = short.predict(Asked.of(held), samples=2)["target"]
    assert np.isfinite(painted).all()
    assert painted[:, :, 1].sum() == pytest.approx(2 * held.values["target"][:, 1].sum(), rel=0.5)


def test_what_a_network_is_asked_for_gives_the_truth_back(train: Cutouts) -> None:
    fields, sight = train.read(list(train.values)), Sight.of(train)
    maps = sight.painted(sight.asked(fields), fields, 0.0, np.ones(3))
    np.testing.assert_allclose(maps[:, :2], fields["target"][:, :2], rtol=1e-3)
    assert ((maps[:, 2] > 0) == (fields["target"][:, 2] > 0)).all()
    asked = sight.asked(fields)[:, :2]
    np.testing.assert_allclose(asked.mean(axis=(0, 2, 3)), 0, atol=0.02)
    np.testing.assert_allclose(asked.std(axis=(0, 2, 3)), 1, atol=0.1)


def test_the_eight_symmetries_are_eight_and_keep_channels_together() -> None:
    images = np.arange(2 * 9).reshape(1, 2, 3, 3).repeat(8, axis=0)
    made = turned(images, np.arange(8))
    assert len({array.tobytes() for array in made}) == 8
    assert (made[:, 1] - made[:, 0] == 9).all()
    assert (made[0] == images[0]).all()

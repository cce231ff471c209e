"""The three checks that the source document names: training and inference see the same halo in the same way."""

from itertools import pairwise

import numpy as np
import pytest

from emulant.systems.halos import extract, extract_multiscale_cutouts, process_halo_with_full_periodic_tiling
from emulant.systems.halos.extraction import CellList
from emulant.systems.halos.normalisation import Normalisation, magnitude

BOX, NPIX, RESOLUTION = 50.0, 256, 32
SCALES = (6.25, 12.5, 25.0, 50.0)


@pytest.fixture(scope="module")
def box():
    """(positions, masses, centre): a halo at an edge of a box."""
    rng = np.random.default_rng(0)
    center = np.array([0.3, 49.8, 25.0])
    positions = np.concatenate([center + rng.normal(0, 0.5, (4000, 3)), rng.uniform(0, BOX, (20000, 3))]) % BOX
    return positions, rng.uniform(1e9, 2e9, len(positions)), center


def test_multiscale_extraction_consistency(box):
    positions, masses, center = box
    fine, rotation = process_halo_with_full_periodic_tiling(positions, masses, center, BOX, NPIX, seed=3)
    of_map = extract_multiscale_cutouts(fine, BOX, RESOLUTION)
    settings = {"npix": NPIX, "rotation": rotation, "resolution": RESOLUTION}

    at_once = extract(positions, masses, center, box_size=BOX, scales=SCALES, **settings)
    listed = CellList.of(positions, masses, BOX).extract(center, scales=SCALES[:1], **settings)

    assert of_map.shape == at_once.shape == (4, RESOLUTION, RESOLUTION)
    assert np.allclose(of_map, at_once, rtol=1e-5, atol=1e-5 * at_once.max())
    assert np.allclose(listed[0], at_once[0], rtol=1e-6, atol=1e-6 * at_once[0].max())
    for small, large in pairwise(at_once):  # the middle of a scale is the one before it
        middle = large[RESOLUTION // 4 : 3 * RESOLUTION // 4, RESOLUTION // 4 : 3 * RESOLUTION // 4]
        blocks = small.reshape(RESOLUTION // 2, 2, RESOLUTION // 2, 2).mean((1, 3))
        assert np.allclose(blocks, middle, rtol=1e-5, atol=1e-5 * middle.max())


def test_normalization_consistency(box, tmp_path):
    positions, masses, center = box
    rng = np.random.default_rng(1)
    condition, *large = extract(
        positions, masses, center, box_size=BOX, npix=NPIX, resolution=RESOLUTION, scales=SCALES
    )
    stars = np.where(rng.uniform(size=condition.shape) < 0.2, 0.02 * condition, 0)
    sample = {
        "condition": condition[None],
        "large_scale": np.array(large)[None],
        "target": np.stack([0.84 * condition, 0.14 * condition, stars])[None],
    }

    class OneSample:
        def batches(self, size, fields):
            yield {name: sample[name] for name in fields}

    fitted = Normalisation.of(OneSample())

    logs = np.log10(sample["target"][0].astype(float) + 1)
    assert fitted.mean[:2] == pytest.approx(logs[:2].mean((1, 2)), rel=1e-5)
    assert fitted.std[:2] == pytest.approx(logs[:2].std((1, 2)), rel=1e-4)
    assert fitted.mean[2] == pytest.approx(logs[2][stars > 0].mean(), rel=1e-5)
    assert (magnitude(condition) == np.log10(condition + np.float32(1))).all()
    fitted.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "dark_matter_normalization_stats.npz",
        "gas_normalization_stats.npz",
        "stellar_normalization_stats.npz",
    }
    with np.load(tmp_path / "gas_normalization_stats.npz") as file:
        assert float(file["gas_mag_mean"]) == fitted.mean[1]


def test_periodic_boundary_handling(box):
    positions, masses, center = box
    settings = {"box_size": BOX, "npix": NPIX, "resolution": RESOLUTION, "scales": SCALES}
    rotation = process_halo_with_full_periodic_tiling(positions, masses, center, BOX, NPIX, seed=5)[1]
    shift = np.array([17.0, -31.0, 8.5])

    for turn in (None, rotation):
        here = extract(positions, masses, center, rotation=turn, **settings)
        there = extract((positions + shift) % BOX, masses, (center + shift) % BOX, rotation=turn, **settings)
        assert np.allclose(here, there, rtol=1e-4, atol=1e-4 * here.max())

    whole = extract(positions, masses, center, **settings)[-1].astype(float).mean() * NPIX**2
    assert whole == pytest.approx(masses.sum(), rel=1e-6)

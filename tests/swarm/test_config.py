import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from emulant.systems.swarm.config import (
    Box,
    DensityTable,
    MorseTable,
    NoiseTable,
    SwarmConfig,
    SwarmSplits,
    SystemTable,
)


def test_defaults_are_the_document():
    config = SwarmConfig()
    s = config.system
    assert (s.N, s.Lx, s.Ly, s.bc, s.T, s.dt, s.save_every) == (40, 15.0, 15.0, "periodic", 2.0, 0.1, 1)
    assert (s.speed, s.R, s.noise.kind, s.noise.eta, s.forces) == (1.0, 2.0, "gaussian", 0.3, None)
    assert (config.density.nx, config.density.ny, config.density.bandwidth) == (64, 64, 2.0)
    assert (config.splits.training, config.splits.test, config.splits.validation) == (100, 20, 0)
    assert (s.steps, s.frames, config.hx, config.hy) == (20, 21, 0.46875, 0.46875)
    assert config.dataset.shard_cases <= 5


def test_the_noise_of_the_document_has_the_variance_of_the_uniform_law():
    assert NoiseTable().sd == pytest.approx(0.0866, abs=5e-5)
    assert NoiseTable(match_variance=False).sd == 0.3
    assert NoiseTable(kind="uniform", match_variance=False).sd == pytest.approx(0.3 / math.sqrt(12))


def test_steps_are_rounded_not_cut():
    # 0.3 / 0.1 and 0.7 / 0.1 are just below the integer in floating point
    assert [SystemTable(T=T, dt=0.1).steps for T in (0.3, 0.7)] == [3, 7]
    assert SystemTable(T=2.0, save_every=3).frames == 7
    assert SystemTable().frames_in(10.0) == 101


def test_the_kernel_in_cells_follows_each_axis_and_as_a_length_neither():
    box = Box(20.0, 10.0, True)
    table = DensityTable(nx=40, ny=10, bandwidth=2.0)
    assert table.widths(box) == (1.0, 2.0)
    assert table.widths_in_cells(box) == (2.0, 2.0)
    table = DensityTable(nx=40, ny=10, bandwidth=2.0, bandwidth_units="length")
    assert table.widths(box) == (2.0, 2.0)
    assert table.widths_in_cells(box) == (4.0, 2.0)


def test_a_narrow_kernel_is_flagged():
    box = Box(15.0, 15.0, True)
    assert DensityTable(bandwidth=1.19).rescaled(box)
    assert not DensityTable(bandwidth=1.2).rescaled(box)


@pytest.mark.parametrize(
    ("study", "key"),
    [
        ({"system": {"speed": 11.0}}, "system.speed"),
        ({"system": {"T": 0.05}}, "system.T"),
        ({"system": {"save_every": 21}}, "system.save_every"),
        ({"system": {"T": 20.0, "long_T": 10.0}}, "system.long_T"),
        ({"splits": {"validation": 3}}, "splits.validation"),
        ({"density": {"bandwidth": 0.2}}, "density.bandwidth"),
        ({"density": {"bandwidth": 20.0, "bandwidth_units": "length"}}, "density.bandwidth"),
        ({"density": {"bandwidth": 1.4, "method": "fft"}}, "density.method"),
    ],
)
def test_what_does_not_fit_together_names_the_key_to_change(study, key):
    with pytest.raises(ValidationError, match=key):
        SwarmConfig.model_validate(study)


@pytest.mark.parametrize(
    "table",
    [
        {"N": 0},
        {"Lx": 0.0},
        {"dt": -0.1},
        {"bc": "open"},
        {"R": 0.0},
        {"T": float("inf")},
        {"radius": 2.0},
        {"noise": {"eta": -1.0}},
        {"forces": {"kind": "lennard-jones"}},
    ],
)
def test_out_of_range_and_unknown_fields_are_refused(table):
    with pytest.raises(ValidationError):
        SystemTable.model_validate(table)


def test_a_long_case_may_be_short_if_there_is_none():
    assert SwarmConfig(system=SystemTable(T=20.0), splits=SwarmSplits(test_long=0)).system.frames == 201


@given(st.floats(0.01, 10), st.floats(0.01, 1), st.floats(0.1, 10))
def test_no_particle_crosses_half_the_radius_in_a_step(speed, dt, R):
    fields = {"speed": speed, "dt": dt, "R": R, "T": 10 * dt}
    if speed * dt <= R / 2:
        assert SystemTable(**fields).speed == speed
    else:
        with pytest.raises(ValidationError, match=r"system\.dt or system\.speed, or raise system\.R"):
            SystemTable(**fields)


def test_forces_that_reach_around_the_torus_say_so():
    forces = MorseTable(la=1.6)  # cut off at 8, half the box is 7.5
    assert len(SystemTable(forces=forces).notes) == 1
    assert SystemTable(forces=forces, bc="reflecting").notes == ()
    assert SystemTable(forces=MorseTable(la=1.4)).notes == ()
    assert SystemTable().notes == ()

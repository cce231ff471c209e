import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulant import study
from emulant.errors import StudyError
from emulant.systems.base import BaseSystem
from emulant.systems.pendulum.config import QUANTITIES, PendulumConfig, PendulumEvaluation, Quantity
from emulant.systems.pendulum.sampling import draw


class Pendulum(BaseSystem):
    name = "pendulum"
    Config = PendulumConfig
    Evaluation = PendulumEvaluation
    targets = ("state",)


def load(**tables):
    """A study of these tables, checked as a file would be."""
    tables["system"] = {"name": "pendulum", **tables.get("system", {})}
    return study.from_document(tables, "mine.toml", Pendulum())


def config(**tables):
    return load(**tables).config


def table(config, split, cases):
    """(cases, 9) in the order of `QUANTITIES`."""
    return np.array([np.concatenate(draw(config, split, case)[::-1]) for case in range(cases)])


def column(config, name, split="training", cases=400):
    return table(config, split, cases)[:, QUANTITIES.index(name)]


def test_defaults_are_the_reference():
    c, e = PendulumConfig(), PendulumEvaluation()
    s = c.system
    assert [s.quantity(name).constant for name in QUANTITIES] == [1, 1, 1, 1, 9.81, None, None, 0, 0]
    assert s.initial.theta1.uniform == (0, math.pi)
    assert s.initial.theta2.uniform == (0, 2 * math.pi)
    assert (s.T, s.dt, s.steps, s.integrator, s.tolerance, s.accelerations) == (10, 0.05, 200, "rk8", 1e-9, True)
    assert (c.splits.training, c.splits.validation, c.splits.test) == (500, 100, 200)
    assert (c.dataset.shard_cases, c.dataset.dtype) == (50, "float64")
    assert (e.context, e.lyapunov_time, e.chaotic_above, e.warm_starts) == (1, 300, 0.5, ())
    assert (e.surrogate_lyapunov_cases, e.surrogate_lyapunov_time) == (32, 50)


@pytest.mark.parametrize(
    ("tables", "faults"),
    [
        ({"system": {"T": 1.02}}, ["system: T = 1.02", "whole number", "system.T = 1", "system.dt"]),
        ({"system": {"T": 0.01}}, ["system.T", "shorter than dt"]),
        ({"system": {"dt": 0}}, ["system.dt: must be > 0"]),
        ({"system": {"tolerance": 0.01}}, ["system.tolerance: must be < 0.01"]),
        ({"system": {"integrator": "euler"}}, ["system.integrator", "rk8", "verlet"]),
        ({"system": {"l1": 0}}, ["system.l1: must be > 0"]),
        ({"system": {"g": {"uniform": [-1, 2]}}}, ["system.g: must be > 0, has -1"]),
        ({"system": {"m2": {"normal": [-1, 2]}}}, ["system.m2", "mean > 0"]),
        ({"system": {"m2": {"choice": [1, 0]}}}, ["system.m2: must be > 0"]),
        ({"system": {"m2": {"choice": []}}}, ["system.m2.choice: is empty"]),
        ({"system": {"m2": {"unifrom": [1, 2]}}}, ["system.m2.unifrom: is not a key (did you mean system.m2.uniform?"]),
        ({"system": {"m2": {"uniform": [2, 1]}}}, ["system.m2.uniform: needs a < b"]),
        ({"system": {"m2": {"uniform": [1, 2, 3]}}}, ["system.m2.uniform"]),
        ({"system": {"m2": {"grid": [1, 2, 2.5]}}}, ["system.m2.grid"]),
        ({"system": {"m2": {"grid": [1, 2, 1]}}}, ["system.m2.grid: needs n >= 2"]),
        ({"system": {"m2": {"normal": [1, 0]}}}, ["system.m2.normal: needs a standard deviation > 0"]),
        ({"system": {"m2": {"uniform": [1, 2], "choice": [1]}}}, ["system.m2", "exactly one of"]),
        ({"system": {"m2": {}}}, ["system.m2", "exactly one of"]),
        ({"system": {"m2": "one"}}, ["system.m2: must be a number or a law"]),
        ({"system": {"m2": True}}, ["system.m2: must be a number or a law"]),
        ({"system": {"m3": 1.0}}, ["system.m3: is not a key"]),
        ({"system": {"initial": {"theta3": 1.0}}}, ["system.initial.theta3: is not a key"]),
        ({"system": {"initial": {"states": [[1, 2], [1, 2, 3]]}}}, ["system.initial.states: row 1 has 3 numbers"]),
        ({"system": {"initial": {"states": []}}}, ["system.initial.states: is empty"]),
        ({"system": {"initial": {"states": [[1, 2]]}}, "splits": {"test": 2}}, ["splits.test = 2", "give 1 cases"]),
        ({"system": {"l1": {"grid": [1, 2, 3]}}, "splits": {"training": 4}}, ["splits.training = 4", "give 3 cases"]),
        ({"dataset": {"dtype": "float16"}}, ["dataset.dtype", "float32"]),
        ({"evaluation": {"context": 0}}, ["evaluation.context: must be > 0"]),
        ({"evaluation": {"lyapunov_tme": 20}}, ["did you mean evaluation.lyapunov_time?"]),
    ],
)
def test_every_fault_names_its_key(tables, faults):
    with pytest.raises(StudyError) as error:
        load(**tables)
    for fault in faults:
        assert fault in str(error.value)


def test_t_is_a_whole_number_of_dt_in_decimal_not_in_binary():
    assert [config(system={"T": T, "dt": 0.1}).system.steps for T in (0.3, 0.7, 10.0)] == [3, 7, 100]


def test_a_resolved_study_reads_back_as_itself():
    laws = {"l1": {"uniform": [1, 2]}, "m1": {"normal": [1, 0.1]}, "m2": {"choice": [1, 2]}, "g": {"grid": [1, 2, 3]}}
    first = load(system={**laws, "initial": {"states": [[1, 2], [1, 2, 3, 4]]}})
    again = study.from_document(first.document(), "again.toml", Pendulum())
    assert again.config == first.config
    assert again.data_key == first.data_key
    assert first.document()["system"]["m2"] == {"choice": [1, 2]}
    assert first.document()["system"]["l2"] == 1.0
    assert study.tomli_w.dumps(json.loads(json.dumps(first.document()))) == first.to_toml()


def test_laws_draw_what_they_say():
    laws = {"l1": {"uniform": [1, 2]}, "m1": {"normal": [5, 0.5]}, "m2": {"choice": [1, 2, 7]}}
    c = config(system=laws)
    l1, m1, m2 = (column(c, name, cases=2000) for name in ("l1", "m1", "m2"))
    assert 1 <= l1.min() < 1.01
    assert 1.99 < l1.max() < 2
    assert m1.mean() == pytest.approx(5, abs=0.05)
    assert m1.std() == pytest.approx(0.5, abs=0.03)
    assert set(m2) == {1, 2, 7}
    assert np.mean(m2 == 7) == pytest.approx(1 / 3, abs=0.04)
    assert abs(np.corrcoef(l1, m1)[0, 1]) < 0.1


def test_normal_masses_are_cut_at_zero_and_normal_speeds_are_not():
    wide = {"normal": [0.5, 1.0]}
    c = config(system={"m1": wide, "initial": {"theta1_dot": wide}})
    m1, speed = column(c, "m1", cases=1000), column(c, "theta1_dot", cases=1000)
    assert m1.min() > 0
    # the mean of a normal law that is cut at zero: m + sd φ(-m/sd) / (1 - Φ(-m/sd))
    assert m1.mean() == pytest.approx(0.5 + 0.352065 / 0.691462, abs=0.06)
    assert np.mean(speed < 0) == pytest.approx(0.3085, abs=0.05)


def test_a_case_depends_on_nothing_but_seed_split_and_number():
    c = config(system={"m1": {"uniform": [1, 2]}}, splits={"training": 10})
    more = config(system={"m1": {"uniform": [1, 2]}}, splits={"training": 1000})
    assert np.array_equal(table(c, "training", 5), table(more, "training", 5))
    everything = np.concatenate([table(c, split, 50) for split in ("training", "validation", "test")])
    assert len(np.unique(everything, axis=0)) == 150
    assert not np.array_equal(table(config(seed=1), "test", 5), table(config(), "test", 5))


@given(st.sampled_from(QUANTITIES[:5]), st.integers(0, 10**6))
def test_a_law_that_changes_leaves_the_other_quantities_alone(name, case):
    before, after = (
        np.concatenate(draw(config(system=system), "training", case)[::-1])
        for system in ({}, {name: {"uniform": [1, 2]}})
    )
    others = [i for i, other in enumerate(QUANTITIES) if other != name]
    assert np.array_equal(before[others], after[others])
    assert before[QUANTITIES.index(name)] != after[QUANTITIES.index(name)]


def test_grids_are_multiplied_in_training_only():
    system = {"g": {"grid": [1, 2, 2]}, "initial": {"theta1": {"grid": [-1, 1, 3]}, "theta2_dot": {"grid": [0, 1, 2]}}}
    c = config(system=system)
    assert c.splits.training == 12
    assert c.splits.test == 200
    assert config(system=system, splits={"training": 12}).splits.training == 12
    expected = [[g, t, w] for g in (1, 2) for t in (-1, 0, 1) for w in (0, 1)]
    where = [QUANTITIES.index(name) for name in ("g", "theta1", "theta2_dot")]
    assert np.array_equal(table(c, "training", 12)[:, where], expected)
    others = table(c, "test", 100)[:, where]
    assert len(np.unique(others[:, 1])) == 100
    assert (others >= [1, -1, 0]).all()
    assert (others < [2, 1, 1]).all()


def test_states_are_the_starts_of_the_test_split_alone():
    c = config(system={"l1": {"uniform": [1, 2]}, "initial": {"states": [[1, 2, 3, 4], [5, 6]]}})
    assert c.splits.test == 2
    start, parameters = draw(c, "test", 1)
    assert np.array_equal(start, [5, 6, 0, 0])
    without = config(system={"l1": {"uniform": [1, 2]}})
    assert np.array_equal(parameters, draw(without, "test", 1)[1])
    assert np.array_equal(draw(c, "test", 0)[0], [1, 2, 3, 4])
    for split in ("training", "validation"):
        assert np.array_equal(draw(c, split, 0)[0], draw(without, split, 0)[0])


def test_a_drifting_integrator_says_so():
    assert config().system.notes == ()
    assert "velocities" in config(system={"integrator": "verlet"}).system.notes[0]


@given(st.floats(-1e3, 1e3))
def test_a_number_is_a_constant(value):
    assert Quantity.model_validate(value).constant == value
    assert Quantity.model_validate(value).model_dump() == value

import numpy as np
import pytest
from halos_boxes import write_pair

from emulant import study as studies
from emulant.errors import DataError, StudyError
from emulant.systems.halos import plan
from emulant.systems.halos.config import HalosConfig, HalosSplits, SimulationTable, SystemTable
from emulant.systems.halos.halos import system
from emulant.systems.halos.parameters import ASTROPHYSICS, RANGES


def config(seed=0, **simulation):
    return HalosConfig(seed=seed, system=SystemTable(simulation=SimulationTable(**simulation)))


def test_simulations_of_a_box_stay_together_and_every_split_gets_a_box():
    for boxes in (2, 3, 4, 12, 40):
        found = plan.boxes(config(boxes=boxes, astro_per_box=3))
        numbers = [number for box in found for number in box.simulations]

        assert sorted(numbers) == list(range(len(numbers)))
        assert len({box.number for box in found}) == len(found)
        wanted = {"training", "test", "test_ood", "test_response"} | ({"validation"} if boxes > 2 else set())
        assert {box.split for box in found} == wanted
        assert sum(box.split == "training" for box in found) == max(1, boxes - 2 * max(round(boxes / 10), 1))


def test_parameters_lie_where_the_study_says():
    found = plan.boxes(
        config(boxes=16, ood_boxes=4, parameter_range={"Omega0": (0.2, 0.4), "RadioFeedbackFactor": (0.25, 4)})
    )

    for box in found:
        low, high = (0.4, 0.5) if box.split == "test_ood" else (0.2, 0.4)
        for parameters in box.simulations.values():
            assert list(parameters) == list(RANGES)
            assert low <= parameters["Omega0"] <= high
            assert parameters["sigma8"] == 0.8
        if box.split != "test_response":
            assert len({p["Omega0"] for p in box.simulations.values()}) == 1
            assert len({p["RadioFeedbackFactor"] for p in box.simulations.values()}) == len(box.simulations)
    strengths = [p["RadioFeedbackFactor"] for box in found[:16] for p in box.simulations.values()]
    assert np.mean(np.log(strengths)) == pytest.approx(0, abs=0.05)


def test_more_boxes_leave_the_parameters_of_the_others_as_they_were():
    few, many = (plan.boxes(config(boxes=boxes, ood_boxes=0, response_boxes=0)) for boxes in (4, 9))

    assert [box.simulations for box in few] == [box.simulations for box in many[:4]]


def test_one_parameter_at_a_time_moves_in_the_responses():
    (box,) = (box for box in plan.boxes(config()) if box.split == "test_response")
    first, *others = box.simulations.values()

    moved = [[name for name in first if other[name] != first[name]] for other in others]

    assert all(len(names) == 1 for names in moved)
    assert [names[0] for names in moved] == [name for name in ASTROPHYSICS for _ in range(2)]


def test_camels_simulations_with_one_seed_share_a_split(tmp_path):
    rng = np.random.default_rng(0)
    for simulation in range(6):
        write_pair(tmp_path, simulation, rng, count=10)
    rows = "\n".join(f"SB35_{i} 0.3 {i // 2}" for i in range(6))
    (tmp_path / "DMO" / "CosmoAstroSeed_x.txt").write_text(f"#Name Omega0 seed\n{rows}\n")
    source = {
        "kind": "camels",
        **{k: str(tmp_path / v) for k, v in (("nbody", "DMO"), ("hydro", "Hydro"), ("fof", "FOF"))},
    }

    found = plan.boxes(HalosConfig(system=SystemTable(source=source)))

    assert sorted(sorted(box.simulations) for box in found) == [[0, 1], [2, 3], [4, 5]]
    assert {box.split for box in found} == {"training", "validation", "test"}
    (tmp_path / "DMO" / "CosmoAstroSeed_y.txt").write_text("#Name Omega0 seed\n")
    with pytest.raises(DataError, match="2 files of parameters"):
        plan.boxes(HalosConfig(system=SystemTable(source=source)))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("system.npix=500", "scales"),
        ("system.source.kind=camels", "nbody and hydro and fof must be given"),
        ("splits.training=0.9", "sum to 1"),
        ("system.simulation.parameter_range.sigma9=[1,2]", "sigma9"),
        ("system.scales=[6.25,12.5,80]", "box_size"),
    ],
)
def test_faults_of_a_study_are_told(override, message):
    with pytest.raises(StudyError, match=message):
        studies.load("halos", [override])


def test_the_report_says_what_the_boxes_are_not_and_where_one_box_gives_no_interval():
    baryonified, single = system.notes(config(boxes=3, response_boxes=0))
    assert "baryonified" in baryonified
    assert "test and test_ood: one box" in single

    several = config(boxes=16, ood_boxes=0, response_boxes=2)
    splits = HalosSplits(training=0.7, validation=0.1, test=0.2)
    assert len(system.notes(several.model_copy(update={"splits": splits}))) == 1

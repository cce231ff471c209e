"""What each system answers: the same numbers as its simulator and as `emulant evaluate`, and physics that is known."""

import numpy as np
import pytest

from emulant.evaluation.forecasts import Start, context
from emulant.systems.swarm.config import Box
from emulant.systems.swarm.play import Stroke, struck

# -- pendulum -------------------------------------------------------------------------------------------------------


def test_a_pendulum_played_from_a_test_start_is_the_test_case_and_its_forecast(runs, client):
    run = runs("pendulum")
    test = run.dataset("test")
    case = test.cases["case"][0]
    state = test.read(["state"], [case])["state"][0]
    facts, arrays = client("pendulum").answer("roll", theta1=state[0, 0], theta2=state[0, 1], seconds=4.0)
    seen = run.study.context_frames
    forecast = run.model("linear").forecast(context(test, [case], Start("", seen - 1)), len(state) - seen)["state"][0]
    np.testing.assert_array_equal(arrays["truth"], state.astype(np.float32))
    np.testing.assert_array_equal(arrays["forecast"], forecast.astype(np.float32))
    assert facts["context"] == seen
    assert facts["outside"] == []
    assert arrays["error"].shape == (len(state) - seen,)
    below = np.logical_and.accumulate(arrays["error"] <= 0.4).sum()
    assert facts["valid"] == pytest.approx(below * facts["step"])
    np.testing.assert_allclose(arrays["energy"], arrays["energy"][0], rtol=1e-6)


def test_the_clock_knows_chaos_from_swinging(client):
    wild, _ = client("pendulum").answer("clock", theta1=2.5, theta2=2.5)
    calm, _ = client("pendulum").answer("clock", theta1=0.05, theta2=0.05)
    assert wild["chaotic"]
    assert wild["exponent"] > 1.0
    assert not calm["chaotic"]
    assert abs(calm["exponent"]) < 0.3


def test_a_start_that_training_has_not_seen_is_called_so(client):
    facts, _ = client("pendulum").answer("roll", theta1=-1.0, theta2=-1.0, seconds=2.0)  # -1 is 2π - 1 for the second
    assert facts["outside"] == ["theta1"]


def test_a_parameter_that_the_study_holds_fixed_cannot_be_slid(client):
    refused = client("pendulum").ask("roll", {"theta1": 1.0, "theta2": 1.0, "l1": 2.0})
    assert refused.status_code == 200
    assert "l1 is 1" in refused.json()["what"]


# -- swarm ----------------------------------------------------------------------------------------------------------


def test_a_swarm_keeps_its_particles_and_its_forecast_begins_after_the_context(client):
    facts, arrays = client("swarm").answer("follow", family="ring", seconds=2.0)
    frames = round(2.0 / facts["step"]) + 1
    assert arrays["particles"].shape == (frames, 40, 3)
    assert arrays["forecast"].shape[0] == frames - facts["context"]
    cell = 15.0 * 15.0 / arrays["rho"][0].size
    np.testing.assert_allclose(arrays["rho"].sum(axis=(1, 2)) * cell, 40, rtol=1e-5)
    assert 0 < arrays["error"][0] < arrays["error"][-1]


def test_what_goes_on_from_a_frame_begins_with_it(client):
    _, first = client("swarm").answer("follow", family="uniform", seconds=2.0)
    particles = first["particles"][7].tolist()
    _, on = client("swarm").answer("follow", family="uniform", seconds=2.0, particles=particles)
    np.testing.assert_allclose(on["particles"][0], first["particles"][7], atol=1e-5)
    again = client("swarm").answer("follow", family="uniform", seconds=2.0, particles=particles)[1]
    np.testing.assert_array_equal(again["particles"], on["particles"])
    other = client("swarm").answer("follow", family="uniform", seconds=2.0, particles=particles, number=1)[1]
    assert (other["particles"][-1] != on["particles"][-1]).any()


BOX = Box(10.0, 20.0, True)
FOUR = np.array([[1.0, 2.0, 0.5], [5.0, 10.0, 0.5], [9.5, 2.0, 0.5], [5.0, 4.0, 0.5]])


def stroke(does, start=(0.1, 0.1), end=(0.3, 0.1), reach=1.6):
    return Stroke(start=start, end=end, reach=reach, does=does)


def test_a_push_moves_and_turns_those_within_its_reach_around_the_box_too():
    pushed = struck(FOUR, stroke("push"), BOX)
    np.testing.assert_allclose(pushed[[0, 2]], FOUR[[0, 2]] + [2.0, 0.0, -0.5])  # 9.5 is 1.5 from 1.0 on a torus
    np.testing.assert_array_equal(pushed[[1, 3]], FOUR[[1, 3]])
    walled = struck(FOUR, stroke("push"), BOX._replace(periodic=False))
    np.testing.assert_array_equal(walled[2], FOUR[2])


def test_gathering_goes_to_the_end_and_scattering_heads_away_from_it():
    gathered, scattered = (struck(FOUR, stroke(does, reach=3.0), BOX) for does in ("gather", "scatter"))
    np.testing.assert_allclose(gathered[0, :2], [2.0, 2.0])
    np.testing.assert_array_equal(scattered[:, :2], FOUR[:, :2])
    assert scattered[0, 2] == pytest.approx(np.pi)
    assert scattered[3, 2] == pytest.approx(np.pi / 4)
    turned = struck(FOUR, stroke("turn", end=(0.1, 0.3)), BOX)
    assert turned[0].tolist() == pytest.approx([1.0, 2.0, np.pi / 2])


def test_a_stroke_is_felt(client):
    _, first = client("swarm").answer("follow", family="uniform", seconds=1.0)
    all_over = {"start": (0.5, 0.5), "end": (0.5, 0.6), "reach": 100.0, "does": "turn"}
    particles = first["particles"][0].tolist()
    _, on = client("swarm").answer("follow", family="uniform", seconds=1.0, particles=particles, stroke=all_over)
    np.testing.assert_allclose(on["particles"][0, :, 2], np.pi / 2, atol=1e-6)


# -- scenes ---------------------------------------------------------------------------------------------------------


def test_a_scene_in_free_flight_is_predicted_by_its_law(client):
    """`ballistic` is exact as long as nothing is touched, whatever the gravity."""
    facts, arrays = client("scenes").answer("pick", type="projectile", difficulty=1, seed=3, gravity=0.5, frames=12)
    assert arrays["truth"].shape[0] == 1 + facts["context"] + 12
    assert len(facts["bodies"]) == arrays["truth"].shape[1] == arrays["forecast"].shape[1]
    flying = np.abs(arrays["forecast"] - arrays["truth"][facts["context"] + 1 :])[..., :2].max(axis=(0, 2))
    assert flying.min() < 0.5
    again = client("scenes").answer("pick", type="projectile", difficulty=1, seed=3, gravity=0.5, frames=12)[1]
    np.testing.assert_array_equal(again["truth"], arrays["truth"])


def test_every_type_of_scene_can_be_picked(client):
    from emulant.systems.scenes.catalogue import TYPES

    for type_ in TYPES:
        facts, arrays = client("scenes").answer("pick", type=type_, difficulty=1, seed=0, frames=2)
        assert np.isfinite(arrays["error"]).all(), type_
        assert {piece["kind"] for piece in facts["statics"]} <= {"segment", "circle", "polygon"}


def test_a_type_that_gets_no_harder_says_so(client):
    from emulant.systems.scenes.catalogue import SCENARIOS
    from emulant.systems.scenes.play import HARDER

    name = next(name for name, scenario in SCENARIOS.items() if scenario.hardest < HARDER)
    refused = client("scenes").ask("pick", {"type": name, "difficulty": HARDER, "seed": 0})
    assert refused.status_code == 200
    assert "no harder" in refused.json()["what"]


# -- flavor ---------------------------------------------------------------------------------------------------------


def test_a_cell_is_stable_without_a_crossing_and_nothing_becomes_of_it(client):
    begin = client("flavor").begin
    facts, arrays = client("flavor").answer("look", **{**begin, "density_a": 0.0})
    assert facts["unstable"] is False
    assert facts["says_unstable"] is False
    assert facts["growth"] == 0
    assert (arrays["g"] > 0).all()
    np.testing.assert_allclose(arrays["densities"][1:], arrays["densities"][[0, 0]], rtol=1e-6)


def test_a_crossing_makes_it_unstable_and_mixing_keeps_lepton_numbers(runs, client):
    begin = client("flavor").begin
    facts, arrays = client("flavor").answer("look", **begin)
    assert facts["unstable"] is facts["says_unstable"] is True
    assert arrays["g"][0].min() < 0 < arrays["g"][0].max()
    before, after, prescribed = arrays["densities"]
    assert before @ [1, 1, 2, 2] == pytest.approx(1)
    np.testing.assert_array_equal(after, prescribed)  # the model is Box3D here
    for kept in ([1, -1, 0, 0], [1, 0, 2, 0], [0, 1, 0, 2]):
        assert after @ kept == pytest.approx(before @ kept, rel=1e-5)
    assert after[0] < before[0]


def test_the_growth_rate_goes_with_the_density(client):
    begin = client("flavor").begin
    thin, thick = (client("flavor").answer("look", **{**begin, "total": total})[0] for total in (1e32, 1e33))
    assert thick["growth"] == pytest.approx(10 * thin["growth"], rel=1e-6)
    assert thick["prescribed_growth"] == pytest.approx(10 * thin["prescribed_growth"], rel=1e-6)


def test_a_cell_is_simulated_on_demand(runs, client, monkeypatch):
    begin = client("flavor").begin
    facts, arrays = client("flavor").answer("simulate", **begin)
    assert facts["outcome"] in ("simulated", "not_converged", "not_saturated")
    assert arrays["densities"][0] @ [1, 1, 2, 2] == pytest.approx(1, rel=1e-5)
    stable, same = client("flavor").answer("simulate", **{**begin, "density_a": 0.0})
    assert stable["outcome"] == "stable"
    _, look = client("flavor").answer("look", **{**begin, "density_a": 0.0})
    np.testing.assert_allclose(same["densities"][0], look["densities"][0], rtol=1e-6)


def test_an_empty_cell_is_no_accident(client):
    begin = client("flavor").begin
    facts, arrays = client("flavor").answer("look", **{**begin, "density_e": 0.0, "density_a": 0.0, "density_x": 0.0})
    assert facts["unstable"] is False
    assert (arrays["densities"] == 0).all()


# -- halos ----------------------------------------------------------------------------------------------------------


def test_under_its_own_feedback_a_halo_is_the_case_of_the_data(runs, client):
    run = runs("halos")
    dataset = run.dataset("test")
    facts, arrays = client("halos").answer("paint", halo=1)
    masses = dataset.read(["halo_mass"])["halo_mass"]
    assert facts["mass"] == masses.max()
    case = dataset.cases["case"].to_list()[int(masses.argmax())]
    fields = dataset.read(["condition", "target"], [case])
    np.testing.assert_array_equal(arrays["seen"], fields["condition"][0])
    np.testing.assert_array_equal(arrays["truth"], fields["target"][0])
    assert facts["simulated"] == pytest.approx(fields["target"][0].sum(axis=(1, 2), dtype=float).tolist())


def test_a_halo_simulated_again_under_its_own_feedback_is_the_same(client):
    """The box is run anew, its files are not read: positions differ by the rounding of the files."""
    facts, arrays = client("halos").answer("paint", halo=1)
    again, maps = client("halos").answer("simulate", halo=1, parameters=facts["own"])
    assert again["simulated"] == pytest.approx(facts["simulated"], rel=2e-3)
    np.testing.assert_allclose(maps["truth"][0], arrays["truth"][0], rtol=0.02)
    np.testing.assert_allclose(maps["profiles"][:2], arrays["profiles"][1, :2], rtol=0.02)


def test_stronger_feedback_leaves_fewer_stars(client):
    facts, _ = client("halos").answer("paint", halo=1)
    own = facts["own"]
    weak, strong = (
        client("halos").answer("simulate", halo=1, parameters={**own, "WindEnergyIn1e51erg": energy})[0]
        for energy in (0.9, 14.4)
    )
    assert strong["simulated"][2] < 0.5 * weak["simulated"][2]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"halo": 200}, "there is no halo 200"),
        ({"halo": 1, "parameters": {"Omega0": 0.3}}, "no parameter `Omega0`"),
    ],
)
def test_a_halo_or_parameter_that_is_not_there_is_told(client, values, told):
    refused = client("halos").ask("paint", values)
    assert refused.status_code == 200
    assert told in refused.json()["what"]

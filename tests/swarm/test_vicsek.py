import numpy as np
import pytest
from scipy import stats

from emulant.errors import SimulationError
from emulant.systems.swarm.config import FAMILIES, MorseTable, NoiseTable, SystemTable
from emulant.systems.swarm.initial import positions, unit_vectors
from emulant.systems.swarm.neighbours import neighbour_sums
from emulant.systems.swarm.order import polarization
from emulant.systems.swarm.vicsek import simulate

STEER = MorseTable(mu=0.5)
ACCELERATE = MorseTable(mu=0.3, mode="accelerate")
DOCUMENT = SystemTable()


def run(system, seed=0, family="uniform", **options):
    return simulate(system, family, np.random.default_rng(seed), **options)


def vectors(headings):
    return np.stack([np.cos(headings), np.sin(headings)], -1)


def turn(after, before):
    """Angle from one field of headings to another, in (-π, π]."""
    return np.angle(np.exp(1j * (after - before)))


def replay(system, seed, family):
    """The random numbers of a case in their documented order: positions, headings, N turns per step."""
    rng = np.random.default_rng(seed)
    x, θ = positions(family, system, rng), rng.uniform(0, 2 * np.pi, system.N)
    half = system.noise.eta / 2
    uniform = system.noise.kind == "uniform"
    turns = [
        rng.uniform(-half, half, system.N) if uniform else rng.normal(0, system.noise.sd, system.N)
        for _ in range(system.steps)
    ]
    return x, θ, turns


@pytest.mark.parametrize(
    "system",
    [
        DOCUMENT,
        SystemTable(N=300, T=5.0, Lx=12.0, Ly=9.0, R=1.0),
        SystemTable(N=300, T=3.0, Lx=12.0, Ly=9.0, R=4.9),
        SystemTable(N=200, bc="reflecting", Lx=7.0, Ly=5.0, noise=NoiseTable(kind="uniform", eta=2.0)),
        SystemTable(N=40, bc="reflecting", Lx=3.0, Ly=4.0, noise=NoiseTable(match_variance=False)),
        SystemTable(N=40, R=40.0, forces=STEER),
        SystemTable(N=200, bc="reflecting", forces=STEER),
        SystemTable(N=40, forces=ACCELERATE),
        SystemTable(N=200, Lx=40.0, Ly=30.0, forces=ACCELERATE),
    ],
)
def test_each_step_equals_the_plain_one(system, brute_step):
    """From each stored frame one step of the model, written out in numpy over every pair, gives the next."""
    case = run(system, 11, "two_clusters")
    x, θ, turns = replay(system, 11, "two_clusters")
    np.testing.assert_array_equal(case.positions[0], x)
    np.testing.assert_allclose(turn(case.headings[0], θ), 0, atol=1e-14)
    for k in range(system.steps):
        x, u, speed = brute_step(case.positions[k], vectors(case.headings[k]), case.speeds[k], turns[k], system)
        np.testing.assert_allclose(case.positions[k + 1], x, atol=1e-12)
        np.testing.assert_allclose(vectors(case.headings[k + 1]), u, atol=1e-11)
        np.testing.assert_allclose(case.speeds[k + 1], speed, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bc", ["periodic", "reflecting"])
def test_what_holds_exactly(family, bc):
    system = DOCUMENT.model_copy(update={"bc": bc, "T": 10.0, "Ly": 11.0})
    case = run(system, 1, family)
    size = np.array([system.Lx, system.Ly])
    assert ((case.positions >= 0) & (case.positions < size)).all()
    assert (abs(case.headings) <= np.pi).all()
    assert (case.speeds == system.speed).all()
    way = np.diff(case.positions, axis=0)
    if bc == "periodic":
        way -= size * np.round(way / size)
        np.testing.assert_allclose(np.hypot(*way.T), system.speed * system.dt, atol=1e-12)
        np.testing.assert_allclose(way, 0.1 * vectors(case.headings[1:]), atol=1e-12)  # the NEW heading moves
    else:
        assert (np.hypot(*way.T) <= system.speed * system.dt + 1e-12).all()


@pytest.mark.parametrize(
    ("noise", "law"),
    [
        (NoiseTable(), stats.norm(0, 0.3 / np.sqrt(12))),
        (NoiseTable(match_variance=False), stats.norm(0, 0.3)),
        (NoiseTable(kind="uniform"), stats.uniform(-0.15, 0.3)),
    ],
)
def test_the_angle_to_the_neighbours_mean_follows_the_law_of_the_noise(noise, law):
    system = SystemTable(N=2000, Lx=60.0, Ly=60.0, T=1.0, noise=noise)
    case = run(system)
    for k in range(system.steps):
        sums = neighbour_sums(case.positions[k], unit_vectors(case.headings[k]), system.R, system.box)
        angles = turn(case.headings[k + 1], np.arctan2(sums[:, 1], sums[:, 0]))
        assert angles.std() == pytest.approx(law.std(), rel=0.06)
        assert stats.kstest(angles, law.cdf).pvalue > 1e-4


def test_the_transition_from_order_to_disorder():
    """Vicsek et al. 1995, density 4: the flock melts as the uniform noise grows to the full circle."""
    N, L = 400, 10.0
    means = []
    for eta in (0.1, 1.5, 3.0, 4.5, 2 * np.pi):
        noise = NoiseTable(kind="uniform", eta=eta)
        system = SystemTable(N=N, Lx=L, Ly=L, R=1.0, dt=0.5, T=400.0, speed=0.5, noise=noise, long_T=400.0)
        means.append(polarization(run(system, 2).headings[300:]).mean())
    assert means[0] > 0.95
    assert (np.diff(means) < 0).all()
    assert means[-1] < 2 / np.sqrt(N)


def test_times_are_one_multiplication_away_from_the_step():
    case = run(SystemTable(dt=0.1, T=3.0, save_every=3))
    np.testing.assert_array_equal(case.times, np.array([0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]) * 0.1)


def test_saving_less_often_changes_nothing_else():
    every, third = run(SystemTable(T=3.1, N=200)), run(SystemTable(T=3.1, N=200, save_every=3))
    assert third.positions.tobytes() == every.positions[::3].tobytes()
    assert third.headings.tobytes() == every.headings[::3].tobytes()


def test_a_longer_case_begins_as_the_shorter_one():
    short, long = run(DOCUMENT), run(DOCUMENT, duration=10.0)
    assert long.positions.shape == (101, 40, 2)
    assert long.positions[:21].tobytes() == short.positions.tobytes()


def test_the_size_of_the_blocks_of_noise_changes_nothing(monkeypatch):
    whole = run(SystemTable(N=200, T=7.0))
    monkeypatch.setattr("emulant.systems.swarm.vicsek.BLOCK", 999)
    pieces = run(SystemTable(N=200, T=7.0))
    assert pieces.positions.tobytes() == whole.positions.tobytes()
    assert pieces.headings.tobytes() == whole.headings.tobytes()


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    assert run(DOCUMENT, 3).positions.tobytes() == run(DOCUMENT, 3).positions.tobytes()
    assert run(DOCUMENT, 3).positions.tobytes() != run(DOCUMENT, 4).positions.tobytes()


def still(scripted, system, x, θ):
    """Two particles without noise from where they are told to start."""
    system = SystemTable(N=len(x), noise=NoiseTable(eta=0.0), **system)
    return simulate(system, "uniform", scripted(x, θ, system.box))


def test_a_wall_flips_one_component_and_keeps_it_flipped(scripted):
    case = still(scripted, {"bc": "reflecting", "T": 0.3}, [[0.05, 7.0]], [np.pi - 0.3])
    c, s = 0.1 * np.cos(0.3), 0.1 * np.sin(0.3)
    expected = [[0.05, 7.0], [c - 0.05, 7 + s], [2 * c - 0.05, 7 + 2 * s], [3 * c - 0.05, 7 + 3 * s]]
    np.testing.assert_allclose(case.positions[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(case.headings[1:, 0], 0.3, atol=1e-12)


def test_walls_hide_what_a_torus_shows(scripted):
    """Two particles on either side of the edge see each other on the torus only."""
    start = [[0.5, 7.0], [14.5, 7.0]], [np.pi / 2, 0.0]
    torus = still(scripted, {"T": 0.1}, *start)
    np.testing.assert_allclose(torus.headings[1], np.pi / 4, atol=1e-12)
    walls = still(scripted, {"T": 0.1, "bc": "reflecting"}, *start)
    np.testing.assert_allclose(walls.headings[1], [np.pi / 2, 0], atol=1e-12)


def test_headings_that_cancel_are_kept(scripted):
    case = still(scripted, {"T": 0.5}, [[7.0, 7.0], [7.5, 7.0]], [0.4, 0.4 + np.pi])
    np.testing.assert_allclose(turn(case.headings, [0.4, 0.4 + np.pi]), 0, atol=1e-9)


def test_steering_keeps_the_speed_and_the_strength_of_the_force_acts(scripted):
    x, θ = [[7.0, 7.0], [7.0, 7.3]], [0.0, 0.0]
    sides = []
    for mu in (0.01, 0.1, 1.0):
        case = still(scripted, {"T": 0.1, "forces": MorseTable(mu=mu)}, x, θ)
        assert (case.speeds == 1).all()
        sides.append(case.headings[1, 1])
    f = 4 * np.exp(-0.6) - np.exp(-0.2) / 1.5
    np.testing.assert_allclose(sides, np.arctan(f * np.array([0.01, 0.1, 1.0])), rtol=1e-9)


def test_acceleration_adds_the_force_to_the_velocity(scripted):
    x, θ = [[7.0, 7.0], [7.0, 7.3]], [0.0, 0.0]
    case = still(scripted, {"T": 0.1, "forces": MorseTable(mu=0.5, mode="accelerate")}, x, θ)
    f = 4 * np.exp(-0.6) - np.exp(-0.2) / 1.5
    np.testing.assert_allclose(case.speeds[1], np.hypot(1, 0.05 * f), rtol=1e-12)
    np.testing.assert_allclose(case.headings[1], [-np.arctan(0.05 * f), np.arctan(0.05 * f)], rtol=1e-9)


def test_a_runaway_case_is_an_error_that_says_what_to_lower():
    system = SystemTable(N=200, forces=MorseTable(mode="accelerate", mu=1e6))
    with pytest.raises(SimulationError, match=r"system\.forces\.mu"):
        run(system)


@pytest.mark.parametrize("fields", [{"N": 1}, {"speed": 0.0}, {"N": 129, "R": 1e-3, "speed": 1e-3}])
def test_the_edges_of_the_study_run(fields):
    case = run(SystemTable(**fields))
    assert np.isfinite(case.positions).all()
    assert np.isfinite(case.headings).all()

"""Double pendulums: simulating, storing, feeding and training on them, and their exponents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numba import carray, cfunc
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks.table import Options, Row, Section
from benchmarks.timing import Contest, contest, duration
from emulant.dataset.seams import Shard
from emulant.systems.pendulum.config import PendulumConfig, PendulumDataset, SystemTable
from emulant.systems.pendulum.equations import accelerate, energy, reduced
from emulant.systems.pendulum.files import write_shard
from emulant.systems.pendulum.integrate import integrate
from emulant.systems.pendulum.lyapunov import spectrum
from emulant.systems.pendulum.pendulum import system
from emulant.systems.pendulum.readers import open_dataset
from emulant.systems.pendulum.sampling import draw

Array = NDArray[np.float64]
TOLERANCE = 1e-9
FINE = SystemTable(dt=0.01)
"""T = 10 s."""
TIMES = np.arange(FINE.steps + 1) * FINE.dt
CLOSE = 1e-3
"""rad and rad/s: a case whose end is nearer than that to heyoka's at 1e-15 counts as right."""


def starts(cases: int) -> tuple[Array, Array]:
    """The first training cases of the default study: (C, 4) and (C, 5)."""
    drawn = [draw(PendulumConfig(), "training", case) for case in range(cases)]
    return np.stack([state for state, _ in drawn]), np.stack([numbers for _, numbers in drawn])


# -- the peers ----------------------------------------------------------------------------------------------------


def with_scipy(states: Array, parameters: Array) -> Array:
    """(C, T, 4), as the manual of `solve_ivp` shows: a Python function, one case at a time."""

    def rates(_: float, y: Array, mu: float, nu: float, rho: float, gamma: float) -> Sequence[float]:
        s1, c1, s2, c2 = math.sin(y[0]), math.cos(y[0]), math.sin(y[1]), math.cos(y[1])
        return [y[2], y[3], *accelerate.py_func(s1, c1, s2, c2, y[2], y[3], mu, nu, rho, gamma)]

    settings = {"method": "DOP853", "t_eval": TIMES, "rtol": TOLERANCE, "atol": TOLERANCE}
    found = [
        solve_ivp(rates, (0.0, TIMES[-1]), state, args=tuple(table), **settings).y.T
        for state, table in zip(states, reduced(parameters), strict=True)
    ]
    return np.stack(found)


def numbalsoda_solver(method: str) -> Callable[[Array, Array], Array]:
    """numbalsoda's `lsoda` or `dop853` with a compiled right-hand side."""
    library = import_module("numbalsoda")

    @cfunc(library.lsoda_sig)
    def rates(_: float, y: Any, dy: Any, p: Any) -> None:
        u, q = carray(y, (4,)), carray(p, (4,))
        s1, c1, s2, c2 = np.sin(u[0]), np.cos(u[0]), np.sin(u[1]), np.cos(u[1])
        a1, a2 = accelerate(s1, c1, s2, c2, u[2], u[3], q[0], q[1], q[2], q[3])
        dy[0], dy[1], dy[2], dy[3] = u[2], u[3], a1, a2

    solve = getattr(library, method)

    def run(states: Array, parameters: Array) -> Array:
        tables = np.ascontiguousarray(reduced(parameters))
        pairs = zip(states, tables, strict=True)
        return np.stack([solve(rates.address, y, TIMES, q, rtol=TOLERANCE, atol=TOLERANCE)[0] for y, q in pairs])

    run.compiled = rates  # type: ignore[attr-defined]  # kept alive: the solver has only its address
    return run


def heyoka_solver(tolerance: float) -> Callable[[Array, Array], Array]:
    """heyoka's batch mode: as many cases abreast as the machine's vectors hold."""
    heyoka = import_module("heyoka")
    width = heyoka.recommended_simd_size()
    theta1, theta2, w1, w2 = heyoka.make_vars("theta1", "theta2", "w1", "w2")
    waves = heyoka.sin(theta1), heyoka.cos(theta1), heyoka.sin(theta2), heyoka.cos(theta2)
    a1, a2 = accelerate.py_func(*waves, w1, w2, *(heyoka.par[i] for i in range(4)))
    equations = [(theta1, w1), (theta2, w2), (w1, a1), (w2, a2)]
    blank = np.zeros((4, width))
    taylor = heyoka.taylor_adaptive_batch(equations, blank.copy(), tol=tolerance, pars=blank.copy())
    grid = np.repeat(TIMES[:, None], width, axis=1)

    def run(states: Array, parameters: Array) -> Array:
        tables, paths = reduced(parameters), []
        for first in range(0, len(states), width):
            rows = np.minimum(np.arange(first, first + width), len(states) - 1)
            taylor.set_time(0.0)
            taylor.state[:], taylor.pars[:] = states[rows].T, tables[rows].T
            paths.append(np.moveaxis(taylor.propagate_grid(grid)[1], -1, 0))
        return np.concatenate(paths)[: len(states)]

    return run


# -- simulating ---------------------------------------------------------------------------------------------------


def simulation(seconds: float, cases: int = 1000) -> Iterator[Row]:
    """1000 cases of ours; of each peer as many as are worth waiting for, told per case."""
    states, parameters = starts(cases)
    peers: dict[str, tuple[int, float | None, Callable[[Array, Array], Array]]] = {
        "scipy DOP853": (10, 400.0, with_scipy)
    }
    if find_spec("numbalsoda"):
        peers |= {f"numbalsoda {name}": (100, 5.0, numbalsoda_solver(name)) for name in ("lsoda", "dop853")}
    if find_spec("heyoka"):
        peers["heyoka batch"] = (200, 0.9, heyoka_solver(TOLERANCE))
    peers = {name: (min(count, cases), least, solve) for name, (count, least, solve) in peers.items()}
    functions: dict[str, Callable[[], object]] = {
        "ours": lambda: integrate(states, parameters, FINE, trust=False),
        "trusted": lambda: integrate(states, parameters, FINE),
    }
    for name, (count, _, solve) in peers.items():
        functions[name] = partial(solve, states[:count], parameters[:count])
    found = contest(functions, seconds=seconds, rounds=(3, 10))
    solution = integrate(states, parameters, FINE)
    yield _rate("integration", found, "ours", cases, 5000.0, _accuracy(solution.states, states, parameters))
    trusted = f"trusted to the end: {(solution.trust_horizon >= FINE.T).mean():.1%}"
    yield _rate("with the trust horizon", found, "trusted", cases, 2000.0, trusted)
    for name, (count, least, solve) in peers.items():
        ratio = found.ratio(name) * cases / count
        yield Row(
            "integration of one case",
            found.said("ours", 1 / cases),
            f"{name} {found.said(name, 1 / count)}",
            ratio,
            f"≥ {least:g} x",
            ratio >= least,
            _accuracy(solve(states[:count], parameters[:count]), states[:count], parameters[:count]),
        )


def _rate(what: str, found: Contest, name: str, cases: int, target: float, accuracy: str) -> Row:
    rate = cases / found.median(name)
    best = cases / found.least(name)
    said = f"{rate:.0f}/s on a core (best {best:.0f}/s)"
    return Row(
        f"{cases} cases, {what}", said, target=f"≥ {target:.0f}/s on a core", met=rate >= target, accuracy=accuracy
    )


def _accuracy(paths: Array, states: Array, parameters: Array) -> str:
    drift = np.abs(np.ptp(energy(paths, parameters[:, None]), axis=1))
    told = f"median energy drift {np.median(drift):.1e} J"
    if not find_spec("heyoka"):
        return told
    cases = min(len(paths), 200)
    exact = heyoka_solver(1e-15)(states[:cases], parameters[:cases])[:, -1]
    right = (np.abs(paths[:cases, -1] - exact) < CLOSE).all(axis=1).mean()
    return f"{told}, {right:.0%} right at 10 s"


def shards(seconds: float, sizes: tuple[int, int] = (48, 50)) -> Iterator[Row]:
    """Lanes come sixteen at a time: 50 cases leave 14 of 64 empty, 48 none."""
    config, (full, usual) = PendulumConfig(), sizes
    functions = {
        str(size): partial(system.simulate, Shard("00000", "training", tuple(range(size))), config) for size in sizes
    }
    found = contest(functions, seconds=seconds)
    said = {size: found.said(str(size), 1 / size) for size in sizes}
    ratio = found.ratio(str(usual), str(full)) * full / usual
    yield Row(f"a case in a shard of {full}", said[full], f"in a shard of {usual} {said[usual]}", ratio)


# -- storing and feeding ------------------------------------------------------------------------------------------


def storage(seconds: float, cases: int = 400) -> Iterator[Row]:
    """Writing float32, and random windows of what was written, without loading it."""
    config = PendulumConfig(
        system=FINE.model_copy(update={"accelerations": False}), dataset=PendulumDataset(dtype="float32")
    )
    pieces = [
        Shard(f"{first // 100:05d}", "training", tuple(range(first, min(first + 100, cases))))
        for first in range(0, cases, 100)
    ]
    products = [system.simulate(shard, config) for shard in pieces]
    rows = cases * (FINE.steps + 1)
    with TemporaryDirectory() as place:
        folder = Path(place)

        def write() -> None:
            for shard, product in zip(pieces, products, strict=True):
                write_shard(shard, product, folder)

        write()
        stored = sum(path.stat().st_size for path in folder.glob("*.parquet")) / rows
        windows = open_dataset(folder).windows(100, batch=256)
        functions = {"write": write, "windows": lambda: sum(len(batch) for batch in windows)}
        found = contest(functions, seconds=seconds)
        speed, fed = rows / found.median("write") / 1e6, windows.count / found.median("windows")
    yield Row("writing, float32", f"{speed:.1f} Mrows/s", target="≥ 5 Mrows/s", met=speed >= 5)
    yield Row("stored, float32", f"{stored:.1f} bytes a row", target="≤ 12.5", met=stored <= 12.5)
    yield Row("random windows, 100 x 4, batch 256", f"{fed:,.0f}/s", target="≥ 500,000/s", met=fed >= 500_000)


# -- exponents ----------------------------------------------------------------------------------------------------


def exponents(seconds: float, cases: int = 100, time: float = 300.0) -> Iterator[Row]:
    """The whole spectrum of tangent vectors."""
    states, parameters = starts(cases)
    found = contest({"ours": partial(spectrum, states, parameters, time)}, seconds=seconds, rounds=(2, 5))
    error = spectrum(states, parameters, time).volume_error.max()
    taken = found.median("ours")
    yield Row(
        f"Lyapunov spectra, {cases} cases x {time:g} s",
        duration(taken),
        target="≤ 15 s",
        met=taken <= 15,
        accuracy=f"volume error ≤ {error:.0e}",
    )


# -- training -----------------------------------------------------------------------------------------------------


def overhead(seconds: float, steps: int = 48) -> Iterator[Row]:
    """The same steps with and without the loop around them."""
    import torch

    from emulant.surrogates import residual_mlp
    from emulant.surrogates.recurrent import RecurrentNetwork, sequence_loss

    lstm = partial(RecurrentNetwork, "lstm", 6, 0, 64, 1)
    sequences = (torch.randn(512, 200, 6), torch.randn(512, 200, 6))
    taken, bare, extra = _contest_of_loops(lstm, sequence_loss, sequences, 64, steps, seconds)
    share = extra / bare
    yield Row(
        "a step of `lstm`",
        duration(taken),
        f"bare loop {duration(bare)}",
        target="≤ 5 % more",
        met=share <= 0.05,
        accuracy=f"{share:+.1%}",
    )
    mlp = partial(residual_mlp.perceptron, 6, 128, 3, 4)
    pairs = (torch.randn(8192, 6), torch.randn(8192, 4))
    taken, bare, extra = _contest_of_loops(mlp, residual_mlp.step_loss, pairs, 1024, 8 * steps, seconds)
    yield Row(
        "a step of `residual_mlp`",
        duration(taken),
        f"bare loop {duration(bare)}",
        target="≤ 0.5 ms more",
        met=extra <= 5e-4,
        accuracy=f"{1e3 * extra:+.2f} ms",
    )


def _contest_of_loops(
    build: Callable[[], Any], loss: Any, tensors: Any, size: int, steps: int, seconds: float
) -> tuple[float, float, float]:
    """Seconds a step with the loop, without it, and what it adds: the median over rounds of the difference."""
    import torch
    from torch.nn.utils import clip_grad_norm_

    from emulant.training import loop
    from emulant.training.batches import of_tensors
    from emulant.training.table import TrainingTable

    epochs = 4
    table = TrainingTable(max_epochs=epochs, epoch_batches=steps // epochs, batch_size=size, scheduler="none")
    data = of_tensors(loss, tensors, None, table, 0)

    def bare() -> None:
        module = build()
        optimizer = torch.optim.Adam(module.parameters(), lr=table.learning_rate, fused=True)
        for epoch in range(epochs):
            for batch in data.batches(epoch):
                optimizer.zero_grad()
                value = loss(module, batch)
                value.backward()
                clip_grad_norm_(module.parameters(), table.gradient_clip)
                optimizer.step()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = contest({"ours": lambda: loop.train(build(), data, table), "bare": bare}, seconds=seconds, rounds=(5, 20))
    torch.set_num_threads(threads)
    extra = np.median(np.subtract(found.samples["ours"], found.samples["bare"])) / steps
    return found.median("ours") / steps, found.median("bare") / steps, float(extra)


def run(options: Options) -> Section:
    """Everything; about three minutes."""
    rows = [
        *simulation(options.seconds),
        *shards(options.seconds),
        *storage(options.seconds),
        *exponents(options.seconds),
        *overhead(options.seconds),
    ]
    how = (
        "Starts of the default study, T = 10 s, dt = 0.01 s, all on one core; the simulator runs a shard per core. "
        "Peers at a tolerance of 1e-9, each with as many cases as are worth waiting for, told per case; right means "
        "within 1e-3 of heyoka at 1e-15 in every component at 10 s. `trusted` also integrates every case with half the "
        "step. Training: the same batches, loss, clipping and optimizer with and without the loop; no validation."
    )
    return Section("Pendulum", how, rows)

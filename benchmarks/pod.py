"""POD against opinf and scikit-learn: time, peak memory, and how much of the snapshots each basis misses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from benchmarks import data
from benchmarks.table import Options, Row, Section
from benchmarks.timing import contest, duration, peak_memory, resident
from emulant.surrogates.pod import POD

Array = NDArray[np.float64]

LIMIT = 1500.0
"""MB that a stream of 50,000 snapshots may take, the whole process."""


# Each takes snapshots as rows and gives its basis as columns; imports inside, for each is also run in its own process.


def ours(snapshots: Array, rank: int) -> Array:
    return POD.fit([snapshots], rank=rank).modes


def opinf(snapshots: Array, rank: int) -> Array:
    from opinf.basis import PODBasis

    return np.asarray(PODBasis(num_vectors=rank).fit((snapshots - snapshots.mean(axis=0)).T).entries)


def sklearn(snapshots: Array, rank: int) -> Array:
    from sklearn.decomposition import PCA

    return np.asarray(PCA(rank, svd_solver="randomized", random_state=0).fit(snapshots).components_.T)


METHODS = {"ours": ours, "opinf PODBasis": opinf, "scikit-learn PCA randomized": sklearn}


def missed(basis: Array, snapshots: Array) -> float:
    """The relative L2 error of the centred snapshots after projection on the basis."""
    centred = snapshots - snapshots.mean(axis=0)
    return float(np.linalg.norm(centred - centred @ basis @ basis.T) / np.linalg.norm(centred))


def rows(seconds: float, cases: int = 50, cells: int = 64, rank: int = 50) -> Iterator[Row]:
    snapshots = data.fields("training", cases, cells=cells).reshape(-1, cells**2)
    values = scipy.linalg.svdvals(snapshots - snapshots.mean(axis=0))
    best = np.sqrt(np.sum(values[rank:] ** 2) / np.sum(values**2))
    found = contest({name: partial(method, snapshots, rank) for name, method in METHODS.items()}, seconds=2 * seconds)
    memory = {name: peak_memory(method, (snapshots[:40], 2), (snapshots, rank)) for name, method in METHODS.items()}
    excess = {name: missed(method(snapshots, rank), snapshots) / best - 1 for name, method in METHODS.items()}
    what = f"{len(snapshots)} x {cells**2}, rank {rank}"
    for name, least in (("opinf PODBasis", 5.0), ("scikit-learn PCA randomized", 1.0)):
        ratio = found.ratio(name)
        yield Row(
            what,
            found.said("ours"),
            f"{name} {found.said(name)}",
            ratio,
            f"≥ {least:g} x",
            ratio >= least,
            f"misses {best:.4f}; above the best basis by {excess['ours']:.0e}, peer {excess[name]:.0e}",
        )
        said = f"{memory['ours']:.0f} MB", f"{name} {memory[name]:.0f} MB"
        yield Row(f"{what}: peak memory beyond the snapshots", *said, memory[name] / memory["ours"])
    median = found.median("ours")
    yield Row(f"{what}: time", found.said("ours"), target=f"≤ {duration(0.2)}", met=median <= 0.2)


# -- a stream -----------------------------------------------------------------------------------------------------


def blocks(count: int, cells: int, size: int = 400) -> Iterator[Array]:
    """Snapshots of 200 smooth modes of falling strength and some noise; they never exist all at once."""
    rng = np.random.default_rng(0)
    modes = np.cos(np.pi * np.arange(1, 201)[:, None] * (np.arange(cells) + 0.5) / cells) / np.arange(1, 201)[:, None]
    for start in range(0, count, size):
        rows = min(size, count - start)
        yield 1.0 + rng.normal(size=(rows, 200)) @ modes + 1e-3 * rng.normal(size=(rows, cells))


def streamed(count: int, cells: int, rank: int) -> tuple[float, float, float]:
    """Seconds, MB of the whole process at its peak, and the error of the captured energy against a second reading."""
    start = time.process_time()
    pod = POD.fit(blocks(count, cells), rank=rank)
    seconds = time.process_time() - start
    total = kept = 0.0
    for block in blocks(count, cells):
        total += float(np.sum((block - pod.mean) ** 2))
        kept += float(np.sum(pod.encode(block) ** 2))
    return seconds, resident("VmHWM"), abs(kept / total - pod.energy)


def stream_row(count: int, cells: int, rank: int) -> Row:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        seconds, megabytes, error = pool.submit(streamed, count, cells, rank).result()
    return Row(
        f"{count} x {cells} in a stream, rank {rank}",
        f"{megabytes:.0f} MB, {duration(seconds)}",
        f"the snapshots alone {count * cells * 8 / 2**20:.0f} MB",
        target=f"< {LIMIT:.0f} MB",
        met=megabytes < LIMIT,
        accuracy=f"energy against a second reading {error:.0e}",
    )


def run(options: Options) -> Section:
    found = [*rows(options.seconds)]
    if options.long:
        found.append(stream_row(50_000, 4096, 50))
    return Section(
        "POD",
        "Density fields of 50 swarms. opinf is handed centred snapshots (the centring counts), scikit-learn centres by "
        "itself. Accuracy: the relative L2 error of the projected snapshots for the best basis that there is (from "
        "the singular values), and how much larger each basis' own is. Memory: the peak that one call adds to a "
        "process that holds the snapshots.",
        found,
    )

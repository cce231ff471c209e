"""An autoregression of POD coefficients, fitted to many runs, against statsmodels' VAR on the runs end to end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from statsmodels.tsa.api import VAR

from benchmarks import data
from benchmarks.table import Options, Row, Section
from benchmarks.timing import contest, duration
from emulant.surrogates.mvar import MVAR, windows
from emulant.surrogates.pod import POD

Array = NDArray[np.float64]


def var(runs: Array, lag: int) -> Array:
    """(p, r, r): statsmodels knows one series, so its users put the runs end to end."""
    return np.asarray(VAR(runs.reshape(-1, runs.shape[-1])).fit(lag, trend="n").coefs)


def one_step_r2(matrices: Array, runs: Array) -> float:
    """Of the next frame's coefficients, in runs that were not fitted."""
    lagged, targets = windows(runs, len(matrices))
    missed = targets - np.einsum("wkj,kij->wi", lagged, matrices)
    return float(1 - np.sum(missed**2) / np.sum((targets - targets.mean(axis=0)) ** 2))


def rows(seconds: float, cases: int = 100, cells: int = 64, rank: int = 60, lag: int = 4) -> Iterator[Row]:
    train, test = (data.fields(split, n, cells=cells) for split, n in (("training", cases), ("test", cases // 5)))
    pod = POD.fit([train.reshape(-1, cells**2)], rank=rank)
    runs, unseen = pod.encode(train), pod.encode(test)
    found = contest({"ours": partial(MVAR.fit, runs, lag, 1e-6), "VAR": partial(var, runs, lag)}, seconds=seconds)
    own = MVAR.fit(runs, lag, 1e-6).matrices
    lagged, targets = windows(runs, lag)
    plain = np.linalg.lstsq(lagged.reshape(len(lagged), -1), targets, rcond=None)[0]
    apart = np.abs(own - plain.reshape(lag, rank, rank).transpose(0, 2, 1)).max() / np.abs(plain).max()
    accuracy = (
        f"R² of the next frame, unseen runs: {one_step_r2(own, unseen):.4f} against "
        f"{one_step_r2(var(runs, lag), unseen):.4f}; to plain least squares {apart:.0e} (the ridge)"
    )
    what, peer = f"{cases} runs x {runs.shape[1]} frames, r = {rank}, p = {lag}", f"statsmodels VAR {found.said('VAR')}"
    yield Row(
        what, found.said("ours"), peer, found.ratio("VAR"), f"< {duration(0.05)}", found.median("ours") < 0.05, accuracy
    )


def run(options: Options) -> Section:
    return Section(
        "Autoregression",
        "The fit of all coefficients, ridge 1e-6 for ours. statsmodels gets the runs end to end, as its users do, "
        "so its windows reach from one run into the next.",
        list(rows(options.seconds)),
    )

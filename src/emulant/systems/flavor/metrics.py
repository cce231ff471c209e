"""How well a surrogate does: of every task, and of what it must never break.

The state after saturation is scored over n_tot, and only where the truth is one: cells that were excluded
(`fields.EXCLUDED`) but have a final state are scored by `rms_f4_excluded`. `info["start"]`, `info["spread"]` and, under
the names of `RIVALS`, what those make of the cells, give four-fluxes by split and case; `info["probe"]` what was
measured of the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from emulant.dataset.seams import Array, Fields, Metric
from emulant.systems.flavor.fields import EXCLUDED, F4_FINAL, GROWTH, STABLE

Info: TypeAlias = Mapping[str, Any]
Score: TypeAlias = Callable[[Fields, Fields, Info], Array]

MARGINS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 0.5)
"""Edges of the bins by the depth I< / (I< + I>) of the crossing."""

RIVALS = ("box3d", "profile", "untrained")
"""The baselines that every model is compared with cell by cell."""


def start(info: Info) -> Array:
    """The four-fluxes before, (C, 4, 2, NF)."""
    return _known(info, "start")


def _known(info: Info, what: str) -> Array:
    rows = info["cases"]
    known = info[what][rows["split"][0]]
    return np.stack([known[case] for case in rows["case"].to_list()])


def totals(f4: Array) -> Array:
    """n_tot, (C, 1, 1, 1); 1 for vacuum."""
    total = f4[:, 3].sum(axis=(1, 2))[:, None, None, None]
    return np.where(total > 0, total, 1.0)


def excluded(info: Info) -> Array:
    """(C,): whether the truth of a case is not to be trusted, or missing because it would have taken too long."""
    cases = info["cases"]
    if "outcome" not in cases.columns:
        return np.zeros(len(cases), dtype=bool)
    return np.asarray(cases["outcome"].is_in(EXCLUDED).to_numpy())


def mean_square(truth: Fields, prediction: Fields, info: Info) -> Array:
    """(C,) of all components, over n_tot²; NaN where there is no final state."""
    off = (prediction[F4_FINAL][:, 0] - truth[F4_FINAL]) / totals(start(info))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.mean(off**2, axis=(1, 2, 3)))


def trusted_square(truth: Fields, prediction: Fields, info: Info) -> Array:
    return np.where(excluded(info), np.nan, mean_square(truth, prediction, info))


def excluded_square(truth: Fields, prediction: Fields, info: Info) -> Array:
    return np.where(excluded(info), mean_square(truth, prediction, info), np.nan)


def skill_over_box3d(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Numerators and denominators of 1 - (rms / rms of Box3D)²."""
    square, box3d = against("box3d")(truth, prediction, info)
    return np.stack([box3d - square, np.where(np.isnan(square), np.nan, box3d)])


def against(rival: str) -> Score:
    """Mean squares of the model and of a rival, for a paired comparison."""

    def score(truth: Fields, prediction: Fields, info: Info) -> Array:
        its = {F4_FINAL: _known(info, rival)[:, None]}
        return np.stack([trusted_square(truth, each, info) for each in (prediction, its)])

    return score


def growth_error(truth: Fields, prediction: Fields, info: Info) -> Array:
    """|γ / γ_true - 1| of the cells that are unstable."""
    true = truth[GROWTH]
    unstable = (truth[STABLE] == 0) & (true > 0)
    return np.where(unstable, np.abs(prediction[GROWTH][:, 0] / np.where(unstable, true, 1.0) - 1.0), np.nan)


def called_stable(of: int, says: int) -> Score:
    """Of the cells whose stability is `of`, those that are said to be `says`."""

    def score(truth: Fields, prediction: Fields, info: Info) -> Array:
        return np.where(truth[STABLE] == of, prediction[STABLE][:, 0] == says, np.nan)

    return score


def wrong_stability(truth: Fields, prediction: Fields, info: Info) -> Array:
    return np.asarray(prediction[STABLE][:, 0] != truth[STABLE], dtype=float)


def _change(prediction: Fields, info: Info) -> Array:
    before = start(info)
    return np.asarray((prediction[F4_FINAL][:, 0] - before) / totals(before))


def eln_violation(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Largest change of a lepton number, over n_tot."""
    change = _change(prediction, info)[:, 3]
    return np.asarray(np.abs(change[:, 0] - change[:, 1]).max(axis=1))


def trace_violation(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Largest change of the number of neutrinos, or of antineutrinos, over n_tot."""
    return np.asarray(np.abs(_change(prediction, info)[:, 3].sum(axis=2)).max(axis=1))


def unphysical(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Whether a density is negative or a flux larger than its density, beyond rounding."""
    f4 = prediction[F4_FINAL][:, 0] / totals(start(info))
    n, size = f4[:, 3], np.sqrt(np.sum(f4[:, :3] ** 2, axis=1))
    wrong = (n < -1e-12) | (size > n * (1 + 1e-9) + 1e-12)
    return np.asarray(wrong.any(axis=(1, 2)), dtype=float)


def altered_though_stable(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Largest change of a truly stable cell, over n_tot."""
    largest = np.abs(_change(prediction, info)).max(axis=(1, 2, 3))
    return np.where(truth[STABLE] == 1, largest, np.nan)


def label_noise(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Mean square of the truth's spread over its seeds, over n_tot²: nothing can beat it."""
    spread = _known(info, "spread") / totals(start(info))
    return np.where(excluded(info), np.nan, np.mean(spread**2, axis=(1, 2, 3)))


def is_excluded(truth: Fields, prediction: Fields, info: Info) -> Array:
    """1 for an excluded cell; cells that were never to be simulated do not count."""
    cases = info["cases"]
    asked = np.ones(len(cases)) if "outcome" not in cases.columns else (cases["outcome"] != "labels_only").to_numpy()
    return np.where(asked, excluded(info).astype(float), np.nan)


def probed(name: str) -> Score:
    """What the probe has measured; NaN where the model has no such thing."""

    def score(truth: Fields, prediction: Fields, info: Info) -> Array:
        return np.asarray(info["probe"].get(name, np.full(len(info["cases"]), np.nan)), dtype=float)

    return score


def coverage(truth: Fields, prediction: Fields, info: Info) -> Array:
    """Share of the components whose error is within the predicted standard deviation; cells with a crossing only."""
    expected = probed("uncertainty")(truth, prediction, info)
    off = np.abs(prediction[F4_FINAL][:, 0] - truth[F4_FINAL]) / totals(start(info))
    share = (off <= expected[:, None, None, None]).mean(axis=(1, 2, 3))
    unknown = ~(expected > 0) | excluded(info) | ~np.isfinite(off).all(axis=(1, 2, 3))
    return np.where(unknown, np.nan, share)


def _metric(score: Score, meaning: str, better: Literal["higher", "lower"] = "lower", **more: Any) -> Metric:
    return Metric(score, more.pop("unit", "1"), meaning, better, **more)


METRICS: Mapping[str, Metric] = {
    "rms_f4": _metric(trusted_square, "rms error of the four-fluxes afterwards", unit="n_tot", aggregate="rms"),
    "skill_f4": _metric(skill_over_box3d, "1 - (rms_f4 / rms_f4 of box3d)²", "higher", perfect=1.0, aggregate="ratio"),
    **{
        f"rms_f4_minus_{rival}": _metric(
            against(rival), f"rms_f4 less that of {rival} on the same cells", unit="n_tot", aggregate="rms_difference"
        )
        for rival in RIVALS
    },
    "growth_error_p50": _metric(growth_error, "median of |γ/γ_true - 1| over unstable cells", aggregate="median"),
    "growth_error_p95": _metric(growth_error, "95th percentile of |γ/γ_true - 1|", aggregate="q95"),
    "stability_error": _metric(wrong_stability, "share of cells whose stability is told wrongly"),
    "stable_true_positive": _metric(called_stable(1, 1), "stable cells that are called so", "higher", perfect=1.0),
    "stable_false_negative": _metric(called_stable(1, 0), "stable cells that are called unstable"),
    "stable_true_negative": _metric(called_stable(0, 0), "unstable cells that are called so", "higher", perfect=1.0),
    "stable_false_positive": _metric(called_stable(0, 1), "unstable cells that are missed"),
    "eln_violation": _metric(eln_violation, "largest change of a lepton number", unit="n_tot", aggregate="max"),
    "trace_violation": _metric(
        trace_violation, "largest change of the number of (anti)neutrinos", unit="n_tot", aggregate="max"
    ),
    "unphysical_fraction": _metric(unphysical, "cells with n < 0 or |F| > n"),
    "stable_altered": _metric(altered_though_stable, "largest change of a stable cell", unit="n_tot", aggregate="max"),
    "rotation_error": _metric(
        probed("rotation_error"), "largest change of the answer when the cell is turned", unit="n_tot", aggregate="max"
    ),
    "mirror_error": _metric(
        probed("mirror_error"), "largest change when ν and ν̄ are exchanged", unit="n_tot", aggregate="max"
    ),
    "ood_flag_rate": _metric(probed("unseen"), "cells flagged as outside the training's range"),
    "uncertainty_spearman": _metric(
        probed("rank_product"), "rank correlation of predicted uncertainty and error", "higher", perfect=1.0
    ),
    "coverage_68": _metric(
        coverage, "components within one predicted standard deviation (68 % if Gaussian)", "higher", perfect=1.0
    ),
    "label_noise": _metric(label_noise, "rms spread of the truth over its seeds", unit="n_tot", aggregate="rms"),
    "excluded_fraction": _metric(is_excluded, "cells without a truth to be trusted"),
    "rms_f4_excluded": _metric(excluded_square, "rms_f4 of excluded cells", unit="n_tot", aggregate="rms"),
}

"""What `mixing` and `multitask` learn, keep, and say of themselves; the metrics that judge them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from flavor_cells import NSM1, Given, Made, adversarial, made_truth, totals

from emulant.dataset.seams import Array
from emulant.errors import SurrogateError
from emulant.systems.flavor import metrics
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.mixing.calibration import log_scale
from emulant.systems.flavor.mixing.emulator import Mixing
from emulant.systems.flavor.multitask.emulator import Multitask, labels_of, permuted, source_weights
from emulant.systems.flavor.multitask.losses import TASKS, Labels, divisors, tasks_of
from emulant.systems.flavor.multitask.network import MultitaskNetwork, Transport, invariants
from emulant.systems.flavor.prescriptions import NoMixing, Prescription
from emulant.systems.flavor.tables import MixingTable, MultitaskTable, UntrainedTable
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

torch = pytest.importorskip("torch")


def made(seed: int, count: int) -> Made:
    f4 = adversarial(np.random.default_rng(seed), count, 3, equal_heavies=True)
    f4[:, :3] *= 0.85
    return Made(made_truth(f4[f4[:, 3].sum(axis=(1, 2)) > 0]))


def rms(answer: dict[str, Array], truth: Made) -> float:
    off = (answer[F4_FINAL][:, 0] - truth.arrays[F4_FINAL]) / totals(truth.arrays[F4_INITIAL])
    return float(np.sqrt(np.mean(off**2)))


@pytest.fixture(scope="module")
def truth() -> tuple[Made, Made, Made]:
    return made(1, 300), made(2, 100), made(3, 150)


@pytest.fixture(scope="module")
def mixing(truth: tuple[Made, Made, Made]) -> Mixing:
    model = Mixing(MixingTable(training=TrainingTable(max_epochs=25, epoch_batches=10, validate_every=5)))
    model.fit(truth[0], truth[1])
    return model


def test_mixing_learns_what_no_closed_form_here_has(mixing: Mixing, truth: tuple[Made, Made, Made]) -> None:
    test = truth[2]
    given = Given(test.arrays)
    learned, before = mixing.predict(given), Prescription(UntrainedTable()).predict(given)
    assert rms(learned, test) < 0.25 * rms(before, test)
    unstable = test.arrays[GROWTH] > 0
    error = np.abs(learned[GROWTH][unstable, 0] / test.arrays[GROWTH][unstable] - 1)
    assert np.median(error) < 0.05
    assert np.array_equal(learned[STABLE][:, 0], test.arrays[STABLE])


def test_mixing_before_training_is_the_row_untrained(truth: tuple[Made, Made, Made]) -> None:
    """One epoch at no learning rate to speak of: the last layers are zero, the profile comes out."""
    table = TrainingTable(max_epochs=1, epoch_batches=1, learning_rate=1e-12)
    model = Mixing(MixingTable(training=table))
    model.fit(truth[0], truth[1])
    given = Given(truth[2].arrays)
    one, other = model.predict(given), Prescription(UntrainedTable()).predict(given)
    off = np.abs(one[F4_FINAL] - other[F4_FINAL])[:, 0] / totals(truth[2].arrays[F4_INITIAL])
    assert off.max() < 1e-9
    assert one[GROWTH] == pytest.approx(other[GROWTH], rel=1e-6)


def test_mixing_comes_back_from_its_folder(mixing: Mixing, truth: tuple[Made, Made, Made], tmp_path: Path) -> None:
    mixing.save(tmp_path)
    loaded = Mixing.load(tmp_path, MixingTable())
    given = Given(truth[2].arrays)
    for name, array in mixing.predict(given).items():
        assert np.array_equal(array, loaded.predict(given)[name])
    with pytest.raises(SurrogateError, match="not of this kind"):
        Multitask.load(tmp_path, MultitaskTable())


def test_uncertainty_goes_with_the_error_and_strange_cells_are_flagged(
    mixing: Mixing, truth: tuple[Made, Made, Made]
) -> None:
    f4 = truth[2].arrays[F4_INITIAL]
    found = mixing.prediction(f4)
    error = np.sqrt(np.mean(((found.outcome.final - truth[2].arrays[F4_FINAL]) / totals(f4)) ** 2, axis=(1, 2, 3)))
    good = found.uncertainty > 0
    ranks = [np.argsort(np.argsort(values[good])) for values in (found.uncertainty, error)]
    assert np.corrcoef(*ranks)[0, 1] > 0.3
    assert np.mean((found.outcome.status & 2) > 0) < 0.1
    narrow = Mixing(mixing.config)
    narrow.network, narrow.arrays = mixing.network, {**mixing.arrays, "highest": mixing.arrays["lowest"] + 1e-9}
    crossed = ~found.outcome.stable
    assert ((narrow.prediction(f4).outcome.status & 2) > 0)[crossed].mean() > 0.99


def test_log_scale_finds_the_law_that_made_the_residuals() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4000, 3))
    true = np.array([0.5, -0.3, 0.0, -1.0])
    squares = np.exp(2 * (x @ true[:3] + true[3])) * rng.chisquare(24, 4000) / 24
    assert log_scale(x, squares) == pytest.approx(true, abs=0.03)
    assert np.array_equal(log_scale(np.empty((0, 3)), np.empty(0)), np.zeros(4))


def test_mixing_without_labels_says_what_is_missing(truth: tuple[Made, Made, Made]) -> None:
    arrays = truth[0].arrays
    empty = Made({**arrays, F4_FINAL: np.full_like(arrays[F4_FINAL], np.nan)})
    with pytest.raises(SurrogateError, match="0 unstable cells with a final state"):
        Mixing(MixingTable()).fit(empty)


# -- multitask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lepton_number", ["direct", "ymatrix", "none"])
def test_transport_keeps_traces_and_lepton_number_as_asked(lepton_number: Any) -> None:
    rng = np.random.default_rng(5)
    f4 = adversarial(rng, 200)
    scaled = torch.from_numpy(f4 / totals(f4))
    y = torch.from_numpy(rng.normal(size=(200, 6, 6)))
    change = (Transport(3, lepton_number, False)(scaled, y, y) - scaled).numpy()[:, 3]
    assert np.abs(change.sum(axis=2)).max() < 1e-13
    violation = np.abs(change[:, 0] - change[:, 1]).max()
    assert violation > 1e-3 if lepton_number == "none" else violation < 1e-13


def test_the_network_sees_nothing_of_a_rotation_and_has_the_size_of_the_document() -> None:
    from flavor_cells import rotated, rotations

    f4 = adversarial(np.random.default_rng(6), 50)
    turned = rotated(f4, rotations(np.random.default_rng(7), len(f4)))
    one, other = (invariants(torch.from_numpy(cells / totals(f4))) for cells in (f4, turned))
    assert one.shape[1] == 27
    assert torch.allclose(one, other, atol=1e-13)
    network = MultitaskNetwork(3, 128, 64, 0.1)
    assert sum(p.numel() for name, p in network.named_parameters() if name != "task_weights") == 91_210


def test_rows_without_a_label_feed_nothing(truth: tuple[Made, Made, Made]) -> None:
    batch = Labels(*labels_of(truth[0]))
    logit, growth = torch.zeros_like(batch.stable), torch.zeros_like(batch.growth)
    whole = tasks_of(batch.start, logit, growth, batch)
    half = len(batch.stable) // 2
    final, rates = batch.final.clone(), batch.growth.clone()
    final[half:], rates[half:] = float("nan"), float("nan")
    some = tasks_of(batch.start, logit, growth, Labels(batch.start, final, rates, batch.stable))
    first = tasks_of(batch.start[:half], logit[:half], growth[:half], Labels(*(part[:half] for part in batch)))
    for task in ("ndens", "fluxmag", "direction", "growthrate"):
        assert float(some[task].loss) == pytest.approx(float(first[task].loss), rel=1e-6)
    assert float(some["stable"].loss) == pytest.approx(float(whole["stable"].loss), rel=1e-6)
    only_stable = Labels(
        batch.start, torch.full_like(final, float("nan")), torch.full_like(rates, float("nan")), batch.stable
    )
    assert float(tasks_of(batch.start, logit, growth, only_stable)["ndens"].loss) == 0.0


def test_divisors_are_what_no_mixing_has(truth: tuple[Made, Made, Made]) -> None:
    labels = Labels(*labels_of(truth[0]))
    found = divisors(labels)
    off = (labels.start - labels.final)[:, 3]
    assert found["ndens"] == pytest.approx(float((off**2).mean()), rel=1e-5)
    assert found["unphysical"] == 1.0
    share = float(labels.stable.mean())
    assert found["stable"] == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
    same = Labels(labels.start, labels.start, labels.growth, torch.ones_like(labels.stable))
    assert divisors(same)["ndens"] == divisors(same)["stable"] == 1.0


def test_every_source_weighs_the_same() -> None:
    cells = made(8, 60)

    class Sourced(Made):
        @property
        def cases(self) -> pl.DataFrame:
            return super().cases.with_columns(pl.Series("source", ["a"] * 10 + ["b"] * (len(self) - 10)))

    weights = source_weights(Sourced(cells.arrays))
    assert weights[:10].sum() == pytest.approx(0.5)
    assert weights.sum() == pytest.approx(1.0)


def test_permutations_exchange_start_and_end_alike(truth: tuple[Made, Made, Made]) -> None:
    batch = labels_of(truth[0])
    for seed in range(5):
        start, final, _, _ = permuted(batch, np.random.default_rng(seed))
        assert torch.allclose((final - start)[:, 3].sum(dim=(1, 2)), torch.zeros(len(start)), atol=1e-5)
        assert torch.allclose(start[:, 3].sum(dim=(1, 2)), torch.ones(len(start)), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"learn_task_weights": True, "augment_permutations": True, "physical": True}])
def test_multitask_trains_beats_nothing_and_logs_every_task(
    truth: tuple[Made, Made, Made], tmp_path: Path, options: dict[str, bool]
) -> None:
    table = MultitaskTable(training=TrainingTable(max_epochs=20, batch_size=64, learning_rate=3e-3), **options)
    model = Multitask(table)
    model.workshop = Workshop("multitask", tmp_path / "model", tmp_path / "logs", 0, "key")
    model.fit(truth[0], truth[1])
    test = truth[2]
    answer = model.predict(Given(test.arrays))
    assert rms(answer, test) < 0.8 * rms(NoMixing().predict(Given(test.arrays)), test)
    change = (answer[F4_FINAL][:, 0] - test.arrays[F4_INITIAL])[:, 3] / totals(test.arrays[F4_INITIAL])[:, 0]
    assert np.abs(change[:, 0] - change[:, 1]).max() < 1e-12
    assert (answer[GROWTH][answer[STABLE] == 1] == 0).all()
    curves = pl.read_csv(tmp_path / "logs" / "metrics.csv")
    wanted = {f"{split}_{kind}{task}" for split in ("train", "validation") for kind in ("", "max_") for task in TASKS}
    assert wanted | {"validation_eln_violation"} <= set(curves.columns)
    assert curves["validation_eln_violation"].max() < 1e-5
    if options:
        assert curves["train_weight_ndens"][-1] != 0
        cone = answer[F4_FINAL][:, 0] / totals(test.arrays[F4_INITIAL])
        assert (np.sqrt((cone[:, :3] ** 2).sum(axis=1)) <= cone[:, 3] * (1 + 1e-9) + 1e-12).all()
    again = Multitask.load(tmp_path / "model", MultitaskTable())
    assert np.array_equal(again.predict(Given(test.arrays))[F4_FINAL], answer[F4_FINAL])


# -- metrics --------------------------------------------------------------------------------------------------------


def info_of(truth: Made, **columns: Any) -> dict[str, Any]:
    cases = truth.cases.with_columns(
        split=pl.lit("test"), **{name: pl.Series(values) for name, values in columns.items()}
    )
    numbers = cases["case"].to_list()

    def by_case(array: Array) -> dict[str, dict[int, Array]]:
        return {"test": dict(zip(numbers, array, strict=True))}

    start = truth.arrays[F4_INITIAL]
    box3d = Prescription().outcome(start).final
    return {
        "cases": cases,
        "start": by_case(start),
        "box3d": by_case(box3d),
        "spread": by_case(0.01 * np.broadcast_to(totals(start), start.shape)),
        "probe": {},
    }


def test_metrics_of_known_answers() -> None:
    truth = made(9, 40)
    info, start = info_of(truth), truth.arrays[F4_INITIAL]
    exact = {name: array[:, None] for name, array in truth.arrays.items()}
    assert metrics.trusted_square(truth.arrays, exact, info).max() == 0
    assert metrics.label_noise(truth.arrays, exact, info) == pytest.approx(np.full(len(start), 1e-4))
    off = {**exact, F4_FINAL: exact[F4_FINAL] + 0.01 * totals(start)[:, None]}
    assert metrics.trusted_square(truth.arrays, off, info) == pytest.approx(np.full(len(start), 1e-4))
    assert metrics.eln_violation(truth.arrays, exact, info).max() < 1e-12
    assert metrics.trace_violation(truth.arrays, off, info) == pytest.approx(np.full(len(start), 0.03), rel=1e-6)
    numerator, denominator = metrics.skill_over_box3d(truth.arrays, exact, info)
    assert numerator.sum() / denominator.sum() == pytest.approx(1.0)
    own, rival = metrics.against("box3d")(truth.arrays, off, info)
    assert own == pytest.approx(np.full(len(start), 1e-4))
    assert np.array_equal(rival, denominator)
    faster = {**exact, GROWTH: 1.1 * exact[GROWTH]}
    error = metrics.growth_error(truth.arrays, faster, info)
    assert np.nanmax(error) == pytest.approx(0.1)
    assert np.isnan(error).sum() == (truth.arrays[STABLE] == 1).sum()


def test_excluded_cells_have_a_score_of_their_own() -> None:
    truth = made(10, 30)
    outcomes = ["not_converged", "slow"] + ["simulated"] * (len(truth) - 3) + ["labels_only"]
    info = info_of(truth, outcome=outcomes)
    exact = {name: array[:, None] for name, array in truth.arrays.items()}
    assert np.isnan(metrics.trusted_square(truth.arrays, exact, info)[:2]).all()
    assert (metrics.excluded_square(truth.arrays, exact, info)[:2] == 0).all()
    share = metrics.is_excluded(truth.arrays, exact, info)
    assert np.nanmean(share) == pytest.approx(2 / (len(truth) - 1))


def test_unphysical_answers_are_seen() -> None:
    truth = Made(made_truth(NSM1))
    info = info_of(truth)
    negative = truth.arrays[F4_FINAL].copy()
    negative[0, 3, 0, 0] *= -1
    superluminal = truth.arrays[F4_FINAL].copy()
    superluminal[0, 0, 1, 1] = 1.01 * superluminal[0, 3, 1, 1]
    for f4, wanted in ((truth.arrays[F4_FINAL], 0), (negative, 1), (superluminal, 1)):
        assert metrics.unphysical(truth.arrays, {F4_FINAL: f4[:, None]}, info).tolist() == [wanted]

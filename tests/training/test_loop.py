from __future__ import annotations

import csv
import importlib.util
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from emulant.dataset.tables import Table
from emulant.errors import SurrogateError, UsageError
from emulant.training.batches import Batch, Score, TrainingData, of_tensors, shuffled
from emulant.training.loop import Outcome, train
from emulant.training.process import initialised
from emulant.training.rates import rate
from emulant.training.table import EarlyStoppingTable, TrainedTable, TrainingTable, merge
from emulant.training.weights import Extras, read_weights, write_weights
from emulant.training.workshop import Workshop

LINE = TrainingTable(max_epochs=4, batch_size=10, learning_rate=0.1, optimizer="sgd", scheduler="none", gradient_clip=0)
ROWS = torch.arange(40.0)[:, None] / 40


def table(**changes: Any) -> TrainingTable:
    return merge(LINE, TrainingTable.model_validate(changes))


def slope() -> nn.Linear:
    with initialised(0):
        return nn.Linear(1, 1)


def squared(module: nn.Module, batch: Batch) -> torch.Tensor:
    return nn.functional.mse_loss(module(batch[0]), 3 * batch[0])


def line(settings: TrainingTable, seed: int = 0) -> TrainingData:
    return of_tensors(squared, (ROWS,), (ROWS,), settings, seed)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def fit(folder: Path, settings: TrainingTable, score: Score | None = None, **changes: Any) -> Outcome:
    data = replace(line(settings), **changes)
    return train(slope(), data, settings, workshop=Workshop("line", folder, folder, 0, "key"), score=score)


def scripted(values: list[float]) -> Score:
    """A score that gives these values, one validation after the other."""
    left = iter(values)
    return Score(lambda _: next(left), "vpt")


# -- it is gradient descent ------------------------------------------------------------------------------------


def test_training_is_gradient_descent_step_by_step(tmp_path: Path) -> None:
    module, settings = slope(), table(max_epochs=3)
    data = line(settings)
    train(module, data, settings)
    by_hand = slope()
    for epoch in range(3):
        for batch in data.batches(epoch):
            gradients = torch.autograd.grad(squared(by_hand, batch), list(by_hand.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(by_hand.parameters(), gradients, strict=True):
                    parameter.sub_(0.1 * gradient)
    torch.testing.assert_close(module.state_dict(), by_hand.state_dict())


def test_a_folder_or_none_gives_the_same_weights(tmp_path: Path) -> None:
    kept, unkept = slope(), slope()
    for module, workshop in ((kept, Workshop("", tmp_path, tmp_path)), (unkept, Workshop())):
        train(module, line(LINE), LINE, workshop=workshop, score=scripted([1.0, 3.0, 2.0, 1.0]))
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), unkept.parameters(), strict=True))
    stored = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in kept.state_dict().items())


def test_the_seed_decides_and_the_streams_of_torch_are_left_alone(tmp_path: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        module = slope()
        train(module, line(LINE, seed), LINE, workshop=Workshop(seed=seed))
        return module.weight.detach()

    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(torch.get_rng_state(), before)


@given(count=st.integers(1, 60), size=st.integers(1, 20), length=st.integers(1, 12), epoch=st.integers(0, 99))
def test_batches_repeat_nothing_before_all_came(count: int, size: int, length: int, epoch: int) -> None:
    order = shuffled(count, size, length, 3, epoch)
    assert order.shape == (length, size)
    for start in range(0, order.size, count):
        one_pass = order.reshape(-1)[start : start + count]
        assert len(set(one_pass.tolist())) == len(one_pass)
    np.testing.assert_array_equal(order, shuffled(count, size, length, 3, epoch))


def test_accumulated_gradients_are_those_of_one_large_batch(tmp_path: Path) -> None:
    large, small = table(batch_size=20), table(batch_size=5, gradient_accumulation=4, scheduler="cosine", warmup=0.3)
    large = merge(large, TrainingTable(scheduler="cosine", warmup=0.3))
    in_one, in_four = slope(), slope()
    whole = line(large)
    train(in_one, whole, large)

    def quarters(epoch: int) -> Iterator[Batch]:
        for batch in whole.batches(epoch):
            yield from zip(*(tensor.split(5) for tensor in batch), strict=True)

    folder = tmp_path / "small"
    data = replace(whole, batches=quarters, length=4 * whole.length)
    train(in_four, data, small, workshop=Workshop("line", folder, folder, 0, "key"))
    for one, other in zip(in_one.parameters(), in_four.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-7)
    assert [row["step"] for row in rows(folder)] == ["2", "4", "6", "8"]


def test_what_is_left_at_the_end_of_an_epoch_makes_a_step(tmp_path: Path) -> None:
    settings = table(max_epochs=1, batch_size=10, gradient_accumulation=3, gradient_clip=1e-6, optimizer="sgd")
    norms: list[float] = []
    fit(tmp_path, settings)
    norms = [float(row["gradient_norm"]) for row in rows(tmp_path)]
    assert rows(tmp_path)[0]["step"] == "2"  # 3 batches, then 1
    assert norms[0] > 0


def test_training_ends_with_the_epoch_that_reaches_the_last_step(tmp_path: Path) -> None:
    assert fit(tmp_path, table(max_epochs=50, max_steps=9)).epochs == 3  # of four steps each
    assert fit(tmp_path / "less", table(max_epochs=2, max_steps=9)).epochs == 2


def test_the_moving_average_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    settings = table(max_epochs=2, ema=0.75)
    seen: list[torch.Tensor] = []
    by_hand, plain = slope(), slope()

    def watched(module: nn.Module) -> float:
        seen.append(module.weight.detach().clone())
        return float(len(seen))

    fit(tmp_path, settings, Score(watched, "vpt"))
    data = line(settings)
    for epoch in range(2):
        for batch in data.batches(epoch):
            gradients = torch.autograd.grad(squared(plain, batch), list(plain.parameters()))
            with torch.no_grad():
                for mean, now, gradient in zip(by_hand.parameters(), plain.parameters(), gradients, strict=True):
                    now.sub_(0.1 * gradient)
                    mean.lerp_(now, 0.25)
        assert torch.allclose(seen[epoch], by_hand.weight, atol=1e-6)
    kept, _ = read_weights(tmp_path / "best.safetensors")
    assert torch.equal(kept["weight"], seen[-1])
    assert not torch.allclose(plain.weight, by_hand.weight)


def test_parts_of_the_loss_are_columns_of_the_curves(tmp_path: Path) -> None:
    def loss(module: nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        errors = (module(batch[0]) - 3 * batch[0]).abs()
        return (errors**2).mean(), {"absolute": errors.mean(), "worst": errors.max()}

    pieces = tuple((piece,) for piece in ROWS.split([30, 10]))
    fit(tmp_path, table(max_epochs=1), loss=loss, parts={"absolute": "mean", "worst": "max"}, validation=pieces)
    (row,) = rows(tmp_path)
    module = slope()
    module.load_state_dict(read_weights(tmp_path / "best.safetensors")[0])
    errors = (module(ROWS) - 3 * ROWS).abs().detach()
    assert float(row["validation_absolute"]) == pytest.approx(float(errors.mean()), rel=1e-6)
    assert float(row["validation_worst"]) == pytest.approx(float(errors.max()), rel=1e-6)
    assert float(row["train_worst"]) > float(row["train_absolute"]) > 0


def test_weights_of_some_epochs_are_kept_for_good(tmp_path: Path) -> None:
    fit(tmp_path, table(max_epochs=5, keep_every=2))
    kept = sorted(path.name for path in tmp_path.glob("epoch_*.safetensors"))
    assert kept == ["epoch_2.safetensors", "epoch_4.safetensors"]
    assert read_weights(tmp_path / kept[0])[1].about["epoch"] == 2


# -- what decides ------------------------------------------------------------------------------------------------


def test_the_best_weights_are_those_of_the_best_score(tmp_path: Path) -> None:
    module, seen = slope(), []

    def score(candidate: nn.Module) -> float:
        seen.append(candidate.weight.item())  # type: ignore[union-attr, operator]
        return [0.1, 0.9, 0.4, 0.8][len(seen) - 1]

    outcome = train(module, line(LINE), LINE, workshop=Workshop("", tmp_path, tmp_path), score=Score(score, "vpt"))
    assert outcome == Outcome(4, 2, 0.9)
    assert module.weight.item() == seen[1] != seen[3]
    assert [float(row["validation_vpt"]) for row in rows(tmp_path)] == [0.1, 0.9, 0.4, 0.8]


def test_a_score_may_be_better_when_lower_and_the_loss_may_decide(tmp_path: Path) -> None:
    score = replace(scripted([3.0, 1.0, 2.0, 5.0]), better="lower")
    assert fit(tmp_path, LINE, score).best_epoch == 2
    score = scripted([9.0, 1.0, 1.0, 1.0])
    assert fit(tmp_path / "loss", table(monitor="loss"), score).best_epoch == 4


def test_without_validation_the_training_loss_decides(tmp_path: Path) -> None:
    assert fit(tmp_path, LINE, validation=()).best_epoch == 4
    assert rows(tmp_path)[0]["validation_loss"] == ""


def test_nan_is_the_worst_score(tmp_path: Path) -> None:
    assert fit(tmp_path, LINE, scripted([math.nan, 0.2, math.nan, 0.1])).best_epoch == 2


def test_validation_may_be_rare_and_the_last_epoch_always_has_one(tmp_path: Path) -> None:
    fit(tmp_path, table(max_epochs=5, validate_every=2), scripted([1.0, 2.0, 3.0]))
    assert [row["validation_vpt"] for row in rows(tmp_path)] == ["", "1.0", "", "2.0", "3.0"]


def test_the_validation_loss_is_the_mean_over_rows_of_all_pieces(tmp_path: Path) -> None:
    pieces = ((ROWS[:7],), (ROWS[7:],))
    fit(tmp_path, LINE, validation=pieces)
    fit(tmp_path / "one", LINE)
    for split, whole in zip(rows(tmp_path), rows(tmp_path / "one"), strict=True):
        assert float(split["validation_loss"]) == pytest.approx(float(whole["validation_loss"]), rel=1e-6)


def test_early_stopping_counts_validations_that_are_not_better_by_enough(tmp_path: Path) -> None:
    settings = table(max_epochs=20, early_stopping={"patience": 3, "min_delta": 0.5})
    values = [1.0, 2.0, 2.4, 2.4, 2.3] + [9.0] * 15
    outcome = fit(tmp_path, settings, scripted(values))
    assert (outcome.epochs, outcome.best_epoch) == (5, 3), "the best is the best, however little it is better"
    assert fit(tmp_path, settings, scripted([])).epochs == 5, "a training that has stopped stays stopped"


def test_the_plateau_lowers_the_rate_after_its_patience_and_cools_down(tmp_path: Path) -> None:
    settings = table(max_epochs=8, scheduler="plateau", factor=0.5, patience=1, cooldown=2)
    fit(tmp_path, settings, scripted([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    assert rates == [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025]


def test_the_plateau_does_not_fall_below_the_minimum(tmp_path: Path) -> None:
    settings = table(max_epochs=6, scheduler="plateau", factor=0.1, patience=0, minimum_learning_rate=0.03)
    fit(tmp_path, settings, scripted([1.0] * 6))
    assert float(rows(tmp_path)[-1]["learning_rate"]) == 0.03


def test_warm_up_rises_on_a_line_and_cosine_falls_to_the_minimum() -> None:
    settings = table(warmup=0.25, scheduler="cosine", minimum_learning_rate=0.01)
    rates = [rate(step, 100, settings) for step in range(100)]
    np.testing.assert_allclose(rates[:25], 0.1 * np.arange(1, 26) / 25)
    share = np.arange(75) / 75
    np.testing.assert_allclose(rates[25:], 0.01 + 0.09 * (1 + np.cos(np.pi * share)) / 2)
    assert rate(24, 100, table(warmup=0.25, scheduler="plateau")) == 0.1
    assert rate(25, 100, table(warmup=0.25, scheduler="plateau")) is None


def test_every_stage_has_its_warm_up_and_a_lower_rate() -> None:
    settings = table(warmup=0.25, scheduler="cosine", stages=3, stage_factor=0.5)
    found = [rate(step, 120, settings) for step in range(120)]
    one = np.array([rate(step, 40, table(warmup=0.25, scheduler="cosine")) for step in range(40)])
    np.testing.assert_allclose(found, np.concatenate([one, 0.5 * one, 0.25 * one]))


def test_warm_up_reaches_the_optimizer(tmp_path: Path) -> None:
    fit(tmp_path, table(warmup=0.5))
    assert [float(row["learning_rate"]) for row in rows(tmp_path)] == [0.05, 0.1, 0.1, 0.1]


def test_the_gradient_is_clipped_and_its_norm_before_that_is_logged(tmp_path: Path) -> None:
    module, settings = slope(), table(max_epochs=1, epoch_batches=1, gradient_clip=0.01)
    before = torch.cat([p.detach().flatten() for p in module.parameters()])
    train(module, line(settings), settings, workshop=Workshop("", tmp_path, tmp_path))
    moved = torch.cat([p.detach().flatten() for p in module.parameters()]) - before
    assert float(moved.norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert float(rows(tmp_path)[0]["gradient_norm"]) > 0.1


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_learns(optimizer: str, tmp_path: Path) -> None:
    module = slope()
    train(module, line(LINE), table(max_epochs=60, optimizer=optimizer))
    assert module.weight.item() == pytest.approx(3, abs=0.4)


@pytest.mark.parametrize(("precision", "kind"), [("64-true", torch.float64), ("bf16-mixed", torch.float32)])
def test_precision_is_that_of_the_table(precision: str, kind: torch.dtype, tmp_path: Path) -> None:
    module = slope()
    train(module, line(LINE), table(precision=precision), workshop=Workshop("", tmp_path, tmp_path))
    assert module.weight.dtype == kind
    assert load_file(tmp_path / "best.safetensors")["weight"].dtype == kind


def test_threads_are_as_asked_for_inside_and_as_before_after() -> None:
    seen, before = [], torch.get_num_threads()
    settings = table(max_epochs=1, threads=2)
    train(slope(), line(settings), settings, score=Score(lambda _: float(seen.append(torch.get_num_threads()) or 0)))
    assert seen == [2]
    assert torch.get_num_threads() == before


def test_progress_is_heard_of_epoch_by_epoch() -> None:
    heard: list[tuple[str, int, int]] = []
    train(slope(), line(LINE), LINE, workshop=Workshop("line", listen=lambda *news: heard.append(news)))
    assert heard == [("train line", epoch, 4) for epoch in (1, 2, 3, 4)]


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_nan_stops_and_says_where(tmp_path: Path) -> None:
    def poisoned(epoch: int) -> Iterator[Batch]:
        for index, batch in enumerate(line(LINE).batches(epoch)):
            yield (batch[0] * (math.nan if (epoch, index) == (1, 2) else 1.0),)

    with pytest.raises(SurrogateError, match=r"line: the loss is not finite in epoch 2, batch 3 of 4.*learning_rate"):
        fit(tmp_path, LINE, batches=poisoned)
    assert len(rows(tmp_path)) == 1


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, LINE)
    other = Workshop("line", tmp_path, tmp_path, 0, "another key")
    with pytest.raises(SurrogateError, match=r"last\.ckpt: is the checkpoint of a training with other settings"):
        train(slope(), line(LINE), LINE, workshop=other)


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(damage: bytes | None, tmp_path: Path) -> None:
    fit(tmp_path, LINE)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    with pytest.raises(SurrogateError, match=r"last\.ckpt: is no checkpoint of emulant, or a damaged one.*Remove it"):
        fit(tmp_path, LINE)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"emulant_key": "key", "trap": Trap()}, tmp_path / "last.ckpt")
    with pytest.raises(SurrogateError, match=r"last\.ckpt"):
        fit(tmp_path, LINE)
    assert not (tmp_path / "sprung").exists()


def test_best_weights_that_are_not_of_this_training_are_told(tmp_path: Path) -> None:
    fit(tmp_path, LINE)
    write_weights(tmp_path / "best.safetensors", slope().state_dict(), Extras({"epoch": 1}))
    with pytest.raises(SurrogateError, match=r"best\.safetensors: is of epoch 1, not of 4"):
        fit(tmp_path, LINE)


def test_an_unknown_monitor_or_a_missing_logger_is_a_usage_error(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(UsageError, match=r"no 'vtp' here\. Allowed: score, vpt, loss"):
        fit(tmp_path, table(monitor="vtp"), scripted([]))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"\"wandb\" needs a package.*pip install 'emulant\[track\]'"):
        fit(tmp_path, table(loggers=("csv", "wandb")))
    assert not list(tmp_path.iterdir())


def test_ctrl_c_comes_through_and_the_training_goes_on_later(tmp_path: Path) -> None:
    def interrupted(epoch: int) -> Iterator[Batch]:
        if epoch == 2:
            raise KeyboardInterrupt
        return iter(line(LINE).batches(epoch))

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, LINE, batches=interrupted)
    fit(tmp_path, LINE)
    fit(tmp_path / "calm", LINE)
    assert (tmp_path / "best.safetensors").read_bytes() == (tmp_path / "calm" / "best.safetensors").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"xxxxxxxxxxxxxxxxxxxx"])
def test_weights_that_cannot_be_read_are_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SurrogateError, match=r"best\.safetensors"):
        read_weights(path)


def test_weights_and_extras_read_back_to_the_bit(tmp_path: Path) -> None:
    extras = Extras({"b": [1, 2], "a": "x"}, {"mean": np.array([0.1, 1 / 3]), "size": np.array(4)})
    for name, about in (("one", extras.about), ("two", dict(reversed(extras.about.items())))):
        write_weights(tmp_path / name, slope().state_dict(), replace(extras, about=about))
    weights, read = read_weights(tmp_path / "one")
    assert read.about == extras.about
    np.testing.assert_array_equal(read.arrays["mean"], extras.arrays["mean"])
    assert read.arrays["size"] == 4
    assert torch.equal(weights["weight"], slope().weight)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    write_weights(tmp_path / "bad", {"w": torch.tensor([math.nan])}, extras)
    with pytest.raises(SurrogateError, match="'w' holds values that are not finite"):
        read_weights(tmp_path / "bad")


# -- the table ---------------------------------------------------------------------------------------------------


def test_what_is_set_stands_over_what_is_not() -> None:
    recipe = TrainingTable(learning_rate=5e-3, batch_size=64, early_stopping=EarlyStoppingTable(patience=7))
    common = TrainingTable.model_validate({"max_epochs": 3, "early_stopping": {"min_delta": 0.1}})
    own = TrainingTable(batch_size=64, learning_rate=1e-3)
    merged = merge(recipe, merge(common, own))
    assert (merged.learning_rate, merged.max_epochs, merged.batch_size) == (1e-3, 3, 64)
    assert merged.early_stopping == EarlyStoppingTable(patience=7, min_delta=0.1)
    assert merge(TrainingTable(max_epochs=9), TrainingTable()).max_epochs == 9


def test_a_surrogates_table_merges_its_recipe() -> None:
    class Own(TrainedTable):
        recipe = TrainingTable(learning_rate=7e-3, max_epochs=11)

    settings = Own.model_validate({"training": {"max_epochs": 2}}).schedule()
    assert (settings.max_epochs, settings.learning_rate) == (2, 7e-3)
    assert isinstance(Own(), Table)


def test_reading_tables_imports_no_torch() -> None:
    modules = "emulant.training.table, emulant.training.workshop, emulant.surrogates.sequence_tables"
    code = f"import sys, {modules}; sys.exit(bool({{'torch', 'lightning', 'scipy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

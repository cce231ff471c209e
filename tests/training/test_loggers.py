"""The loggers that a study may name beside the CSV: what they have written is what the CSV says."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from training import course

from emulant.errors import UsageError
from emulant.training.logs import further_loggers
from emulant.training.loop import train
from emulant.training.workshop import Workshop


def trained(folder: Path, name: str, logger: str) -> pl.DataFrame:
    """The curves of a training of three epochs."""
    table = course.TABLE.model_copy(update={"max_epochs": 3, "loggers": ("csv", logger)})
    train(
        course.network(), course.data(table), table, workshop=Workshop(name, folder / name / "model", folder / name, 5)
    )
    return pl.read_csv(folder / name / "metrics.csv")


def test_tensorboard_has_the_rows_of_the_csv(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `track` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = trained(tmp_path, "net", "tensorboard")
    events = EventAccumulator(str(tmp_path / "net" / "tensorboard"))
    events.Reload()
    for column in ("train_loss", "validation_loss", "learning_rate", "gradient_norm"):
        found = events.Scalars(column)
        assert [event.step for event in found] == curves["step"].to_list()
        assert [event.value for event in found] == pytest.approx(curves[column].to_list(), rel=1e-6)


@pytest.mark.soak  # it starts a service of wandb's, which takes its time on a busy machine
def test_wandb_offline_keeps_a_run_for_each_network(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wandb = pytest.importorskip("wandb", reason="the extra `track` is not installed")
    for name in ("first", "second"):
        trained(tmp_path, name, "wandb-offline")
        assert wandb.run is None, "the next network would write into this run"
    runs = sorted(tmp_path.rglob("*.wandb"))
    assert [path.relative_to(tmp_path).parts[0] for path in runs] == ["first", "second"]
    for path in runs:
        content = path.read_bytes()
        assert content.count(b"validation_loss") >= 3
    assert "Syncing" not in capfd.readouterr().err


def test_a_logger_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'emulant\[track\]'"):
        further_loggers(("csv", "tensorboard"), tmp_path, "net")
    assert further_loggers(("csv",), tmp_path, "net") == []

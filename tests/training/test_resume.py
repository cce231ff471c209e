"""Whatever is killed, the same call ends in the same weights and the same curves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root, seed = tmp_path_factory.mktemp("killed"), random.SystemRandom().randrange(2**31)
    command = [sys.executable, str(HERE / "course.py"), str(root), str(seed)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout) | {"seed": seed, "stderr": done.stderr}


def curves(folder: Path) -> list[list[str]]:
    """The rows but for the last column, the seconds."""
    return [line.split(",")[:-1] for line in (folder / "metrics.csv").read_text().splitlines()]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(same, a, b)) if isinstance(a, list) else a == b


def test_a_killed_training_ends_as_if_nothing_had_happened(killed: tuple[Path, dict[str, Any]]) -> None:
    root, report = killed
    calm, told = root / "undisturbed", {key: report[key] for key in ("seed", "positions", "ends", "stderr")}
    assert report["ends"]["undisturbed"] == [0], told
    expected = torch.load(calm / "last.ckpt", weights_only=True)
    for name, ends in report["ends"].items():
        folder = root / name
        assert ends[-1] == 0, (name, told)
        assert ends[0] == signal.SIGKILL or name in ("undisturbed", "again_and_again", "sparse"), (name, told)
        assert (folder / "best.safetensors").read_bytes() == (calm / "best.safetensors").read_bytes(), (name, told)
        assert curves(folder) == curves(calm), (name, told)
        last = torch.load(folder / "last.ckpt", weights_only=True)
        for part in ("state_dict", "optimizer_states", "callbacks"):
            assert same(last[part], expected[part]), (name, part, told)


def test_kills_leave_nothing_but_the_promised_files(killed: tuple[Path, dict[str, Any]]) -> None:
    root, report = killed
    promised = {"last.ckpt", "best.safetensors", "training.json", "metrics.csv"}
    for name in report["ends"]:
        found = {path.name for path in (root / name).iterdir() if not path.name.endswith(".partial")}
        assert found == promised, name


def test_the_curves_have_one_row_per_epoch(killed: tuple[Path, dict[str, Any]]) -> None:
    head, *rows = curves(killed[0] / "undisturbed")
    names = "epoch,step,train_loss,validation_loss,validation_rollout,learning_rate,gradient_norm"
    assert head == names.split(",")
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert len({row[5] for row in rows}) > 2, "the plateau has had no part in it"

"""A small training for the tests, and a program that kills it: `python course.py FOLDER SEED` prints what came of it.

The kills run in children of a process that has imported all, so that each costs a fraction of a second.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emulant.training import callbacks
from emulant.training.batches import Batch, Score, TrainingData, of_tensors
from emulant.training.loop import Outcome, train
from emulant.training.process import initialised
from emulant.training.table import TrainingTable
from emulant.training.workshop import Workshop

SEED, BATCHES = 5, 23
TABLE = TrainingTable.model_validate(
    {
        "max_epochs": 9,
        "epoch_batches": BATCHES,
        "batch_size": 16,
        "learning_rate": 0.02,
        "scheduler": "plateau",
        "patience": 0,
        "warmup": 0.1,
        "ema": 0.8,
        "gradient_accumulation": 2,
        "early_stopping": {"patience": 6},
    }
)


def network(seed: int = SEED) -> nn.Sequential:
    """With dropout, so that torch's own random numbers matter."""
    with initialised(seed):
        return nn.Sequential(nn.Linear(3, 24), nn.SiLU(), nn.Dropout(0.2), nn.Linear(24, 2))


def loss(module: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.mse_loss(module(batch[0]), batch[1])


def examples() -> Batch:
    inputs = torch.linspace(-2, 2, 1200).reshape(400, 3)
    return inputs, torch.stack([inputs.prod(dim=1), inputs.sum(dim=1).sin()], dim=1)


def data(table: TrainingTable = TABLE, seed: int = SEED) -> TrainingData:
    inputs, targets = examples()
    return of_tensors(loss, (inputs, targets), (inputs[::7], targets[::7]), table, seed)


def score(module: nn.Module) -> float:
    return -float(loss(module, tuple(tensor[::100] for tensor in examples())))


def workshop(folder: Path) -> Workshop:
    return Workshop("course", folder, folder, SEED, "the key")


def run(folder: Path, table: TrainingTable = TABLE, given: TrainingData | None = None) -> Outcome:
    return train(network(), given or data(table), table, workshop=workshop(folder), score=Score(score, "rollout"))


# -- kills ------------------------------------------------------------------------------------------------------


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_batch(table: TrainingTable, epoch: int, batch: int) -> TrainingData:
    """The data, but asking for that batch kills."""
    whole = data(table)

    def batches(number: int) -> Iterator[Batch]:
        for index, one in enumerate(whole.batches(number)):
            if (number, index) == (epoch, batch):
                die()
            yield one

    return replace(whole, batches=batches)


def in_the_middle_of_writing() -> None:
    """The second checkpoint is half written when the process dies."""
    save, calls = torch.save, []

    def half(value: Any, path: Path) -> None:
        save(value, path)
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            die()

    torch.save = half


def after_the_best() -> None:
    """New best weights are written, and the checkpoint does not know of them."""
    write, calls = callbacks.write_weights, []

    def written(*args: Any) -> Path:
        calls.append(write(*args))
        if len(calls) == 2:
            die()
        return calls[-1]

    callbacks.write_weights = written


def child(work: Callable[[], Any]) -> int:
    """Do something in a child with a random stream of its own; the signal that ended it, 0 if none did."""
    process = os.fork()
    if process == 0:
        torch.manual_seed(random.SystemRandom().randrange(2**31))
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def main(root: Path, seed: int) -> dict[str, Any]:
    """Every way to die, on a folder of its own, and one folder that is killed again and again."""
    chance = random.Random(seed)
    sparse = TABLE.model_copy(update={"checkpoint_every": 3})
    ends = {"undisturbed": [child(lambda: run(root / "undisturbed"))]}
    epochs = len((root / "undisturbed" / "metrics.csv").read_text().splitlines()) - 1
    positions = [(chance.randrange(epochs), chance.randrange(BATCHES)) for _ in range(10)]
    for epoch, batch in positions[:5]:
        folder = root / f"batch_{epoch}_{batch}"
        ends[folder.name] = [child(lambda: run(folder, given=at_batch(TABLE, epoch, batch)))]  # noqa: B023
    for table, name, left in ((TABLE, "again_and_again", positions[5:8]), (sparse, "sparse", positions[8:])):
        ends[name] = [
            child(lambda: run(root / name, table, at_batch(table, epoch, batch)))  # noqa: B023
            for epoch, batch in sorted(left)
        ]
    for name, prepare in (("writing", in_the_middle_of_writing), ("best", after_the_best)):
        ends[name] = [child(lambda: (prepare(), run(root / name)))]  # noqa: B023
    ends["curves"] = [child(lambda: (setattr(callbacks.Trainer, "save_checkpoint", die), run(root / "curves")))]
    for name, signals in ends.items():
        if name != "undisturbed":
            signals.append(child(lambda: run(root / name, sparse if name == "sparse" else TABLE)))  # noqa: B023
    return {"positions": positions, "ends": ends}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))

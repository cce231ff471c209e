"""What the contact graph is trained on: short stretches of frames, noise, and the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from emulant.dataset.seams import Array
from emulant.dataset.seeds import stream
from emulant.systems.scenes.graph import frame, recordings
from emulant.systems.scenes.graph.flat import Flat
from emulant.systems.scenes.graph.recordings import Recorded
from emulant.systems.scenes.graph.table import ContactGraphTable
from emulant.systems.scenes.scene import STEP
from emulant.training.batches import Batch, Score, TrainingData, shuffled

TRAVEL = 10 * STEP
"""s: half of a usual rollout. A velocity that is off costs as much as a place that is off by this times as many px."""
CONTEXT, HORIZON = 10, 20
"""Frames of the rollouts that the score is of: those of the default evaluation."""
LOST = 5.0
"""px: a scene that is further off is lost, and no further is no better."""
SCORED_SCENES, TOGETHER = 160, 32
"""Validation scenes that are scored at most, spread over all of them, and how many at once."""


@dataclass(frozen=True)
class Objective:
    """The loss of a table; `spread` (px/s) is what velocities change by beyond what is known, on average."""

    table: ContactGraphTable
    spread: float

    @classmethod
    def of(cls, table: ContactGraphTable, scenes: Sequence[Recorded]) -> Objective:
        """With the spread that some frames of the training scenes have."""
        some = scenes[:: max(1, len(scenes) // TOGETHER)]
        truth = recordings.stretch(some, [len(scene.state) // 2 for scene in some], 2)
        known = frame.step(None, recordings.beside(some), truth[0], table).state
        return cls(table, max(float((truth[1] - known)[:, 3:5].abs().mean()), 1.0))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Huber's, of velocities and displacements frame by frame; every scene has the same weight."""
        (before, *truth), present, *rest = batch
        flat = Flat(*rest)
        weights, gyration = scene_weights(flat), radius_of_gyration(flat)
        memory, losses = frame.step(None, flat, before, self.table).memory, []
        for k in range(1, len(truth)):
            after, memory = frame.step(network, flat, present, self.table, memory)
            moved = (after - present)[:, :3] - (truth[k] - truth[k - 1])[:, :3]
            error = torch.cat([moved / TRAVEL, (after - truth[k])[:, 3:]], dim=1) / self.spread * gyration
            losses.append((smooth_l1_loss(error, torch.zeros_like(error), reduction="none").mean(1) * weights).sum())
            present = after.detach()
        return torch.stack(losses).mean()

    def data(self, scenes: Sequence[Recorded], held: Sequence[Recorded], seed: int) -> TrainingData:
        """Examples are drawn scene by scene, each with a frame of its own to begin at and noise on it.

        Every other one, if there is any, begins where something is hit: there is most to learn.
        """
        hits = [scene.eventful() for scene in scenes]
        schedule = self.table.schedule()
        size = min(schedule.batch_size, len(scenes))
        length = schedule.epoch_batches or len(scenes) // size

        def batches(epoch: int) -> Iterator[Batch]:
            rng = stream(seed, "training", epoch, 1)
            for rows in shuffled(len(scenes), size, length, seed, epoch):
                starts = [self._start(scenes[row], hits[row], rng) for row in rows]
                yield self._examples([scenes[row] for row in rows], starts, rng)

        parts = [held[first : first + TOGETHER] for first in range(0, min(len(held), SCORED_SCENES), TOGETHER)]
        return TrainingData(self.loss, batches, length, [self._middle(part) for part in parts])

    def _start(self, scene: Recorded, hits: Array, rng: np.random.Generator) -> int:
        """Of an example: the frame before the one that is continued."""
        last = len(scene.state) - self.table.unroll - 2
        wanted = hits[(hits > 0) & (hits <= last + 1)] - 1
        if len(wanted) and rng.random() < 0.5:
            return int(rng.choice(wanted))
        return int(rng.integers(0, last + 1))

    def _middle(self, scenes: Sequence[Recorded]) -> Batch:
        """Of every scene, without noise."""
        return self._examples(scenes, [(len(scene.state) - self.table.unroll - 2) // 2 for scene in scenes], None)

    def _examples(self, scenes: Sequence[Recorded], starts: Sequence[int], rng: np.random.Generator | None) -> Batch:
        """Truth (unroll + 2, B, 6), the state that is continued (B, 6), and `Flat`. Without a generator, no noise."""
        flat, truth = recordings.beside(scenes), recordings.stretch(scenes, starts, self.table.unroll + 2)
        start = truth[1]
        if rng is not None:
            start = start + torch.from_numpy(rng.standard_normal(start.shape).astype(np.float32)) * self._noise(flat)
        return truth, start, *flat

    def _noise(self, flat: Flat) -> Tensor:
        """(B, 6) standard deviations; turns count at the radius of gyration."""
        table = self.table
        deviations = torch.tensor([table.position_noise] * 3 + [table.velocity_noise] * 3)
        return deviations / radius_of_gyration(flat)


def radius_of_gyration(flat: Flat) -> Tensor:
    """(B, 6): 1 for places and px for angles, so that times this all parts of a state are lengths and speeds."""
    inverse = flat.inverse[: flat.bodies]
    turn = torch.sqrt(inverse[:, :1] / inverse[:, 2:])
    one = torch.ones_like(turn)
    return torch.cat([one, one, turn], dim=1).repeat(1, 2)


def scene_weights(flat: Flat) -> Tensor:
    """(B,) weights that add up to one, equal for every scene."""
    counts = torch.bincount(flat.scene)
    return 1 / (counts[flat.scene] * (counts > 0).sum())


@torch.no_grad()
def rollout(network: nn.Module | None, flat: Flat, state: Tensor, horizon: int, table: ContactGraphTable) -> Tensor:
    """(horizon, B, 6): the frames after `state` (B, 6)."""
    found, memory = [], None
    for _ in range(horizon):
        state, memory = frame.step(network, flat, state, table, memory)
        found.append(state)
    return torch.stack(found)


def rollout_score(held: Sequence[Recorded], table: ContactGraphTable) -> Score | None:
    """The RMS error of places in rollouts (px per coordinate), at most `LOST`, mean over scenes; None where no scene is
    long enough. A mean square would be the error of the one scene in which a fast disc was missed.
    """
    some = [scene for scene in held if len(scene.state) >= CONTEXT + HORIZON]
    some = some[:: -(-len(some) // SCORED_SCENES)] if some else []
    if not some:
        return None
    parts = [some[first : first + TOGETHER] for first in range(0, len(some), TOGETHER)]

    def position_rms(network: nn.Module) -> float:
        device, total = next(network.parameters()).device, 0.0
        for scenes in parts:
            flat = Flat(*(tensor.to(device) for tensor in recordings.beside(scenes)))
            truth = recordings.stretch(scenes, [CONTEXT - 1] * len(scenes), HORIZON + 1).to(device)
            rolled = rollout(network, flat, truth[0], HORIZON, table)
            squares = (rolled - truth[1:])[..., :2].square().mean(dim=(0, 2))
            counts = torch.bincount(flat.scene)
            total += float((torch.bincount(flat.scene, squares) / counts).sqrt().clamp_max(LOST).sum())
        return total / len(some)

    return Score(position_rms, "position_rms", "lower")

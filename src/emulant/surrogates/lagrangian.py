"""A mechanical system of two degrees of freedom whose Lagrangian is learned.

L(q, q̇) = ½ q̇ᵀ M(q) q̇ − V(q), with M and V small networks of (sin q, cos q) and of the parameters that vary. M is the
product of a lower-triangular factor with positive diagonal and its transpose, so it can be inverted whatever the
weights. Motion follows from the Euler-Lagrange equations,

    M q̈ = ∂q(½ q̇ᵀ M q̇ − V) − Ṁ q̇,        Ṁ = Σₖ ∂M/∂qₖ q̇ₖ,

so a rollout keeps an energy of its own. After Lutter, Ritter, Peters (2019), "Deep Lagrangian Networks", and Gupta et
al. (2019), "A general framework for structured learning of mechanical systems". Unlike networks of a black-box L
(Cranmer et al. 2020), no Hessian is needed. Nothing here knows which system it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates.codes import Scales
from emulant.surrogates.networks import Flow, doubled, read_network, tensor, write_network
from emulant.surrogates.residual_mlp import first, valid_time_of_states
from emulant.surrogates.sequence_tables import VALID_TIME, LagrangianTable
from emulant.surrogates.view import Seen, View, sequences, states_only
from emulant.training.batches import Batch, Score, TrainingData, of_tensors
from emulant.training.process import initialised, threads
from emulant.training.weights import Extras
from emulant.training.workshop import Workshop

ACCELERATION = "acceleration"
POTENTIAL_SCALE = 10.0
"""V is the network's output times this, so that forces of the order of ten need no large weights."""
FLOOR = 0.05
"""The least that a diagonal entry of the factor of M can be."""
SHAPE = ("target", "width", "rollout_substeps")


class TangentPerceptron(nn.Module):
    """Two hidden layers with SiLU, and the derivatives of the outputs along given directions of the inputs.

    Written by hand: forward mode through SiLU, and that again differentiated backwards, is where torch is slow.
    """

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.enter, self.middle = nn.Linear(inputs, width), nn.Linear(width, width)
        self.leave = nn.Linear(width, outputs)

    def forward(self, values: Tensor, tangents: Tensor) -> tuple[Tensor, Tensor]:
        """(B, I) and its K tangents (K, B, I) -> (B, O) and (K, B, O)."""
        values, tangents = self.enter(values), tangents @ self.enter.weight.T
        for layer in (self.middle, self.leave):
            gate = torch.sigmoid(values)
            slope = gate * (1 + values * (1 - gate))  # SiLU'
            values, tangents = layer(values * gate), (tangents * slope) @ layer.weight.T
        return values, tangents


class LagrangianNetwork(nn.Module):
    """Accelerations of a learned Lagrangian."""

    def __init__(self, parameters: int, width: int) -> None:
        super().__init__()
        self.inertia = TangentPerceptron(4 + parameters, width, 3)
        self.potential = TangentPerceptron(4 + parameters, width, 1)

    def forward(self, state: Tensor, given: Tensor) -> Tensor:
        """States (B, 4) = q1, q2, q̇1, q̇2 and scaled parameters (B, P) -> accelerations (B, 2)."""
        q, velocity = state[:, :2], state[:, 2:]
        sine, cosine = q.sin(), q.cos()
        zero = torch.zeros_like(sine[:, 0])
        along_1 = torch.stack([cosine[:, 0], zero, -sine[:, 0], zero], dim=1)
        along_2 = torch.stack([zero, cosine[:, 1], zero, -sine[:, 1]], dim=1)
        tangents = torch.stack([torch.cat([along, torch.zeros_like(given)], dim=1) for along in (along_1, along_2)])
        values = torch.cat([sine, cosine, given], dim=1)
        mass, slopes = inertia_matrix(*self.inertia(values, tangents))
        force = -POTENTIAL_SCALE * self.potential(values, tangents)[1][..., 0].T
        return accelerations(velocity, mass, slopes, force)


def inertia_matrix(raw: Tensor, raw_slopes: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3) and its derivatives (2, B, 3) -> M11, M12, M22 as (B, 3) and their derivatives (2, B, 3)."""
    a, b, d = softplus(raw[:, 0] + 1) + FLOOR, raw[:, 1], softplus(raw[:, 2] + 1) + FLOOR
    da = raw_slopes[..., 0] * torch.sigmoid(raw[:, 0] + 1)
    db, dd = raw_slopes[..., 1], raw_slopes[..., 2] * torch.sigmoid(raw[:, 2] + 1)
    mass = torch.stack([a * a, a * b, b * b + d * d], dim=-1)
    return mass, torch.stack([2 * a * da, da * b + a * db, 2 * (b * db + d * dd)], dim=-1)


def accelerations(velocity: Tensor, mass: Tensor, slopes: Tensor, force: Tensor) -> Tensor:
    """Solve the Euler-Lagrange equations of two degrees of freedom.

    Args:
        velocity: (B, 2)
        mass: (B, 3) M11, M12, M22.
        slopes: (2, B, 3) its derivatives along q1 and q2.
        force: (B, 2) −∂V/∂q.
    """
    v1, v2 = velocity[:, 0], velocity[:, 1]
    kinetic = 0.5 * (slopes * torch.stack([v1 * v1, 2 * v1 * v2, v2 * v2], dim=-1)).sum(-1)
    rate = slopes[0] * v1[:, None] + slopes[1] * v2[:, None]
    f1 = kinetic[0] + force[:, 0] - rate[:, 0] * v1 - rate[:, 1] * v2
    f2 = kinetic[1] + force[:, 1] - rate[:, 1] * v1 - rate[:, 2] * v2
    m11, m12, m22 = mass.unbind(-1)
    return torch.stack([m22 * f1 - m12 * f2, m11 * f2 - m12 * f1], dim=-1) / (m11 * m22 - m12 * m12)[:, None]


def runge_kutta(network: nn.Module, state: Tensor, given: Tensor, step: float, substeps: int) -> Tensor:
    """One frame on by the classical method of order four, in `substeps` parts."""
    part = step / substeps

    def flow(y: Tensor) -> Tensor:
        return torch.cat([y[:, 2:], network(y, given)], dim=1)

    for _ in range(substeps):
        k1 = flow(state)
        k2 = flow(state + part / 2 * k1)
        k3 = flow(state + part / 2 * k2)
        k4 = flow(state + part * k3)
        state = state + part / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


class Lagrangian:
    """A learned Lagrangian, integrated; fitted to accelerations, or to states alone."""

    Config: ClassVar[type[LagrangianTable]] = LagrangianTable
    lag = 1

    def __init__(self, config: LagrangianTable | None = None) -> None:
        self.config = config or self.Config()
        self.workshop = Workshop()
        self.model: tuple[View, LagrangianNetwork] | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Train on single frames (accelerations) or on pairs of frames (states); the monitor `vpt` is the valid time.

        Raises:
            SurrogateError: The states are not two angles and their velocities, there are no accelerations to fit, or
                the loss is not finite.
        """
        from emulant.training import loop

        view = View.of(train)
        if states_only(view).size != 4:
            raise SurrogateError(
                f"lagrangian: `{view.target}` has {states_only(view).size} components, not q and q̇ of two."
            )
        with initialised(self.workshop.seed):
            self.model = view, self._network(view)
        data, held = self._data(train, validation, view), None if validation is None else view.see(validation)
        score = held and Score(lambda _: valid_time_of_states(self._flow(first(held)), held, view), VALID_TIME)
        loop.train(
            self.model[1],
            data,
            self.config.schedule(),
            workshop=self.workshop,
            score=score or None,
            extras=self._extras(),
        )

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """The states (C, horizon, 4); inf where the rollout has left every bound.

        Raises:
            SurrogateError: The context lacks a parameter.
        """
        with threads(1):
            return {self._fitted()[0].target: self.flow(context).run(horizon)}

    def flow(self, context: Context) -> Flow:
        """The rollout as a map of states."""
        return self._flow(self._fitted()[0].see_context(context, self.lag))

    def save(self, folder: Path) -> list[Path]:
        """`best.safetensors`; it holds all that `load` needs."""
        return write_network(folder, self._fitted()[1], self._extras())

    @classmethod
    def load(cls, folder: Path, config: LagrangianTable | None = None) -> Self:
        """Read what `save` wrote.

        Raises:
            SurrogateError: The file is missing, damaged or of another kind.
        """
        surrogate = cls(config)
        network, extras = read_network(folder, surrogate._restored)
        surrogate.model = View.restored(extras.about, extras.arrays), network
        return surrogate

    # -- inside

    def _fitted(self) -> tuple[View, LagrangianNetwork]:
        if self.model is None:
            raise SurrogateError("lagrangian: is not fitted.", "Call `fit` or `load` first.")
        return self.model

    def _network(self, view: View) -> LagrangianNetwork:
        return LagrangianNetwork(len(view.parameters), self.config.width)

    def _extras(self) -> Extras:
        view, _ = self._fitted()
        shape = {name: getattr(self.config, name) for name in SHAPE}
        return Extras({"kind": "lagrangian", **shape, **view.about()}, view.arrays())

    def _restored(self, extras: Extras) -> LagrangianNetwork:
        self.config = self.config.model_copy(update={name: extras.about[name] for name in SHAPE})
        return self._network(View.restored(extras.about, extras.arrays))

    def _data(self, train: Dataset, validation: Dataset | None, view: View) -> TrainingData:
        pairs = self.config.target == "states"
        examples = _pairs if pairs else _accelerations
        scales = Scales.of(np.diff(view.see(train).frames, axis=1)) if pairs else Scales.of(_stored(train))
        deviation = tensor(scales.deviation)
        held = None if validation is None else examples(validation, view)
        table, substeps = self.config.schedule(), self.config.loss_substeps

        def acceleration_loss(network: nn.Module, batch: Batch) -> Tensor:
            state, given, truth = batch
            return nn.functional.mse_loss(network(state, given) / deviation.to(truth), truth / deviation.to(truth))

        def step_loss(network: nn.Module, batch: Batch) -> Tensor:
            state, given, truth = batch
            step = runge_kutta(network, state, given, view.step, substeps) - state
            return nn.functional.mse_loss(step / deviation.to(truth), truth / deviation.to(truth))

        loss: Callable[[nn.Module, Batch], Tensor] = step_loss if pairs else acceleration_loss
        return of_tensors(loss, examples(train, view), held, table, self.workshop.seed)

    def _flow(self, seen: Seen) -> Flow:
        view, trained = self._fitted()
        network = doubled(trained, self._network(view))
        given, substeps = tensor(seen.parameters, torch.float64), self.config.rollout_substeps

        def step(state: Tensor) -> Tensor:
            return runge_kutta(network, state, given, view.step, substeps)

        return Flow(tensor(seen.frames[:, -1], torch.float64), step, lambda state: state)


def _stored(split: Dataset) -> Array:
    if ACCELERATION not in split.schema:
        raise SurrogateError(
            f"lagrangian: split `{split.split}` has no field `{ACCELERATION}`.",
            'Store accelerations, or fit to states: target = "states".',
        )
    return sequences(split, ACCELERATION)


def _accelerations(split: Dataset, view: View) -> Batch:
    seen = view.see(split)
    return _flat(seen.frames, seen.parameters, _stored(split))


def _pairs(split: Dataset, view: View) -> Batch:
    seen = view.see(split)
    return _flat(seen.frames[:, :-1], seen.parameters, np.diff(seen.frames, axis=1))


def _flat(states: Array, parameters: Array, truth: Array) -> Batch:
    """States (C, T, 4), parameters (C, P) and truths (C, T, ...), one frame to a row."""
    turned = states.copy()
    turned[..., :2] %= 2 * np.pi  # float32 keeps more digits of a small angle
    given = np.broadcast_to(parameters[:, None], (*states.shape[:2], parameters.shape[1]))
    return tensor(turned).flatten(0, 1), tensor(given).flatten(0, 1), tensor(truth).flatten(0, 1)

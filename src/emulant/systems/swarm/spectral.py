"""A translation-equivariant autoregression of the swarm's Fourier modes, one small real model per shell of |k|.

The law of motion does not change under shifts, so the best linear forecast is diagonal in Fourier space. It does not
change under rotations and mirrors either, so its coefficients are real and depend on |k| alone. What it sees of each
mode k are the angular moments of the one-particle distribution, with φ the direction of k:

    z_m(k) = (-i)^m Σ_j cos(m (θ_j - φ)) exp(-i k·x_j),      m = 0 ... harmonics

z_0 is the density's mode ρ_k and z_1 the longitudinal flux, which drives it (continuity: dρ_k/dt = v0 |k| z_1); z_2
drives z_1 by the same streaming, and so on. (-i)^m makes the coefficients real. Moments with a sine, such as the
transverse flux, change sign when mirrored at k and so cannot enter the forecast of ρ_k.

Between walls the modes are cosines, and the density is all that is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from emulant.dataset.atomic import write_npz
from emulant.dataset.npz import names_in
from emulant.dataset.seams import Array, Context, Dataset
from emulant.errors import SurrogateError
from emulant.surrogates import MEND, read_weights
from emulant.surrogates.blending import Blend, Forecast
from emulant.surrogates.mvar import MVAR, rollout
from emulant.surrogates.positivity import project
from emulant.systems.swarm.config import SpectralTable
from emulant.systems.swarm.modes import Box, Modes

FILE = "spectral_model.npz"


@dataclass(frozen=True)
class ShellModel:
    """Per shell of |k| an autoregression of the mode's F moments, and how far its density is trusted per lead."""

    matrices: Array
    """(S, p, F, F), A[s, 0] multiplies z(t-1)."""
    shrinkage: Array
    """(S, H) the least-squares factor on the density's mode at lead 1 ... H; the last one holds beyond."""

    @classmethod
    def fit(cls, states: Array, shell: Array, lag: int, ridge: float) -> Self:
        """Fit on (C, T, M, F), one ridge regression per shell over its modes, all cases and all windows.

        A shell whose model would grow is slowed to a spectral radius of one, so that no horizon can blow up; the
        factor that this takes from the early leads comes back by the shrinkage.
        """
        matrices, shrinkage = [], []
        for index in range(shell.max(initial=-1) + 1):
            runs = _runs(states[:, :, shell == index])
            model = MVAR.fit(runs, lag, ridge)
            growth = max(1.0, model.spectral_radius()) ** np.arange(1, lag + 1)
            matrices.append(model.matrices / growth[:, None, None])
            forecast = rollout(matrices[-1], None, runs[:, :lag], runs.shape[1] - lag)[..., 0]
            size = np.sum(forecast**2, axis=0)
            agreement = np.sum(forecast * runs[:, lag:, 0], axis=0)
            shrinkage.append(np.maximum(agreement, 0.0) / np.maximum(size, np.finfo(float).tiny))
        moments, horizon = states.shape[-1], states.shape[1] - lag
        return cls(np.array(matrices).reshape(-1, lag, moments, moments), np.array(shrinkage).reshape(-1, horizon))

    def forecast(self, states: Array, shell: Array, horizon: int) -> Array:
        """The density's modes (C, horizon, M) after (C, K, M, F)."""
        cases, _, modes, _ = states.shape
        forecast = np.empty((cases, horizon, modes), dtype=states.dtype)
        lead = np.minimum(np.arange(horizon), self.shrinkage.shape[1] - 1)
        for index, (matrices, shrinkage) in enumerate(zip(self.matrices, self.shrinkage, strict=True)):
            part = states[:, :, shell == index]
            density = rollout(matrices, None, _runs(part), horizon)[..., 0] * shrinkage[lead]
            shaped = density.reshape(-1, cases, part.shape[2], horizon)
            joined = shaped[0] + 1j * shaped[1] if np.iscomplexobj(part) else shaped[0]
            forecast[..., shell == index] = joined.swapaxes(1, 2)
        return forecast


def _runs(states: Array) -> Array:
    """(C, T, M, F) -> (C M, T, F); of complex states the real parts, then the imaginary ones: the law is real."""
    runs = states.swapaxes(1, 2).reshape(-1, states.shape[1], states.shape[3])
    return np.concatenate([runs.real, runs.imag]) if np.iscomplexobj(runs) else runs


# -- the surrogate ----------------------------------------------------------------------------------------------


class Spectral:
    """The surrogate that we recommend for swarms. Mass is kept exactly and no cell is ever negative.

    With positions and headings in the context it uses all moments; without them (foreign data) a second set of
    coefficients that was fitted to the density alone. The density's modes always come from the grid.
    """

    Config: ClassVar[type[SpectralTable]] = SpectralTable

    def __init__(self, config: SpectralTable | None = None) -> None:
        self.config = config or SpectralTable()
        self.lag = self.config.lag
        self.blend: Blend | None = None
        self._modes: Modes | None = None
        self._full: ShellModel | None = None
        self._density: ShellModel | None = None

    def fit(self, train: Dataset, validation: Dataset | None = None) -> None:
        """Raises SurrogateError if no case is longer than `lag`."""
        config = self.config
        modes = self._modes = Modes(Box.of(train.geometry, float(train.geometry["step"])))
        names = [name for name in ("rho", "positions", "headings") if name in train.schema]
        states = self._states(modes, train.read(names))
        self._density = ShellModel.fit(states[..., :1], modes.shell, config.lag, config.ridge)
        self._full = None
        if states.shape[-1] > 1:
            self._full = ShellModel.fit(states, modes.shell, config.lag, config.ridge)
        self.blend = None
        if config.blend:
            self.blend = Blend.fit(train, self._part, lag=config.lag, count=config.folds, target="rho")

    def forecast(self, context: Context, horizon: int) -> dict[str, Array]:
        """`rho` (C, horizon, ny, nx), particles per area.

        Raises:
            SurrogateError: Too few frames, or another box, grid, kernel or time step than in training.
        """
        density = self._linear(context, horizon)
        if self.blend is not None:
            density = self.blend.apply(density)
        total = context.fields["rho"][:, -1].sum(axis=(-2, -1))
        flat = project(density.reshape(*density.shape[:2], -1), np.repeat(total[:, None], horizon, axis=1))
        return {"rho": flat.reshape(density.shape)}

    def save(self, folder: Path) -> list[Path]:
        """`spectral_model.npz`: density_matrices, density_shrinkage; matrices and shrinkage if training had headings;
        the climatology and the blend's weights if there is a blend; the box."""
        modes, density = self._fitted()
        arrays = {"density_matrices": density.matrices, "density_shrinkage": density.shrinkage}
        if self._full is not None:
            arrays |= {"matrices": self._full.matrices, "shrinkage": self._full.shrinkage}
        if self.blend is not None:
            arrays |= {"climatology": self.blend.climatology, **self.blend.arrays()}
        return [write_npz(folder / FILE, arrays | asdict(modes.box))]

    @classmethod
    def load(cls, folder: Path, config: SpectralTable | None = None) -> Self:
        """Read what `save` wrote. Raises SurrogateError naming the file and the key that is wrong."""
        path, spectral = folder / FILE, cls(config)
        box = {name: array.item() for name, array in read_weights(path, dict.fromkeys(_BOX, 0)).items()}
        modes = Modes(Box(**box))
        spectral._modes = modes
        spectral._density = _read_shells(path, "density_", modes)
        if "matrices" in names_in(path):
            spectral._full = _read_shells(path, "", modes)
        blend = read_weights(path, {}, {"climatology": 2, **Blend.AXES})
        if "climatology" in blend:
            spectral.blend = Blend.from_arrays(blend["climatology"], blend)
        spectral.lag = spectral._density.matrices.shape[1]
        return spectral

    def _linear(self, context: Context, horizon: int) -> Array:
        """The forecast (C, horizon, ny, nx) of the shells alone, without blend and positivity."""
        modes, density = self._fitted()
        rho = context.fields["rho"]
        if rho.shape[1] < self.lag:
            raise SurrogateError(
                f"spectral: the context has {rho.shape[1]} frames and needs {self.lag}.",
                "Give more frames, or train with a smaller `lag`.",
            )
        box = modes.box
        differs = box.differences(Box.of(context.geometry, context.step))
        if differs or rho.shape[2:] != (box.ny, box.nx):
            raise SurrogateError(
                f"spectral: the context is not like the training data ({differs or rho.shape[2:]}).",
                "Bring it to the same box, grid, bandwidth and time step, or train on data like it.",
            )
        states = self._states(modes, context.last(self.lag).fields)
        law = density if states.shape[-1] == 1 or self._full is None else self._full
        continued = law.forecast(states[..., : law.matrices.shape[-1]], modes.shell, horizon)
        return modes.synthesise(continued, np.repeat(rho[:, -1].sum(axis=(-2, -1))[:, None], horizon, axis=1))

    def _states(self, modes: Modes, arrays: Mapping[str, Array]) -> Array:
        """(C, T, M, F): the density's modes and, if particles can be seen and the box is periodic, the moments."""
        states = modes.analyse(arrays["rho"])[..., None]
        if modes.box.walls or not {"positions", "headings"} <= arrays.keys():
            return states
        moments = modes.moments(arrays["positions"], arrays["headings"], self.config.harmonics)
        return np.concatenate([states, moments], axis=-1)

    def _part(self, part: Dataset) -> Forecast:
        """The forecast without blend and positivity of a model that is fitted to a part of the cases."""
        spectral = Spectral(self.config.model_copy(update={"blend": False}))
        spectral.fit(part)
        return spectral._linear

    def _fitted(self) -> tuple[Modes, ShellModel]:
        if self._modes is None or self._density is None:
            raise SurrogateError("spectral: is not fitted.", "Call `fit` or `load` first.")
        return self._modes, self._density


_BOX = tuple(Box.__dataclass_fields__)


def _read_shells(path: Path, prefix: str, modes: Modes) -> ShellModel:
    arrays = read_weights(path, {f"{prefix}matrices": 4, f"{prefix}shrinkage": 2})
    matrices, shrinkage = arrays[f"{prefix}matrices"], arrays[f"{prefix}shrinkage"]
    shells = int(modes.shell.max(initial=-1)) + 1
    for name, array in arrays.items():
        if len(array) != shells:
            raise SurrogateError(f"{path}: '{name}' has {len(array)} shells, its box has {shells}.", MEND)
    if matrices.shape[2] != matrices.shape[3]:
        raise SurrogateError(f"{path}: '{prefix}matrices' has shape {matrices.shape}, not square ones.", MEND)
    return ShellModel(matrices, shrinkage)

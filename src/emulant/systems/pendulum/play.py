"""The double pendulum to be played with: drag its start, and see truth and forecast part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from emulant.dataset.memory import Unfiled
from emulant.dataset.seams import Array, CaseResult
from emulant.dataset.tables import Table
from emulant.errors import SimulationError, UsageError
from emulant.evaluation.forecasts import Start, forecast
from emulant.play.parts import Action, Answer, Control, Play
from emulant.systems.pendulum.config import PARAMETERS, Quantity, SystemTable
from emulant.systems.pendulum.metrics import nrse, spread

THRESHOLD = 0.4
"""NRSE from which on a forecast no longer holds, as in `vpt_nrse_0.4`."""
CLOCK = 50.0
"""s over which the Lyapunov exponent of a start is taken."""
LONGEST = 60.0
"""s that can be followed."""
UNITS = dict(zip(PARAMETERS, ("m", "m", "kg", "kg", "m/s²"), strict=True))

Angle = Annotated[float, Field(ge=-100.0, le=100.0)]
Positive = Annotated[float, Field(ge=1e-3, le=1e3)]


class Pulled(Table):
    """Where the pendulum is let go, at rest; parameters that the study varies; how long it is followed."""

    theta1: Angle
    theta2: Angle
    seconds: Annotated[float, Field(gt=0.0, le=LONGEST)] = LONGEST
    l1: Positive | None = None
    l2: Positive | None = None
    m1: Positive | None = None
    m2: Positive | None = None
    g: Positive | None = None


def play(run: Any) -> Play:
    """What the page needs of an opened run."""
    game = Game(run)
    system = game.system
    return Play(
        title="Double pendulum",
        hint="Drag either bob, and let go. Grey is the simulation, blue the surrogate, which has seen the first "
        f"{game.context * system.dt:g} s of it (shaded in the charts) and goes on alone.",
        script=Path(__file__).with_name("play.js"),
        actions={"roll": Action(Pulled, game.roll), "clock": Action(Pulled, game.clock)},
        controls=[*game.controls()],
        facts={"threshold": THRESHOLD, "clock": CLOCK, "context": game.context * system.dt},
    )


class Game:
    """A run, and what is worked out of it once."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.system: SystemTable = run.study.config.system
        self.context: int = run.study.context_frames

    @cached_property
    def sigma(self) -> Array:
        return spread(self.run.dataset("training"))

    def controls(self) -> Iterator[Control]:
        for name, label, value in (("theta1", "Upper angle", 2.0), ("theta2", "Lower angle", 2.4)):
            yield Control(name, label, value, -math.pi, math.pi, 0.001, unit="rad", group="Start, at rest")
        for name in PARAMETERS:
            if self.system.quantity(name).constant is None:
                low, high = bounds(self.system.quantity(name))
                yield Control(name, name, (low + high) / 2, low, high, unit=UNITS[name], group="Pendulum")
        least = 2 * self.context * self.system.dt
        yield Control(
            "seconds", "Follow it for", max(self.system.T, least), least, LONGEST, 1.0, unit="s", group="Film"
        )

    def roll(self, model: Any, message: Pulled) -> Answer:
        """Truth (T, 4), forecast (H, 4) from the end of the context on, its NRSE (H,), both energies in J."""
        from emulant.systems.pendulum.equations import energy
        from emulant.systems.pendulum.files import FIELDS
        from emulant.systems.pendulum.integrate import integrate

        start, parameters = self._start(message), self._parameters(message)
        steps = max(round(message.seconds / self.system.dt), self.context)
        asked = self.system.model_copy(update={"T": steps * self.system.dt})
        solution = integrate(start, parameters, asked, trust=False)
        if solution.reasons[0]:
            raise SimulationError(f"The pendulum cannot be simulated from here: {solution.reasons[0]}.")
        record = {"parameters": dict(zip(PARAMETERS, parameters[0].tolist(), strict=True))}
        geometry = {"step": self.system.dt, "periodic": (0, 1)}
        case = Unfiled.of([CaseResult(0, {"state": solution.states[0]}, record)], FIELDS, ("state",), geometry)
        found = next(forecast(model, case, Start("", self.context - 1)))[1]["state"]
        truth = solution.states[:, self.context :]
        error = nrse({"state": truth}, {"state": found}, {"sigma": self.sigma})[0]
        with np.errstate(over="ignore", invalid="ignore"):
            energies = energy(found[0], parameters)
        holds = int(np.logical_and.accumulate(error <= THRESHOLD).sum())
        return Answer(
            {
                "truth": solution.states[0],
                "forecast": found[0],
                "error": error,
                "energy": solution.energy[0],
                "forecast_energy": np.where(np.isfinite(energies), energies, np.inf),
            },
            {
                "step": self.system.dt,
                "context": self.context,
                "valid": holds * self.system.dt,
                "ended": holds == len(error),
                "outside": self._outside(message),
                "lengths": parameters[0, :2].tolist(),
                "masses": parameters[0, 2:4].tolist(),
            },
        )

    def clock(self, model: Any, message: Pulled) -> Answer:
        """The largest Lyapunov exponent from this start, 1/s, over `CLOCK`, and its standard error."""
        from emulant.systems.pendulum.lyapunov import spectrum

        found = spectrum(self._start(message), self._parameters(message), CLOCK)
        chaotic = found.exponents[0, 0] > self.run.study.evaluation.chaotic_above
        facts = {
            "exponent": float(found.exponents[0, 0]),
            "error": float(found.standard_error[0]),
            "chaotic": bool(chaotic),
        }
        return Answer({}, facts)

    def _start(self, message: Pulled) -> Array:
        return np.array([[message.theta1, message.theta2, 0.0, 0.0]])

    def _parameters(self, message: Pulled) -> Array:
        """(1, 5).

        Raises:
            UsageError: One is asked for that the study keeps fixed.
        """
        found = []
        for name in PARAMETERS:
            given, law = getattr(message, name), self.system.quantity(name)
            if law.constant is not None and given not in (None, law.constant):
                raise UsageError(f"{name} is {law.constant:g} throughout this study.", "The surrogate knows no other.")
            found.append(law.constant if law.constant is not None else given or sum(bounds(law)) / 2)
        return np.array([found])

    def _outside(self, message: Pulled) -> list[str]:
        """The angles at which no training case starts."""
        return [name for name in ("theta1", "theta2") if _beyond(self.system.quantity(name), getattr(message, name))]


def bounds(law: Quantity) -> tuple[float, float]:
    """Between which a law draws; of a normal one three deviations to either side of a mean that is positive."""
    if law.normal is not None:
        mean, deviation = law.normal
        return max(mean - 3 * deviation, mean / 10), mean + 3 * deviation
    values = law.uniform or (law.grid and law.grid[:2]) or law.choice or (law.constant, law.constant)
    return min(values), max(values)  # type: ignore[type-var,return-value]  # one of the laws is there


def _beyond(law: Quantity, angle: float) -> bool:
    """Whether an angle, or any that differs from it by full turns, lies outside of what is drawn."""
    if law.normal is not None:
        return False
    low, high = bounds(law)
    turn = 2 * math.pi
    return low + (angle - low) % turn > high

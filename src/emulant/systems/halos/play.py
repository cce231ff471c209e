"""A halo to be played with: slide the strength of feedback, and see gas and stars change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from emulant.dataset.memory import Unfiled
from emulant.dataset.seams import Array, CaseResult, Dataset
from emulant.dataset.tables import Table
from emulant.errors import UsageError
from emulant.evaluation.emulations import emulate
from emulant.play.parts import Action, Answer, Control, Play
from emulant.systems.halos import plan
from emulant.systems.halos.box import SPECIES
from emulant.systems.halos.boxes import DarkMatter, dark_matter
from emulant.systems.halos.config import HalosConfig
from emulant.systems.halos.cosmology import Cosmology
from emulant.systems.halos.extraction import CellList
from emulant.systems.halos.parameters import ASTROPHYSICS, LOGARITHMIC
from emulant.systems.halos.samples import IDENTITY, Cutout

MOST = 200
"""Halos that can be chosen from, the heaviest."""
RINGS = 24
SHORT = {
    "WindEnergyIn1e51erg": "Supernovae: energy",
    "VariableWindVelFactor": "Supernovae: speed",
    "RadioFeedbackFactor": "Black holes: energy",
    "RadioFeedbackReorientationFactor": "Black holes: burstiness",
}


class Slid(Table):
    """A halo by its rank in mass, parameters that differ from those of its simulation, and which draw is shown."""

    halo: Annotated[int, Field(ge=1, le=MOST)]
    parameters: Mapping[str, Annotated[float, Field(gt=0)]] = {}
    draw: Annotated[int, Field(ge=0, le=2**31)] = 0


def play(run: Any) -> Play:
    """What the page needs of an opened run."""
    game = Game(run)
    count = min(len(game.cases), MOST)
    return Play(
        title="Halos",
        hint="Choose a halo of the test split and slide the feedback in it. The upper maps are painted by the "
        "surrogate into the dark matter that it sees; the lower ones are simulated, at first under its own feedback.",
        script=Path(__file__).with_name("play.js"),
        actions={"paint": Action(Slid, game.paint), "simulate": Action(Slid, game.simulate, slow=True)},
        controls=[
            Control("halo", "By mass, number", 1, 1, max(count, 2), 1, group="Halo"),
            *game.sliders(),
            Control("draw", "Random draw", 0, step=1, group="Surrogate"),
        ],
        facts={"names": game.names, "can_simulate": game.config.system.source.kind == "embedded", "halos": count},
    )


class Game:
    """A run, its test split, and what of it is worked out once."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.config: HalosConfig = run.study.config
        self.dataset: Dataset = run.dataset(run.test_splits[0])

    @cached_property
    def cases(self) -> list[int]:
        """The halos, each from one side, the heaviest first."""
        numbers = self.dataset.cases["case"].to_list()
        upright = [case for case in numbers if Cutout.of(case).rotation == IDENTITY] or numbers
        masses = self.dataset.read(["halo_mass"], upright)["halo_mass"]
        return [upright[place] for place in np.argsort(-masses, kind="stable")]

    @cached_property
    def names(self) -> list[str]:
        """The parameters that are slid: those of feedback, or all where none is known to be of feedback."""
        known = list(self.dataset.geometry["parameters"])
        return [name for name in known if name in ASTROPHYSICS] or known

    def sliders(self) -> Iterator[Control]:
        """Each over the range that it has in training."""
        training = self.run.dataset("training").cases
        for name in self.names:
            low, high = float(training[name].min()), float(training[name].max())
            if low < high:
                log = name in LOGARITHMIC and low > 0
                middle = float(np.sqrt(low * high)) if log else (low + high) / 2
                yield Control(name, SHORT.get(name, name), middle, low, high, log=log, group="Feedback, as in training")

    def paint(self, model: Any, slid: Slid) -> Answer:
        """What the model sees `seen` (r, r), what it paints `painted` (3, r, r), the data's `truth` (3, r, r) of the
        halo's own parameters; mean surface densities about the centre `profiles` (2, 3, R)."""
        case, own = self._case(slid)
        given = {**own, **self._known(slid.parameters)}
        arrays = self._arrays(case, given)
        record = {"parameters": given, "group_key": "played"}
        one = Unfiled.of(
            [CaseResult(case, arrays, record)], self.dataset.schema, self.dataset.targets, self.dataset.geometry
        )
        painted = next(emulate(model, one, seed=slid.draw))[1]["target"][0, 0]
        facts = {
            "own": {name: own[name] for name in self.names},
            "mass": float(arrays["halo_mass"]),
            "side": self.config.system.scales[0],
            "limits": [_limits(arrays["condition"]), *(_limits(each) for each in arrays["target"])],
            "painted": _masses(painted),
            "simulated": _masses(arrays["target"]),
        }
        shown = {"seen": arrays["condition"], "painted": painted, "truth": arrays["target"]}
        return Answer({**shown, "profiles": np.stack([_profiles(painted), _profiles(arrays["target"])])}, facts)

    def simulate(self, model: Any, slid: Slid) -> Answer:
        """`truth` (3, r, r) of the halo under the parameters that are asked for, and its `profiles` (3, R).

        Raises:
            UsageError: The simulations came from elsewhere.
        """
        if self.config.system.source.kind != "embedded":
            raise UsageError("these simulations were made elsewhere.", "They cannot be run from here.")
        case, own = self._case(slid)
        maps = simulated(
            case, {**own, **self._known(slid.parameters)}, self.config, self._dark(Cutout.of(case).simulation)
        )
        return Answer({"truth": maps, "profiles": _profiles(maps)}, {"simulated": _masses(maps)})

    def _case(self, slid: Slid) -> tuple[int, dict[str, float]]:
        """The case of a halo, and its own parameters.

        Raises:
            UsageError: There are not so many.
        """
        if slid.halo > len(self.cases):
            raise UsageError(f"there is no halo {slid.halo}: the split has {len(self.cases)}.")
        case = self.cases[slid.halo - 1]
        names = self.dataset.geometry["parameters"]
        return case, dict(zip(names, self.dataset.read(["params"], [case])["params"][0].tolist(), strict=True))

    def _known(self, parameters: Mapping[str, float]) -> Mapping[str, float]:
        for name in parameters:
            if name not in self.names:
                raise UsageError(f"there is no parameter `{name}`.", f"There are {', '.join(self.names)}.")
        return parameters

    def _arrays(self, case: int, parameters: Mapping[str, float]) -> dict[str, Array]:
        fields = self.dataset.read(list(self.dataset.schema), [case])
        arrays = {name: array[0] for name, array in fields.items()}
        return {**arrays, "params": np.array(list(parameters.values()))}

    @lru_cache(maxsize=2)  # noqa: B019  # one game lives as long as the server
    def _dark(self, simulation: int) -> DarkMatter:
        box = next(box for box in plan.boxes(self.config) if simulation in box.simulations)
        return dark_matter(box, self.config)


def simulated(case: int, parameters: Mapping[str, float], config: HalosConfig, dark: DarkMatter) -> Array:
    """(3, r, r) dark matter, gas and stars of a cutout under other feedback, Msun/h per pixel."""
    cutout, system = Cutout.of(case), config.system
    matter = dark.with_baryons(parameters, config)
    center = dark.catalogue.halos.centers[cutout.halo]
    share = Cosmology.of(parameters).baryon_fraction
    places = (matter.dm, matter.gas[~matter.is_star], matter.gas[matter.is_star])
    made = np.zeros((len(SPECIES), system.resolution, system.resolution), np.float32)
    for row, (positions, part) in enumerate(zip(places, (1 - share, share, share), strict=True)):
        if len(positions):
            listed = CellList.of(positions, dark.particle_mass * part, system.box_size)
            turn = cutout.matrix(config.seed)
            made[row] = listed.extract(
                center, npix=system.npix, rotation=turn, resolution=system.resolution, scales=system.scales[:1]
            )[0]
    return made


def _limits(field: Array) -> list[float]:
    """log10 of the values between which a map is coloured."""
    occupied = field[field > 0]
    if not occupied.size:
        return [0.0, 1.0]
    low, high = np.log10(np.quantile(occupied, [0.01, 0.999]))
    return [float(low), float(max(high, low + 0.1))]


def _masses(maps: Array) -> list[float]:
    """Of dark matter, gas and stars in the cutout, Msun/h."""
    return [float(each) for each in maps.sum(axis=(1, 2), dtype=np.float64)]


def _profiles(maps: Array) -> Array:
    """(3, R) mean mass per pixel in rings about the centre, out to half the side."""
    side = maps.shape[-1]
    x, y = np.meshgrid(*(np.arange(side) - side // 2,) * 2, indexing="ij")
    ring = np.minimum((np.hypot(x, y) / (side / 2) * RINGS).astype(int), RINGS)
    count = np.maximum(np.bincount(ring.ravel(), minlength=RINGS + 1), 1)
    sums = [np.bincount(ring.ravel(), each.ravel(), RINGS + 1) for each in maps]
    return np.asarray((np.stack(sums) / count)[:, :RINGS])

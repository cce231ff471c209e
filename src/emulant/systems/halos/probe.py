"""What is measured of a painter on whole boxes, on moved parameters and in more steps, which no prediction shows.

Every test simulation is painted from its unrotated cutouts, pasted and compared with the truth of the whole box, and
with what pasting would make of the true cutouts. In
`test_response`, where simulations of a box differ in one parameter of feedback, the change that the painter sees is
compared with the true one. A value of a box stands at its first case, NaN at the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emulant.dataset import hdf5
from emulant.dataset.memory import Remembered
from emulant.dataset.seams import Array, Dataset, Emulator, Fields, Inputs, Metric
from emulant.systems.halos.background import background_maps
from emulant.systems.halos.box import SPECIES
from emulant.systems.halos.extraction import Geometry
from emulant.systems.halos.metrics import ALL, correlation, cosmic_share
from emulant.systems.halos.normalisation import names_of
from emulant.systems.halos.parameters import ASTROPHYSICS
from emulant.systems.halos.pasting import Places, paste
from emulant.systems.halos.radii import r200c
from emulant.systems.halos.scaling import baryon_fraction
from emulant.systems.halos.sight import pieces
from emulant.systems.halos.spectra import MIDDLES, band_power

SEEN = ("condition", "large_scale", "params", "halo_mass", "halo_center", "rotation", "simulation", "halo")
DRAWS = 4
"""Of a painter that draws, of each box."""
STEPS, FEW = 50, 16
"""Steps that a painter's own are compared with, and on how many cutouts."""
RESPONSE = "test_response"


def probe(name: str, model: Any, dataset: Dataset, evaluation: Any) -> dict[str, Array]:
    """Values (C,) in the order of `dataset.cases`.

    Args:
        name: Of the model.
        model: An emulator, or an oracle that is given the truth.
        dataset: A test split.
        evaluation: `[evaluation]`.
    """
    cases = dataset.cases["case"].to_numpy()
    seen = dataset.read([*SEEN, "target"])
    plain = np.flatnonzero(np.isclose(seen["rotation"], np.eye(3)).all(axis=(1, 2)))
    found = {key: np.full(len(cases), np.nan) for key in KEYS}
    inside: dict[int, Array] = {}
    for simulation in np.unique(seen["simulation"][plain]).tolist():
        rows = plain[seen["simulation"][plain] == simulation]
        fields = {key: array[rows] for key, array in seen.items()}
        painted = _painted(model, fields, dataset.geometry, min(DRAWS, evaluation.samples))
        inside[simulation] = _log_masses(painted.mean(axis=1), fields, dataset.geometry)
        truth = whole_box(dataset, int(cases[rows[0]]))
        if truth is not None:
            for key, values in _of_box(model, painted, fields, truth, dataset.geometry):
                found[key][rows[: len(values)]] = values
    if isinstance(model, Stepping) and len(plain):
        rows = plain[np.unique(np.linspace(0, len(plain) - 1, FEW).round().astype(int))]
        for key, value in _of_steps(model, {key: array[rows] for key, array in seen.items()}, dataset.geometry):
            found[key][rows[0]] = value
    if dataset.split == RESPONSE:
        _respond(found, inside, {key: array[plain] for key, array in seen.items()}, dataset, plain)
    return found


def whole_box(dataset: Dataset, case: int) -> NDArray[np.float64] | None:
    """(4, npix, npix) dmo, dm, gas, stars of the box that a case is of; None for data that do not have it."""
    stored: Any = dataset.dataset if isinstance(dataset, Remembered) else dataset
    path = stored.files[case][0]
    if path.suffix != ".hdf5":
        return None
    with hdf5.opened(path) as file:
        return hdf5.read(file, path, "box").astype(np.float64) if "box" in file else None


def _painted(model: Any, fields: Fields, geometry: Mapping[str, Any], samples: int) -> NDArray[np.float32]:
    """(C, S, 3, r, r)"""
    made = []
    for part in pieces(len(fields["halo_mass"]), 64):
        inputs = Inputs({key: fields[key][part] for key in SEEN}, geometry)
        if isinstance(model, Emulator):
            made.append(model.predict(inputs, samples=samples)["target"])
        else:
            made.append(model.predict_with_truth(inputs, {"target": fields["target"][part]})["target"])
    return np.concatenate(made)


def _of_box(
    model: Any, painted: Array, fields: Fields, truth: Array, geometry: Mapping[str, Any]
) -> Iterator[tuple[str, Array]]:
    """Names and values: one for the box, or one for each of its halos."""
    plan = Geometry(geometry["box_size"], geometry["npix"], geometry["resolution"], tuple(geometry["scales"]))
    places = Places.of(fields["halo_center"], fields["halo_mass"], plan)
    parameters = dict(zip(names_of(geometry), fields["params"][0].tolist(), strict=True))
    background = background_maps(model, truth[0], places, parameters)
    share = float(baryon_fraction(fields["params"][:1], names_of(geometry))[0])
    masses = ((1 - share) * truth[0].sum(), share * truth[0].sum())
    boxes = np.stack([paste(painted[:, draw], places, background, masses) for draw in range(painted.shape[1])])
    ceiling = paste(np.asarray(fields["target"]), places, background, masses)
    for species in ALL:
        ours, true = _of(boxes, species), _of(truth[1:], species)
        of_truth = band_power(true, plan.box_size)
        error = band_power(ours, plan.box_size).mean(axis=0) / np.where(of_truth > 0, of_truth, np.nan) - 1
        start = cosmic_share(species, np.array(share)) * truth[0]
        placed, best = (
            correlation((true - start)[None], (maps - start)[None], plan.box_size)[0]
            for maps in (ours, _of(ceiling, species)[None])
        )
        for name, values in (("suppression_error", error), (CORRECTION, placed / np.where(best > 0, best, np.nan))):
            yield from ((key, values[band : band + 1]) for band, key in enumerate(_band_keys(name, species)))
        inside, expected = (np.array([*_around(maps, places, fields)]) for maps in (ours.mean(axis=0), true))
        yield f"halo_mass_bias/{species}", inside / np.where(expected > 0, expected, np.nan) - 1


def _of(maps: Array, species: str) -> NDArray[np.float64]:
    """(..., n, n) of (..., 3, n, n)."""
    chosen = maps.sum(axis=-3) if species == "total" else maps[..., SPECIES.index(species), :, :]
    return np.asarray(chosen, np.float64)


def _around(box: Array, places: Places, fields: Fields) -> Iterator[float]:
    """The mass of a box's map inside R200c of each halo, in projection."""
    plan = places.geometry
    steps = np.arange(plan.resolution) - plan.resolution // 2
    for halo, radius in enumerate(r200c(fields["halo_mass"])):
        along, across = (steps - shift for shift in places.shifts[halo])
        inside = plan.pixel * np.hypot(along[:, None], across[None, :]) < radius
        rows, columns = ((node + steps) % plan.npix for node in places.nodes[halo])
        yield float(box[np.ix_(rows, columns)][inside].sum())


# -- the number of steps ------------------------------------------------------------------------------------------


@runtime_checkable
class Stepping(Protocol):
    """A painter that goes from noise to a map in steps."""

    def in_steps(self, steps: int) -> Emulator:
        """The same in so many steps."""


def _of_steps(model: Any, fields: Fields, geometry: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Power of draws over that of the same noise in `STEPS` steps, less 1."""
    side = float(geometry["scales"][0])
    quick, slow = (_painted(each, fields, geometry, 1)[:, 0] for each in (model, model.in_steps(STEPS)))
    for species in ALL:
        ours, theirs = (band_power(_of(maps, species), side).sum(axis=0) for maps in (quick, slow))
        ratio = ours / np.where(theirs > 0, theirs, np.nan) - 1
        yield from zip(_band_keys("step_error", species), ratio.tolist(), strict=True)


# -- the response to parameters -----------------------------------------------------------------------------------


def _log_masses(maps: Array, fields: Fields, geometry: Mapping[str, Any]) -> NDArray[np.float64]:
    """(2, C, 2) log10 of gas and stars inside R200c: of the painted maps (C, 3, r, r), and of the true ones."""
    pixels = geometry["resolution"]
    distance = geometry["scales"][0] / pixels * np.hypot(*(np.indices((pixels, pixels)) - pixels // 2))
    inside = distance < r200c(fields["halo_mass"])[:, None, None]
    both = [(np.asarray(each, float) * inside[:, None]).sum(axis=(2, 3))[:, 1:] for each in (maps, fields["target"])]
    return np.log10(np.maximum(both, 1e6))


def _respond(
    found: dict[str, Array], inside: Mapping[int, Array], fields: Fields, dataset: Dataset, plain: Array
) -> None:
    """Fill in `response_r/PARAMETER`: Pearson r between the changes that are painted and the true ones.

    A change is that of log gas or log stars of a halo when a parameter goes from its middle to one of its ends.
    """
    names, boxes = list(names_of(dataset.geometry)), np.array(dataset.cases["group_key"].to_list())[plain]
    for box in np.unique(boxes):
        rows = np.flatnonzero(boxes == box)
        numbers = np.unique(fields["simulation"][rows])
        params = {n: fields["params"][rows][fields["simulation"][rows] == n][0] for n in numbers.tolist()}
        middle = np.median([*params.values()], axis=0)
        center = next((n for n, values in params.items() if np.allclose(values, middle)), None)
        if center is None:
            continue
        for name in (name for name in ASTROPHYSICS if name in names):
            column = names.index(name)
            ends = [n for n, values in params.items() if not np.isclose(values[column], middle[column])]
            changes = [inside[n] - inside[center] for n in ends if inside[n].shape == inside[center].shape]
            if changes and np.ptp(moved := np.concatenate(changes, axis=1), axis=(1, 2)).min() > 0:
                found[f"response_r/{name}"][plain[rows[0]]] = np.corrcoef(moved[0].ravel(), moved[1].ravel())[0, 1]
            elif changes:
                found[f"response_r/{name}"][plain[rows[0]]] = 0.0


# -- as scores ----------------------------------------------------------------------------------------------------


CORRECTION = "r_k_correction_box"


def _band_keys(name: str, species: str) -> tuple[str, ...]:
    return tuple(f"{name}/{species}/{band}" for band in range(len(MIDDLES)))


_MEANINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "suppression_error": (
        "power of the whole painted box over the true one, less 1, by wave number / (h/Mpc)",
        {"better": "lower"},
    ),
    CORRECTION: (
        "correlation of what baryons change in whole boxes, over that of the true cutouts pasted, by wave number",
        {"better": "higher", "perfect": 1.0},
    ),
    "step_error": (
        f"power of cutouts over that in {STEPS} steps from the same noise, less 1, by wave number / (h/Mpc)",
        {"better": "lower"},
    ),
}
KEYS = (
    *(key for name in _MEANINGS for species in ALL for key in _band_keys(name, species)),
    *(f"halo_mass_bias/{species}" for species in ALL),
    *(f"response_r/{name}" for name in ASTROPHYSICS),
)


def _read(*keys: str) -> Any:
    def score(truth: Fields, prediction: Fields, info: Mapping[str, Any]) -> Array:
        columns = [info["probe"][key] for key in keys]
        return np.stack(columns, axis=1) if len(columns) > 1 else columns[0]

    return score


def _metrics() -> Mapping[str, Metric]:
    halos = "projected mass inside R200c after pasting over the true one, less 1"
    found = {}
    for species in ALL:
        for name, (meaning, about) in _MEANINGS.items():
            score = _read(*_band_keys(name, species))
            found[f"{name}/{species}"] = Metric(score, "1", meaning, horizons=MIDDLES, **about)
        key = f"halo_mass_bias/{species}"
        found[key] = Metric(_read(key), "1", halos, "lower", aggregate="median", horizons=())
    for name in ASTROPHYSICS:
        key, meaning = f"response_r/{name}", "correlation of painted with true changes when one parameter is moved"
        found[key] = Metric(_read(key), "1", meaning, "higher", 1.0, horizons=())
    return found


PROBED = _metrics()

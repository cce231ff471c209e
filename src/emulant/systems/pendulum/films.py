"""Films of the arms: the truth, and what two models make of it, each over the truth's own ghost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw

from emulant.dataset.seams import Array
from emulant.errors import UsageError
from emulant.reporting.frames import GREYS, INK, MARK, Colour, Film, Pixels, letters, palette, progress, ramp, store
from emulant.reporting.style import DARK, looks
from emulant.systems.pendulum.chosen import ranked_cases, rivals, valid_time
from emulant.systems.pendulum.config import PARAMETERS
from emulant.systems.pendulum.options import RenderOptions

SIZE, GAP, TITLE, BELOW = 220, 8, 26, 48
"""Pixels: a panel, between panels, above them, below them."""
SHADES = 24
"""Of each colour, from paper to full."""
FINE = 4
"""Points of a path per sample: between samples it is a cubic that has their velocities, too."""
SMOOTH = 2
"""Lines are drawn so many times as large and then reduced."""
AMBER = (232, 192, 74)
"""Of baselines: their grey is the truth's here."""


@dataclass(frozen=True)
class Arms:
    """One pendulum on a panel: its path over all samples, (T, 4), and where in the palette its colour is."""

    title: str
    states: Array
    shade: int
    note: str = ""
    """Below the panel."""


def of_report(run: Any) -> list[Film]:
    """The median and the worst chaotic case of the best surrogate, beside the best baseline."""
    if not run.study.surrogates:
        return []
    table = run.study.report
    fps = {} if table.film_fps is None else {"fps": table.film_fps}
    return _films(run, RenderOptions(split=run.test_splits[0], format=table.film_format, **fps))


def render(run: Any, options: RenderOptions) -> list[Path]:
    """What `emulant render` draws; the files written."""
    return [run.folder.root / each.file for each in _films(run, options)]


def _films(run: Any, options: RenderOptions) -> list[Film]:
    best, baseline = rivals(run)
    models = tuple(dict.fromkeys([options.surrogate or best, options.against or baseline]))
    for model in models:
        run.entrant(model)
    if options.split not in run.test_splits:
        raise UsageError(f"--split {options.split}: the run has {', '.join(run.test_splits)}.")
    known = run.dataset(options.split).cases["case"].to_list()
    if options.case is not None and options.case not in known:
        raise UsageError(f"--case {options.case}: split `{options.split}` has cases {min(known)} to {max(known)}.")
    if options.case is not None:
        return [_film(run, models, options.case, "", options)]
    group, ranked = ranked_cases(run, models[0], options.split, options.start)
    if ranked.is_empty():
        raise UsageError(f"--start {options.start}: there is no forecast of `{models[0]}` from there.")
    places = {"worst": 0, "median": (len(ranked) - 1) // 2}
    chosen = {ranked["case"][place]: f"{name} {group}".strip() for name, place in places.items()}
    return [_film(run, models, case, words, options) for case, words in reversed(chosen.items())]


def _film(run: Any, models: Sequence[str], case: int, words: str, options: RenderOptions) -> Film:
    dataset = run.dataset(options.split)
    truth, step = dataset.read(["state"], [case])["state"][0], float(dataset.geometry["step"])
    kept = [run.prediction(model, options.split, case, options.start) for model in models]
    context = int(kept[0]["context"])
    arms = [Arms("truth", truth, GREYS)]
    for number, (model, forecast) in enumerate(zip(models, kept, strict=True), 1):
        valid = f"valid for {valid_time(run, model, options.split, case, options.start):.2f} s"
        states = np.concatenate([truth[:context], forecast["state"]])
        arms.append(Arms(model, states, GREYS + number * SHADES, valid))
    lengths = dataset.cases.filter(case=case).select(PARAMETERS).row(0)[:2]
    stride = max(1, round(1 / (options.fps * step)))
    pages = list(_pages(arms, lengths, step, context, stride, round(options.trail / step)))
    place = f"_at_{options.start}" if options.start else ""
    name = f"arms_{'_'.join(models)}_{options.split}_{case:03d}{place}"
    still = (context + len(truth)) // (2 * stride)
    files = store(
        pages, _colours(run, models), run.folder.root, name, fps=options.fps, format=options.format, still=still
    )
    return Film(_title(words, options.split, case), _caption(models, words, context * step), _alt(arms, case), *files)


def _title(words: str, split: str, case: int) -> str:
    return f"{words[0].upper()}{words[1:]} case, {split} case {case}" if words else f"{split} case {case}"


def _caption(models: Sequence[str], words: str, given: float) -> str:
    chosen = (
        f" Of these cases it is the {words.split(maxsplit=1)[0]} by the valid time of `{models[0]}`." if words else ""
    )
    told = " and ".join(f"`{model}`" for model in models)
    return (
        f"The first {given:g} s are given to {told}; from there each goes on from its own output. Grey: the truth. "
        f"A forecast is valid until its NRSE exceeds 0.4.{chosen}"
    )


def _alt(arms: Sequence[Arms], case: int) -> str:
    notes = "; ".join(f"{arm.title} {arm.note}" for arm in arms[1:])
    return f"Two rods swinging, case {case}: {', '.join(arm.title for arm in arms)} side by side; {notes}"


def _colours(run: Any, models: Sequence[str]) -> Pixels:
    """Greys, then the truth's colour and the models': a surrogate has the one that it has in all figures."""
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    look = looks(kinds, DARK)
    inks = [_ink(look[model].color) if kinds[model] == "surrogate" else AMBER for model in models]
    return palette(*(ramp(ink, SHADES) for ink in (INK, *inks)), np.array([MARK], np.uint8))


def _ink(colour: str) -> Colour:
    red, green, blue = (round(255 * part) for part in to_rgb(colour))
    return red, green, blue


# -- drawing ------------------------------------------------------------------------------------------------------


def _pages(
    arms: Sequence[Arms], lengths: tuple[float, float], step: float, context: int, stride: int, trail: int
) -> Iterator[Pixels]:
    """The frames as indices into the palette."""
    frames = len(arms[0].states)
    width = GAP + len(arms) * (SIZE + GAP)
    backdrop = np.zeros((TITLE + SIZE + BELOW, width + width % 2), np.uint8)
    joints = [bobs(refined(arm.states, step), lengths) for arm in arms]
    for column, arm in enumerate(arms):
        left = GAP + column * (SIZE + GAP)
        letters(backdrop, left, 13, arm.title, 14)
        letters(backdrop, left, TITLE + SIZE + 10, arm.note, 11)
    for number, frame in enumerate(range(0, frames, stride)):
        page = backdrop.copy()
        for column, arm in enumerate(arms):
            left = GAP + column * (SIZE + GAP)
            panel = page[TITLE : TITLE + SIZE, left : left + SIZE]
            if column:
                _draw(panel, joints[0], frame, 0, GREYS, 0.35)
            _draw(panel, joints[column], frame, trail, arm.shade, 1.0)
        lead = (frame - context + 1) * step
        what = f"forecast, lead time {lead:.2f} s" if frame >= context else "context"
        letters(page, GAP, page.shape[0] - 16, f"t = {frame * step:.2f} s   {what}", 14)
        mark = GREYS + len(arms) * SHADES
        progress(page, number, -(-context // stride), -(-frames // stride), mark)
        yield page


def refined(states: Array, step: float) -> Array:
    """(T, 4) -> ((T-1) FINE + 1, 2) angles: cubic Hermite pieces through angles and velocities; NaN stays NaN."""
    s = (np.arange(FINE) / FINE)[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        angles, turns = states[:, :2], states[:, 2:] * step
        a, b, u, v = (part[:, None] for part in (angles[:-1], angles[1:], turns[:-1], turns[1:]))
        pieces = a + s * (u + s * (3 * (b - a) - 2 * u - v + s * (2 * (a - b) + u + v)))
    return np.concatenate([pieces.reshape(-1, 2), angles[-1:]])


def bobs(angles: Array, lengths: tuple[float, float]) -> Array:
    """(N, 2, 2) x and y of both bobs, y downwards, in units of the stretched pendulum."""
    with np.errstate(invalid="ignore"):
        rods = np.stack([np.sin(angles), np.cos(angles)], axis=-1) * np.array(lengths)[:, None]
    joints: Array = np.cumsum(rods, axis=1) / sum(lengths)
    return joints


def _draw(panel: Pixels, joints: Array, frame: int, trail: int, shade: int, strength: float) -> None:
    """One pendulum over what is there; nothing where its state is not finite."""
    now = frame * FINE
    if not np.isfinite(joints[now]).all():
        return
    mask = Image.new("L", (SMOOTH * SIZE, SMOOTH * SIZE))
    pen, scale = ImageDraw.Draw(mask), 0.47 * SMOOTH * SIZE
    places = np.vstack([np.zeros((1, 2)), joints[now]]) * scale + SMOOTH * SIZE / 2
    oldest = max(0, now - trail * FINE)
    path = joints[oldest : now + 1, 1] * scale + SMOOTH * SIZE / 2
    for age, (start, end) in enumerate(zip(path[-2::-1], path[:0:-1], strict=True)):
        if np.isfinite([start, end]).all():
            pen.line([*start, *end], fill=round(200 * (1 - age / (trail * FINE)) ** 1.5), width=2 * SMOOTH)
    full = round(255 * strength)
    pen.line([tuple(place) for place in places], fill=full, width=2 * SMOOTH, joint="curve")
    for (x, y), radius in zip(places, (2, 5, 5), strict=True):
        pen.ellipse([x - radius * SMOOTH, y - radius * SMOOTH, x + radius * SMOOTH, y + radius * SMOOTH], fill=full)
    levels = np.asarray(mask.reduce(SMOOTH), np.uint16) * (SHADES - 1) // 255
    np.copyto(panel, (shade + levels).astype(np.uint8), where=levels > 0)

"""What a frame of the page to play with costs, and an answer of its server."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

import emulant
from benchmarks.table import Options, Row, Section
from benchmarks.timing import duration
from emulant import use

CHROMIUM = "/usr/bin/chromium"
RATE = 30.0
"""Frames per second that are asked for."""
STUDIES: Mapping[str, Sequence[str]] = {
    "swarm": ("splits.training=16", "splits.test=4", "splits.test_long=0"),
    "pendulum": (
        "splits.training=24",
        "splits.validation=0",
        "splits.test=4",
        "training.max_epochs=1",
        "training.epoch_batches=4",
    ),
}
ASKED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "swarm": ("follow", {"family": "ring", "seconds": 8.0}),
    "pendulum": ("roll", {"theta1": 2.0, "theta2": 2.4, "seconds": 10.0}),
}
MODELS = {"swarm": ("spectral",), "pendulum": ("lstm", "lagrangian")}


def run(options: Options) -> Section:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for system, overrides in STUDIES.items():
            path = Path(folder) / system
            emulant.generate(system, path, overrides=overrides)
            for model in MODELS[system]:
                emulant.train(path, [model])
                rows += [_answered(path, system, model, options.seconds), _shown(path, system, model, options.seconds)]
    how = (
        f"The plain studies, hardly trained. Answers: CPU time of `{ASKED['swarm'][0]}` over 8 s and "
        f"`{ASKED['pendulum'][0]}` over 10 s, simulation and forecast together. Frames: CPU time of all of headless "
        "chromium's processes, drawn without a graphics card at 1200 px, over the frames that were shown while a film "
        "plays; how many came in a second stands beside it, by the clock on the wall."
    )
    return Section("The page to play with", how, rows)


def _answered(path: Path, system: str, model: str, seconds: float) -> Row:
    play, models = use.play(emulant.open(path), model)
    name, values = ASKED[system]
    action = play.actions[name]
    message, loaded = action.message.model_validate(dict(values)), models.get(model)
    spent = _least(lambda: action.answer(loaded, message), seconds)
    return Row(f"{system}: an answer of `{model}`", duration(spent))


def _least(function: Callable[[], object], seconds: float) -> float:
    function()
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 3:
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def _shown(path: Path, system: str, model: str, seconds: float) -> Row:
    command = [sys.executable, "-m", "emulant", "play", str(path), "--surrogate", model, "--no-browser", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        frames, wall, spent = _watched(json.loads(server.stdout.readline())["address"], seconds)
    finally:
        server.terminate()
        server.communicate()
    each = spent / frames
    said = f"{duration(each)} of CPU; {frames / wall:.0f} frames/s"
    return Row(f"{system}: a frame, `{model}`", said, target=f"{RATE:.0f} frames/s on 2 cores", met=2 / each >= RATE)


def _watched(address: str, seconds: float) -> tuple[int, float, float]:
    """Frames that were shown while a film played, s on the wall, s of CPU."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(address)
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=120_000)
        page.select_option("#speed", "0.25")  # so that it lasts
        page.wait_for_timeout(500)
        before, start = _spent(), time.monotonic()
        frames = page.evaluate(
            """length => new Promise(resolve => {
                let count = 0;
                const begin = performance.now();
                const tick = now => now - begin < length ? (count++, requestAnimationFrame(tick)) : resolve(count);
                requestAnimationFrame(tick);
            })""",
            1000 * seconds,
        )
        found = int(frames), time.monotonic() - start, _spent() - before
        assert page.inner_text("#toggle") == "Pause", "the film has ended before the measurement"
        browser.close()
    return found


def _spent() -> float:
    """CPU seconds of this process's descendants that are chromium's."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True) if "chrom" in child.name()]
    return sum(each.user + each.system for each in times)

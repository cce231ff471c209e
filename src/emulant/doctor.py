"""What `emulant doctor` finds out about an installation and the machine that it is on, as JSON types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from emulant.dataset.environment import environment
from emulant.engines.local import available_cores

EXTRAS = {
    "torch": "surrogates that are networks",
    "llm": "language models as surrogates (scenes)",
    "export": "ONNX files of trained networks",
    "share": "`emulant export --format hf --push`",
    "dask": "`--engine dask`",
    "mpi": "`--engine mpi`",
    "sweep": "`emulant sweep --optimize`",
    "play": "`emulant play`",
    "track": "TensorBoard and Weights & Biases as loggers",
    "video": "films as mp4",
}
"""The extras for users, and what each is for; the others serve those who work on emulant."""

PROGRAMS = {
    "sbatch": "SLURM: `emulant submit`",
    "mpirun": "MPI: `--engine mpi`",
    "nvidia-smi": "NVIDIA GPUs",
    "cc": "a C compiler: what `export --format c` writes is to be compiled",
    "gfortran": "its Fortran example",
    "cmake": "its build",
}
"""Programs of the machine that some commands use, all optional."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def examine(folder: Path, *, self_test: bool = True) -> dict[str, Any]:
    """Everything; `folder` is where runs would be written."""
    found: dict[str, Any] = {
        "machine": {**_machine(), "cores": available_cores()},
        "packages": _found(_requirements("")),
        "extras": extras(),
        "threads": {name: os.environ.get(name) for name in THREADS},
        "gpu": _gpu(),
        "programs": {name: {"path": shutil.which(name), "for": why} for name, why in PROGRAMS.items()},
        "storage": {"runs": _storage(folder), "kernels": _storage(_kernels()), "temporary": _storage(_temporary())},
    }
    if self_test:
        found["self_test"] = tested()
    return {**found, "faults": list(_faults(found))}


def _machine() -> dict[str, Any]:
    known = environment()
    return {name: known[name] for name in ("emulant", "python", "platform", "cpu")}


def _temporary() -> Path:
    return Path(tempfile.gettempdir())


# -- packages -----------------------------------------------------------------------------------------------------


def _requirements(extra: str) -> Iterator[Requirement]:
    """What an extra adds ("" for the base); of an extra that takes in another one, both."""
    for text in requires("emulant") or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if not (marker.evaluate({"extra": extra}) if marker and extra else marker is None and not extra):
            continue
        if requirement.name == "emulant":
            for other in sorted(requirement.extras):
                yield from _requirements(other)
        else:
            yield requirement


def _found(requirements: Iterator[Requirement]) -> dict[str, dict[str, Any]]:
    """Package -> what is needed and what is there; `fits` is false where it is missing or of another version."""
    found = {}
    for requirement in requirements:
        there = _version(requirement.name)
        fits = there is not None and requirement.specifier.contains(there, prereleases=True)
        found[requirement.name] = {"needed": str(requirement.specifier), "installed": there, "fits": fits}
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def extras() -> dict[str, dict[str, Any]]:
    """The extras for users: what of each is missing, and how to install it."""
    found = {}
    known = metadata("emulant").get_all("Provides-Extra") or ()
    for name, purpose in ((name, EXTRAS[name]) for name in EXTRAS if name in known):
        packages = _found(_requirements(name))
        missing = [package for package, facts in packages.items() if not facts["fits"]]
        install = f"pip install 'emulant[{name}]'"
        found[name] = {"for": purpose, "packages": packages, "missing": missing, "install": install}
    return found


# -- the machine --------------------------------------------------------------------------------------------------

_ASK_TORCH = (
    "import json, torch; c = torch.cuda; "
    "print(json.dumps([c.get_device_name(i) for i in range(c.device_count())] if c.is_available() "
    "else ['Apple GPU'] if torch.backends.mps.is_available() else []))"
)


def _gpu() -> dict[str, Any]:
    """What torch can use, asked in a process of its own: importing torch takes seconds and memory."""
    if find_spec("torch") is None:
        return {"torch": None, "devices": []}
    done = _call([sys.executable, "-c", _ASK_TORCH])
    devices: list[str] = json.loads(done.stdout) if done and done.returncode == 0 else []
    return {"torch": version("torch"), "devices": devices}


def _call(command: list[str], seconds: float = 60.0) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _kernels() -> Path:
    """Where numba keeps compiled kernels: beside the source or, where that is read-only, in the user's cache."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    source = Path(__file__).parent
    if named:
        return Path(named)
    return source if os.access(source, os.W_OK) else Path.home() / ".cache"


def _storage(folder: Path) -> dict[str, Any]:
    """Whether files can be made there, and room for them; of a folder that is not there yet, of the nearest that is."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    return {"path": str(folder), "writable": os.access(there, os.W_OK), "free_bytes": shutil.disk_usage(there).free}


# -- the self-test ------------------------------------------------------------------------------------------------


def tested() -> dict[str, Any]:
    """All stages of `swarm:smoke` in a temporary folder, and whether one and two workers give the same bytes."""
    import emulant

    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="emulant-doctor-") as folder:
            run = emulant.run("swarm:smoke", Path(folder) / "two", overrides=["report.films=false"], workers=2)
            alone = emulant.generate("swarm:smoke", Path(folder) / "one", workers=1)
            same = all(run.dataset_sha256(split) == summary.dataset_sha256 for split, summary in alone.items())
            good = run.folder.report_html.is_file()
    except Exception as error:  # whatever is broken here is what the doctor is asked about
        return {"good": False, "why": f"{type(error).__name__}: {error}"}
    why = "" if good and same else "no report was written" if not good else "one and two workers gave other bytes"
    return {"good": not why, "why": why, "seconds": round(time.perf_counter() - start, 1)}


# -- what is wrong ------------------------------------------------------------------------------------------------


def _faults(found: Mapping[str, Any]) -> Iterator[str]:
    """What keeps emulant from working; a missing extra is none."""
    wrong = [name for name, facts in found["packages"].items() if not facts["fits"]]
    if wrong:
        yield f"missing or too old: {', '.join(wrong)}. Mend it: pip install --upgrade emulant"
    for what in ("runs", "temporary"):
        if not found["storage"][what]["writable"]:
            yield f"{found['storage'][what]['path']}: you may not write there."
    if not found.get("self_test", {}).get("good", True):
        yield f"the self-test failed: {found['self_test']['why']}."


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    machine, gpu, tried = found["machine"], found["gpu"], found.get("self_test")
    yield f"emulant {machine['emulant']}, Python {machine['python']}, {machine['platform']}, {machine['cpu']}"
    threads = ", ".join(f"{name}={value}" for name, value in found["threads"].items() if value)
    yield f"cores: {machine['cores']}    threads of numerical libraries: {threads}"
    devices = ", ".join(gpu["devices"]) or ("none that torch can use" if gpu["torch"] else "torch is not installed")
    yield f"GPU: {devices}"
    for what, where in found["storage"].items():
        state = "writable" if where["writable"] else "NOT WRITABLE"
        yield f"{what}: {where['path']}: {state}, {where['free_bytes'] / 1e9:.0f} GB free"
    yield "extras:"
    for name, extra in found["extras"].items():
        state = f"missing {', '.join(extra['missing'])}: {extra['install']}" if extra["missing"] else "installed"
        yield f"  {name:<7}{extra['for']}: {state}"
    yield "programs:"
    for name, program in found["programs"].items():
        yield f"  {name:<11}{program['for']}: {program['path'] or 'not found'}"
    if tried:
        state = f"passed in {tried['seconds']} s" if tried["good"] else "FAILED"
        yield f"self-test (swarm:smoke, all stages; the same bytes from one and from two workers): {state}"
    yield from (f"fault: {fault}" for fault in found["faults"])

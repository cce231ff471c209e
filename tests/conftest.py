"""What every test gets: one thread, no colour of this terminal, no stale machine code, no deadline for compilation."""

import json
import os
from hashlib import sha256
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["NO_COLOR"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")

# numba's cache looks at the file of a function, not at the files of the functions that it calls
_ROOT = Path(__file__).parents[1]
_KERNELS = sha256(
    b"".join(
        path.read_bytes() for path in sorted(_ROOT.glob("src/emulant/systems/*/*.py")) if b"njit" in path.read_bytes()
    )
)
os.environ["NUMBA_CACHE_DIR"] = str(_ROOT / ".emulant" / f"kernels-{_KERNELS.hexdigest()[:12]}")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from emulant.cli import main  # noqa: E402

settings.register_profile("emulant", deadline=None)
settings.load_profile("emulant")


@pytest.fixture
def emulant(capsys):
    """Call a command: (exit code, stdout, stderr)."""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def as_json(emulant):
    """Call a command with --json that must succeed: its value."""

    def call(*arguments):
        code, out, err = emulant(*arguments, "--json")
        assert code == 0, err
        assert err == ""
        return json.loads(out)

    return call


@pytest.fixture(scope="session")
def browser():
    """The one chromium of all tests, for a process can drive but one; skipped, with the reason, where there is none."""
    from browser import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """A finished `swarm:smoke` run; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    assert main(["run", "swarm:smoke", "-o", str(folder), "--quiet", "--set", "report.films=false"]) == 0
    return folder

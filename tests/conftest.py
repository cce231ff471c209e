"""What every test gets: one thread, no colour of this terminal, no stale machine code, no deadline for compilation."""

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

from hypothesis import settings  # noqa: E402

settings.register_profile("emulant", deadline=None)
settings.load_profile("emulant")

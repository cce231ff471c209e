"""What every test gets: one thread, and no colour or terminal of the machine that runs it."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["NO_COLOR"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")

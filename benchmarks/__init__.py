"""emulant beside the packages that people would use instead, each figure from one and the same run.

    python -m benchmarks                 everything that takes minutes; writes benchmarks/results.md
    python -m benchmarks density pod     these alone, printed
    python -m benchmarks --long          what takes longer, too

One thread: set here, before anything that reads it is imported.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[_name] = "1"

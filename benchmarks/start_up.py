"""How long the command line takes to say anything at all."""

from __future__ import annotations

import sys

from benchmarks.table import Options, Row, Section
from benchmarks.timing import commands, duration


def run(options: Options, rounds: int = 9) -> Section:
    python = sys.executable
    found = commands(
        {
            "ours": [python, "-m", "emulant", "--help"],
            "python": [python, "-c", "pass"],
            "numpy": [python, "-c", "import numpy"],
            "opinf": [python, "-c", "import opinf"],
        },
        rounds=rounds,
    )
    peers = f"import opinf {found.said('opinf')}; numpy {found.said('numpy')}; bare Python {found.said('python')}"
    fast_enough = found.median("ours") < 0.4
    row = Row("emulant --help", found.said("ours"), peers, found.ratio("opinf"), f"< {duration(0.4)}", fast_enough)
    return Section("Start-up", "By the clock on the wall; the ratio is to `import opinf`.", [row])

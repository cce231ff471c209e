"""Run benchmarks, print what they find, and keep it in benchmarks/results.md."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks.table import Options, Section, comparison
from benchmarks.timing import machine

NAMES = (
    *("vicsek_step", "density", "pod", "mvar", "leaderboard", "pendulum", "scenes", "flavor", "halo_cutouts"),
    *("play", "start_up", "whole_run", "scaling"),
)
RESULTS = Path(__file__).parent / "results.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; by default all")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each comparison (4)")
    parser.add_argument("--seeds", type=int, default=1, help="data sets of the leaderboard (1)")
    parser.add_argument("--long", action="store_true", help="what takes minutes by itself, too")
    parser.add_argument("--write", type=Path, help="where to; by default results.md if all are run")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    options, sections, facts = Options(chosen.seconds, chosen.seeds, chosen.long), [], machine()
    for name in chosen.names or NAMES:
        sections.append(import_module(f"benchmarks.{name}").run(options))
        print(sections[-1].text(), end="\n\n", flush=True)
    target = chosen.write or (None if chosen.names else RESULTS)
    if target is not None:
        target.write_text(page(sections, facts | {"date": datetime.now(UTC).strftime("%Y-%m-%d")}), encoding="utf-8")
        print(f"{target.name}: written")


def page(sections: Sequence[Section], facts: Mapping[str, str]) -> str:
    """The whole of results.md."""
    targets = [row for section in sections for row in section.rows if row.target]
    met = sum(bool(row.met) for row in targets)
    parts = [
        "# Results",
        "Written by `make bench`; README.md beside it says how to read them.",
        "\n".join(f"- {name}: {text}" for name, text in facts.items()),
        f"## Targets: {met} of {len(targets)} met",
        comparison(targets),
        *(section.text() for section in sections),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()

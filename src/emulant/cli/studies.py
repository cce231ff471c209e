"""Commands about what there is: systems, studies."""

from __future__ import annotations

from pathlib import Path

from emulant.cli.app import GOOD, Everywhere, app
from emulant.errors import UsageError
from emulant.terminal import show


@app.command
def systems(*, everywhere: Everywhere = Everywhere()) -> int:
    """What can be simulated, learned and written."""
    from emulant import systems as installed
    from emulant.study import presets
    from emulant.use import SHARED

    known = list(installed.working())
    studies = list(presets())
    value = {
        system.name: {
            "summary": system.summary,
            "studies": [name for name in studies if name.split(":")[0] == system.name],
            "surrogates": list(system.surrogates),
            "baselines": list(system.baselines),
            "oracles": list(system.oracles),
            "exports": [*system.exports, *SHARED],
        }
        for system in known
    }
    lines = [
        line
        for name, facts in value.items()
        for line in (
            f"{name}: {facts['summary']}",
            *(f"  {key:<11}{', '.join(facts[key])}" for key in facts if key != "summary" and facts[key]),
        )
    ]
    lines += [f"{name}: {why}" for name, why in installed.broken().items()]
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def new(study: str, path: Path | None = None, *, everywhere: Everywhere = Everywhere()) -> int:
    """Write a commented study file, to be edited.

    Args:
        study: A built-in study: SYSTEM or SYSTEM:PRESET.
        path: Where to; by default SYSTEM.toml here.
    """
    from emulant.dataset.atomic import write_text
    from emulant.study import preset

    text = preset(study).read_text(encoding="utf-8")
    target = path or Path(f"{study.replace(':', '-')}.toml")
    if target.is_dir():
        target = target / f"{study.replace(':', '-')}.toml"
    if target.exists():
        raise UsageError(f"{target}: exists already.", "Name another file, or remove that one.")
    write_text(target, text)
    lines = [f"{target}: written. Next: emulant run {target} -o runs/{target.stem}"]
    show({"study": str(target)}, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD

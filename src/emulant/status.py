"""What of a run is done, missing, failed or stale. Looks at receipts and sizes, never hashes: a second at most.

`emulant validate` is the one that reads every byte.
"""

from __future__ import annotations

from typing import Any

from emulant.dataset.store import Store
from emulant.errors import DataError
from emulant.runs import Run


def status(run: Run) -> dict[str, Any]:
    """The state of a run as JSON types: per split, per model, and of evaluation and report."""
    return {
        "run": str(run.folder.root),
        "system": run.study.system.name,
        "splits": {split: _split(run, split) for split in run.study.system.splits(run.study.config)},
        "models": {
            entrant.name: {"kind": entrant.kind, "state": _model(run, entrant.name)} for entrant in run.entrants()
        },
        "evaluated": run.folder.metrics.is_file(),
        "report": str(run.folder.report_html) if run.folder.report_html.is_file() else None,
    }


def _split(run: Run, split: str) -> dict[str, Any]:
    study, store = run.study, Store(run.folder.split(split))
    shards = study.system.shards(study.config, study.system.passes[-1], split)
    if store.folder.is_dir() and not store.is_ours:
        return {"made_elsewhere": True, "cases": len(run.dataset(split))}
    done = [shard for shard in shards if store.is_done(shard, study.data_key, read=False)]
    there = {shard.id: sidecar for shard in shards if (sidecar := store.sidecar(shard.id)) is not None}
    sidecars = [there[shard.id] for shard in done]
    return {
        "shards": len(shards),
        "done": len(done),
        "other_key": sum(sidecar.key != study.data_key for sidecar in there.values()),
        "cases": sum(len(shard.cases) for shard in shards),
        **{state: sum(sidecar.count(state) for sidecar in sidecars) for state in ("ok", "rejected", "failed")},
        "missing": [shard.id for shard in shards if shard not in done],
        "reasons": {case.case: case.reason for s in sidecars for case in s.cases if case.status == "failed"},
    }


def _model(run: Run, name: str) -> str:
    entrant = run.entrant(name)
    try:
        if run.card(name) is None:
            return "made elsewhere" if run.is_usable(entrant) else "missing"
        return "fitted" if run.is_fitted(entrant) else "stale"
    except DataError:
        return "damaged"


def lines(state: dict[str, Any]) -> list[str]:
    """The same for people."""
    found = []
    for split, facts in state["splits"].items():
        if facts.get("made_elsewhere"):
            found.append(f"{split}: {facts['cases']} cases, made elsewhere")
            continue
        counts = ", ".join(f"{facts[name]} {name}" for name in ("rejected", "failed") if facts[name])
        done = f"{split}: {facts['done']} of {facts['shards']} shards done, {facts['ok']} of {facts['cases']} cases ok"
        found.append(f"{done}, {counts}" if counts else done)
        if facts["other_key"]:
            made = "of another study, another version of the system, or from source files that have changed"
            found.append(f"  {facts['other_key']} are there, but {made}: use another folder, or --fresh")
        found += [f"  case {case} failed: {reason}" for case, reason in facts["reasons"].items()]
    found += [f"{facts['kind']} {name}: {facts['state']}" for name, facts in state["models"].items()]
    if any(facts["state"] == "stale" for facts in state["models"].values()):
        found.append("  stale: of other data or settings, or damaged; `emulant train` fits it again")
    found.append(f"evaluated: {'yes' if state['evaluated'] else 'no'}")
    return [*found, f"report: {state['report'] or 'none'}"]

"""What the report says beside scores and pictures: the data, how they were made, and how to make them again."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from emulant.dataset.atomic import write_text
from emulant.dataset.environment import environment
from emulant.dataset.seams import resolve
from emulant.dataset.store import Manifest, Store, StoredFile
from emulant.errors import DataError
from emulant.journal import timings
from emulant.reporting import markdown
from emulant.reporting.curves import Curves, read_curves, training
from emulant.reporting.figures import Picture
from emulant.reporting.frames import Film
from emulant.reporting.ladders import standard
from emulant.reporting.page import inside, render
from emulant.reporting.summary import Facts, as_json, summarise
from emulant.runs import Run, read_json, unsealed
from emulant.training.workshop import kept_epoch

MOST_REASONS = 5
NUMBER = re.compile(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?")


def figures(run: Run) -> list[Picture]:
    """Draw what every report shows and what the system adds, below `figures/`."""
    system = run.study.system
    drawn = standard(run.metrics, system.metrics, system.headline, run.folder.root, time_unit=system.time_unit)
    for name, target in system.figures.items():
        drawing = resolve(target)(run)
        if drawing is not None:
            drawn.append(drawing.save(run.folder.root, name))
    return drawn + training_curves(run)


def training_curves(run: Run) -> list[Picture]:
    """How each network of the study learned."""
    kinds = {entrant.name: entrant.kind for entrant in run.entrants()}
    learned = {name: curves for name in kinds if (curves := curves_of(run, name))}
    return [training(name, kinds, curves).save(run.folder.root, f"training_{name}") for name, curves in learned.items()]


def curves_of(run: Run, name: str) -> Curves | None:
    """The curves of a model's training; None if it was not trained epoch by epoch."""
    path = run.folder.events.parent / name / "metrics.csv"
    curves = read_curves(path, kept_epoch(run.folder.model_card(name).parent)) if path.is_file() else None
    return curves if curves is not None and len(curves.epochs) else None


def films(run: Run) -> Sequence[Film]:
    """Draw the films of the report, unless the study does without."""
    draw = resolve(run.study.system.films)
    made: Sequence[Film] = draw(run) if draw and run.study.report.films else ()
    return made


def write(run: Run, pictures: Sequence[Picture], films: Sequence[Film]) -> Path:
    """Write `report.json` and, from it alone, `report.html`; the page."""
    system = run.study.system
    told = facts(run)
    summary = summarise(
        run.metrics,
        system.metrics,
        system.headline,
        told,
        board=system.board,
        physics=system.physics,
        pictures=pictures,
        films=films,
    )
    write_text(run.folder.report_json, as_json(summary))
    return write_text(run.folder.report_html, render(summary, run.folder.root))


def write_markdown(run: Run, target: Path) -> Path:
    """Write what report.json says as Markdown; figures are those of the run, copied where the text lies elsewhere."""
    summary = run.report
    for picture in summary["pictures"]:
        source, wanted = inside(run.folder.root, picture["png"]), target.parent / picture["png"]
        if source != wanted.resolve():
            wanted.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, wanted)
    return write_text(target, markdown.report(summary))


def facts(run: Run) -> Facts:
    """The facts of a run that is evaluated."""
    system, evaluation = run.study.system, evaluation_card(run)
    return Facts(
        title=_title(system.name, run.folder.root.resolve().name),
        system=system.summary,
        data={split: _data_card(run, split) for split in run.splits},
        provenance=_provenance(run),
        timings=timings(run.folder),
        commands=_commands(run),
        notes=[*system.limits, *system.notes(run.study.config), *evaluation["notes"]],
        diverged=_diverged(run),
        time_unit=system.time_unit,
        films_note=system.films_note,
        citations=_citations(run),
        models={entrant.name: _purpose(entrant.learner.resolve()) for entrant in run.entrants()},
    )


def evaluation_card(run: Run) -> dict[str, Any]:
    """The card of the evaluation, with the scores that it is about checked against their hashes.

    Raises:
        DataError: There is none, or card or scores are not what evaluation wrote.
    """
    path, mend = run.folder.evaluation_card, "`emulant evaluate` makes it anew."
    try:
        card = unsealed(path.read_bytes())
        files = [StoredFile.model_validate(file) for file in card["files"]]
    except FileNotFoundError:
        raise DataError(f"{path}: is missing: the run is not evaluated.", "`emulant evaluate` does it.") from None
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: is not what evaluation wrote.", mend) from error
    for file in files:
        if fault := file.fault(run.folder.root):
            raise DataError(f"{run.folder.root / file.path}: {fault}.", mend)
    return card


def _title(system: str, run: str) -> str:
    return system if run == system else f"{system}: {run}"


def _data_card(run: Run, split: str) -> dict[str, Any]:
    folder = run.folder.split(split)
    manifest = Manifest.read(folder)
    counts = dict(manifest.cases.items()) if manifest else {"ok": len(run.dataset(split))}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "cases": sum(counts.values()),
        **{status: counts.get(status, 0) for status in ("ok", "rejected", "failed")},
        "bytes": size,
        "dataset_sha256": run.dataset_sha256(split),
        "reasons": _reasons(run, split),
    }


def _reasons(run: Run, split: str) -> dict[str, int]:
    """Why cases of a split are not ok -> how many there are, the commonest first; numbers in a reason do not count."""
    store, system = Store(run.folder.split(split)), run.study.system
    if not store.is_ours:
        return {}
    shards = system.shards(run.study.config, system.passes[-1], split)
    cases = [case for shard in shards if (sidecar := store.sidecar(shard.id)) for case in sidecar.cases]
    found = Counter(f"{case.status}: {NUMBER.sub('…', case.reason)}" for case in cases if case.status != "ok")
    return dict(found.most_common(MOST_REASONS))


def _citations(run: Run) -> dict[str, str]:
    """What is to be cited of what this run has used."""
    system, chosen = run.study.system, run.study.surrogates
    known = {*system.surrogates, *system.baselines, *system.oracles}
    used = {*(choice.kind for choice in chosen.values()), *(entrant.name for entrant in run.entrants())}
    return {what: work for what, work in system.citations.items() if what not in known or what in used}


def _provenance(run: Run) -> dict[str, Any]:
    made_on = {}
    for split in run.splits:
        path = run.folder.split(split) / "environment.json"
        if path.is_file():
            made_on[split] = read_json(path, "`emulant generate` writes it anew.")
    here = environment()
    cards = {entrant.name: run.card(entrant.name) for entrant in run.entrants()}
    return {
        "study": run.study.to_toml(),
        "seed": run.study.config.seed,
        "versions": {"emulant": here["emulant"], "python": here["python"], **here["packages"]},
        "platform": f"{here['platform']}, {here['cpu']}, {here['cores']} cores",
        "simulated on": sorted({f"{each.get('platform')}, {each.get('cpu')}" for each in made_on.values()}),
        "hashes": {
            **{f"data {split}": run.dataset_sha256(split) for split in run.splits},
            **{f"model {name}": card.key for name, card in cards.items() if card},
        },
    }


def _commands(run: Run) -> list[str]:
    return [
        "emulant run study.toml -o again        # study.toml of this folder: the same data, to the bit",
        "emulant validate again --resimulate 4",
    ]


def _diverged(run: Run) -> list[dict[str, Any]]:
    """The rollouts that left every bound: model, split and start with the share of their cases."""
    rows = run.metrics.filter(
        (pl.col("metric") == "diverged")
        & (pl.col("horizon") == "all")
        & (pl.col("value") > 0)
        & pl.col("group").str.starts_with("all")
    )
    return [
        {
            "model": row["model"],
            "split": row["split"] + row["group"].removeprefix("all"),
            "share": row["value"],
            "n": row["n"],
        }
        for row in rows.iter_rows(named=True)
    ]


def _purpose(learner: type) -> str:
    return (learner.__doc__ or "").strip().split("\n")[0]

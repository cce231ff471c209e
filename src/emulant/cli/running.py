"""The stages as commands: run, generate, train, evaluate, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from emulant.cli.app import (
    FAILED,
    GOOD,
    Everywhere,
    Flag,
    Names,
    Output,
    Overrides,
    Running,
    app,
    load_study,
    open_engine,
    open_run,
    shard_range,
)
from emulant.errors import UsageError
from emulant.terminal import progress, scores, show, show_data, show_report


@app.command
def run(
    study: str,
    *,
    output: Output,
    set_: Overrides = (),
    fresh: Flag = False,
    retry_failed: Flag = False,
    running: Running = Running(),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Everything: simulate, train, evaluate, report. Goes on where it stopped.

    Args:
        study: A study file, or a built-in study: SYSTEM or SYSTEM:PRESET.
        output: The run folder.
        fresh: Throw away what the folder holds of another study.
        retry_failed: Try failed cases again.
    """
    from emulant import stages

    silent = everywhere.quiet or everywhere.json
    with open_engine(running, silent) as engine, progress(silent or engine is None) as listen:
        if engine is None:
            return GOOD
        loaded = load_study(study, set_, running)
        opened = stages.run(loaded, output, engine=engine, fresh=fresh, retry_failed=retry_failed, listen=listen)
    return FAILED if show_report(opened, as_json=everywhere.json, quiet=everywhere.quiet) else GOOD


@app.command
def generate(
    study: str,
    *,
    output: Output,
    set_: Overrides = (),
    split: Names = (),
    pass_: Annotated[Names, Parameter(name="--pass")] = (),
    shards: str = "",
    fresh: Flag = False,
    retry_failed: Flag = False,
    running: Running = Running(),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Simulate what is missing of a study's data.

    Args:
        study: A study file, or a built-in study: SYSTEM or SYSTEM:PRESET.
        output: The run folder.
        split: Only this split. May be repeated.
        pass_: Only this pass, of a system that has several. May be repeated.
        shards: Only these shards of each split, such as 0-99.
        fresh: Throw away what the folder holds of another study.
        retry_failed: Try failed cases again.
    """
    from emulant import stages

    silent = everywhere.quiet or everywhere.json
    with open_engine(running, silent) as engine, progress(silent or engine is None) as listen:
        if engine is None:
            return GOOD
        summaries = stages.generate(
            load_study(study, set_, running),
            output,
            splits=split or None,
            passes=pass_ or None,
            shards=shard_range(shards),
            engine=engine,
            fresh=fresh,
            retry_failed=retry_failed,
            listen=listen,
        )
    return FAILED if show_data(summaries, as_json=everywhere.json, quiet=everywhere.quiet) else GOOD


@app.command
def train(
    run: Path,
    *,
    surrogate: Names = (),
    set_: Overrides = (),
    study: str | None = None,
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Fit the surrogates of a run to its training data.

    Args:
        run: The run folder.
        surrogate: Only this one. May be repeated.
        study: The study of a tree that was made elsewhere.
    """
    from emulant import stages

    opened = open_run(run, set_, study, "surrogates")
    with progress(everywhere.quiet or everywhere.json) as listen:
        fitted = stages.train(opened, list(surrogate) or None, listen=listen)
    lines = [f"{name}: {'fitted' if now else 'was up to date'}" for name, now in fitted.items()]
    show(fitted, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def evaluate(
    run: Path, *, set_: Overrides = (), study: str | None = None, everywhere: Everywhere = Everywhere()
) -> int:
    """Roll the surrogates out against the truth and score them beside baselines and oracles.

    Args:
        run: The run folder.
        study: The study of a tree that was made elsewhere.
    """
    from emulant import stages

    opened = open_run(run, set_, study, "evaluation")
    with progress(everywhere.quiet or everywhere.json) as listen:
        stages.evaluate(opened, listen=listen)
    value, lines = scores(opened)
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def report(
    *runs: Path,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    format: Literal["html", "md"] = "html",
    set_: Overrides = (),
    study: str | None = None,
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Draw figures and films and write report.html; of several runs, a page that compares them.

    Args:
        runs: The run folder; or several of one system.
        output: Where a comparison goes, or the Markdown of one run (by default into its folder).
        format: md: also as Markdown, for a paper's appendix.
        study: The study of a tree that was made elsewhere.
    """
    if not runs:
        raise UsageError("report: there is no run.", "Name its folder.")
    if len(runs) > 1:
        return _compare(runs, output, format, set_, study, everywhere)
    if output is not None and format == "html":
        page = runs[0] / "report.html"
        raise UsageError(f"--output {output}: the page of one run is {page}.", "-o is for comparisons and --format md.")
    from emulant import stages

    opened = open_run(runs[0], set_, study, "report")
    with progress(everywhere.quiet or everywhere.json) as listen:
        stages.report(opened, listen=listen)
    written = stages.report_as_markdown(opened, output) if format == "md" else None
    return FAILED if show_report(opened, written, as_json=everywhere.json, quiet=everywhere.quiet) else GOOD


def _compare(
    paths: Sequence[Path],
    output: Path | None,
    format: Literal["html", "md"],
    overrides: Overrides,
    study: str | None,
    everywhere: Everywhere,
) -> int:
    from emulant.comparing import compare

    if output is None:
        raise UsageError("report: several runs are compared on a page of their own.", "Say where: -o compare.html")
    if overrides:
        raise UsageError(f"--set {overrides[0]}: a comparison takes runs as they are.")
    summary = compare([open_run(path, (), study, "report") for path in paths], output, format)
    lines = [summary["lead"].replace("`", ""), f"comparison: {output}"]
    show({**summary, "comparison": str(output)}, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD

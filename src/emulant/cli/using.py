"""Commands that use what a run made: predict, export, render, play."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from emulant.cli.app import GOOD, Everywhere, Flag, Output, app, open_run
from emulant.errors import UsageError
from emulant.terminal import show


@app.command
def predict(
    run: Path,
    input: Path | None = None,
    *,
    output: Output | None = None,
    surrogate: str | None = None,
    overwrite: Flag = False,
    example: str | None = None,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Use a trained surrogate on your own data. Further options depend on the system; a wrong one lists them.

    Args:
        run: The run folder.
        input: What to start from.
        output: The file to write.
        surrogate: Which one; by default the first of the study, or the one that its system prefers.
        overwrite: Write over a file that is there.
        example: In place of files: show what it says of an input that the system knows by this name.
    """
    from emulant import use
    from emulant.options import read_options

    opened = open_run(run, (), None, "")
    if example is not None:
        lines = use.example(opened, example, surrogate)
        show({"example": example, "lines": list(lines)}, lines, as_json=everywhere.json, quiet=everywhere.quiet)
        return GOOD
    if input is None or output is None:
        raise UsageError("predict needs INPUT and --output.", "Or --example NAME.")
    use.predict(
        opened, input, output, surrogate, read_options(opened.study.system.PredictOptions, options), overwrite=overwrite
    )
    show({"output": str(output)}, [f"{output}: written"], as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def export(
    run: Path,
    *,
    format: str,
    output: Output,
    overwrite: Flag = False,
    study: str | None = None,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Write a run or its data in another format. Further options depend on the system; a wrong one lists them.

    Args:
        run: The run folder, or one split of it.
        format: One of the formats of the system; `emulant systems` lists them.
        output: The folder or file to write.
        overwrite: Write over a file that is there.
        study: The study of a tree that was made elsewhere.
    """
    from emulant.use import export

    written = export(run, format, output, study, overwrite=overwrite, options=options)
    lines = [f"{output}: {len(written)} file{'' if len(written) == 1 else 's'} written"]
    value = {"output": str(output), "files": [str(path) for path in written]}
    show(value, lines, as_json=everywhere.json, quiet=everywhere.quiet)
    return GOOD


@app.command
def render(
    run: Path,
    *,
    options: Annotated[tuple[str, ...], Parameter(parse=False)] = (),
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Draw films of forecasts. Further options depend on the system; a wrong one lists them.

    Args:
        run: The run folder; where the system draws simulations too, a study.
    """
    from emulant.options import read_options
    from emulant.use import open_run_or_study, render

    opened = open_run_or_study(run)
    written = render(opened, read_options(opened.study.system.RenderOptions, options))
    show(
        [str(path) for path in written],
        [str(path) for path in written],
        as_json=everywhere.json,
        quiet=everywhere.quiet,
    )
    return GOOD


@app.command
def play(
    run: Path,
    *,
    surrogate: str | None = None,
    port: int = 0,
    browser: Annotated[bool, Parameter(negative="--no-browser", show_default=False)] = True,
    everywhere: Everywhere = Everywhere(),
) -> int:
    """Drive a trained surrogate against its simulator, on a page of this machine. Ctrl-C ends it.

    Args:
        run: The run folder.
        surrogate: The one to begin with; by default the first of the study.
        port: Where the page is served; by default any that is free.
        browser: Open the page in the browser.
    """
    from emulant import use
    from emulant.dataset.seams import require_extra

    require_extra("play", "emulant play")
    from emulant.play.server import serve

    opened = open_run(run, (), None, "")
    page, models = use.play(opened, surrogate)

    def tell(address: str) -> None:
        lines = [f"{run}: play at {address}", "Ctrl-C ends it."]
        show({"address": address}, lines, as_json=everywhere.json, quiet=False)
        sys.stdout.flush()

    serve(page, models, run=opened.folder.root.resolve().name, port=port, tell=tell, browse=browser)
    return GOOD

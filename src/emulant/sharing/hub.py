"""A dataset for the Hugging Face Hub: `README.md` with its configuration and splits, and Parquet beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emulant.dataset.atomic import write_text
from emulant.errors import EmulantError, UsageError
from emulant.sharing.facts import DATA, DatasetFacts, write_data
from emulant.sharing.options import HubOptions
from emulant.sharing.tables import Column, SplitTable

CONFIG = "cases"
"""The one configuration: a row per case."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def hf(run: Any, splits: Sequence[str], target: Path, options: HubOptions) -> list[Path]:
    """The folder of a dataset repository, and with `--push` the upload of it.

    Raises:
        UsageError: The target is a file, or `--push` cannot be done as asked.
        DataError: A split is not there, or not sound.
    """
    if target.is_file():
        raise UsageError(f"{target}: is a file.", "Name a folder for the dataset.")
    if options.push:
        require_hub(options.push)
    facts = write_data(run, splits, target, options)
    written = [path for table in facts.tables for path in table.files]
    written.append(write_text(target / "README.md", card(facts)))
    if options.push:
        push(target, options.push, private=options.private)
    return written


def card(facts: DatasetFacts) -> str:
    """The dataset card: YAML that the Hub and the `datasets` library read, then Markdown for people."""
    return "\n".join([*_header(facts), "", *_body(facts)]) + "\n"


def _header(facts: DatasetFacts) -> Iterator[str]:
    rows = sum(table.rows for table in facts.tables)
    size = next((name for limit, name in _SIZES if rows < limit), "n>1M")
    yield "---"
    yield f"pretty_name: {_quoted(facts.title)}"
    if facts.license:
        yield f"license: {facts.license.lower()}"
    yield f"size_categories: [{_quoted(size)}]"
    yield f"tags: [simulation, physics, surrogate, emulant, {facts.system}]"
    yield "configs:"
    yield f"- config_name: {CONFIG}"
    yield "  default: true"
    yield "  data_files:"
    for table in facts.tables:
        yield f"  - split: {table.split}"
        yield f"    path: {DATA}/{table.split}-*.parquet"
    yield "---"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _body(facts: DatasetFacts) -> Iterator[str]:
    yield from (f"# {facts.title}", "", facts.summary, "")
    yield f"Simulated by emulant {facts.emulant}, system `{facts.system}`."
    yield f"Licence: {facts.license or 'none is given; ask whoever shares this before you use it'}."
    yield from ("", "## Load it", "", "```python", "from datasets import load_dataset", "")
    yield f'data = load_dataset("PATH_OR_REPOSITORY", "{CONFIG}", split="{facts.tables[0].split}")'
    yield 'data = data.with_format("numpy")  # arrays of float32; without it, nested lists in full precision'
    yield from ("```", "", "The files are plain Parquet: polars, pandas, DuckDB and pyarrow read them as they are.", "")
    yield from ("## Splits", "", "| split | rows | rejected | failed | dataset_sha256 |", "|---|---|---|---|---|")
    yield from (_split_row(facts, table) for table in facts.tables)
    yield from ("", "A row is one case. Rejected and failed cases are counted and not here. Rows that share a")
    yield "`group_key` come of one simulation: keep them on one side of every split that you make."
    yield from ("", "## Columns", "", "| column | type | axes | unit | |", "|---|---|---|---|---|")
    yield from (_column_row(column) for column in facts.columns)
    if facts.limits:
        yield from ("", "## Limits", "", *(f"- {sentence}" for sentence in facts.limits))
    yield from ("", "## Make it again", "", "Save this as `study.toml`. `emulant generate study.toml -o RUN` makes")
    yield "the same cases, on the same platform to the bit; `dataset_sha256` above says so."
    yield from ("", "```toml", facts.study.rstrip(), "```")


def _split_row(facts: DatasetFacts, table: SplitTable) -> str:
    counts, sha = facts.counts[table.split], facts.sha256[table.split]
    return f"| `{table.split}` | {table.rows} | {counts.get('rejected', 0)} | {counts.get('failed', 0)} | `{sha}` |"


def _column_row(column: Column) -> str:
    axes = ", ".join(f"[{name}]" for name in column.dims)
    if column.shape:
        axes += f" ({' × '.join(map(str, column.shape))})"
    remark = "NaN: no value for this case" if column.optional else ""
    unit = "" if column.unit == "1" else column.unit
    name = column.name.replace("|", "\\|")
    return f"| `{name}` | {column.dtype} | {axes} | {unit} | {remark} |"


# -- the Hub --------------------------------------------------------------------------------------------------------


def require_hub(repository: str) -> None:
    """See to it that an upload can be begun, before the data are written.

    Raises:
        UsageError: The package or a token is missing, or the name is none.
    """
    try:
        import huggingface_hub as hub
    except ImportError:
        raise UsageError("--push needs the extra `share`.", "Install it: pip install 'emulant[share]'.") from None
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"--push {repository}: is not a repository of the form OWNER/NAME.")
    if not hub.get_token():
        raise UsageError("--push: there is no token of the Hugging Face Hub.", "`hf auth login` stores one.")


def push(folder: Path, repository: str, *, private: bool) -> str:
    """Upload a dataset folder; the address of the commit.

    Raises:
        EmulantError: The Hub refused, or cannot be reached. The folder stays as it is.
    """
    import huggingface_hub as hub
    from huggingface_hub.errors import HfHubHTTPError

    try:
        interface = hub.HfApi()
        interface.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        commit = interface.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type="dataset",
            allow_patterns=["README.md", f"{DATA}/*.parquet"],
            commit_message="Dataset written by emulant",
        )
    except (HfHubHTTPError, OSError) as error:  # httpx and requests both raise OSError's kin or the Hub's own
        raise EmulantError(
            f"--push {repository}: {str(error).strip().splitlines()[0]}", f"The dataset is in {folder}."
        ) from error
    return str(commit)

"""The commands and code of the page on the pendulum are executed as they stand."""

import re

import polars as pl
import pytest
from docs.pages import ROOT, execute

PAGE = ROOT / "docs" / "pendulum.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's commands and then its Python have been run."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert execute(PAGE, folder) == []
    return folder


def test_the_commands_run(folder):
    assert (folder / "runs" / "pendulum" / "report.html").is_file()
    forecast = pl.read_parquet(folder / "forecast.parquet")
    assert len(forecast) == 24 * 40


def test_every_metric_of_the_page_is_in_the_table_and_the_other_way_round(folder):
    scored = set(pl.read_csv(folder / "runs" / "pendulum" / "evaluation" / "metrics.csv")["metric"])
    scored = {name.removesuffix("_lyapunov") for name in scored} - {"skill", "diverged"}
    rows = TEXT.split("| metric | |")[1].split("\n\n")[0]
    told = set(re.findall(r"`([a-z]\w+(?:\.\d)?)`", rows.replace("...", ""))) | {"rmse_theta2", "rmse_theta1_dot"}
    assert scored == told


def test_the_columns_of_the_page_are_those_of_the_files(folder):
    rows = TEXT.split("| column | unit | |")[1].split("\n\n")[0].splitlines()
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")]
    frame = pl.read_parquet(folder / "runs" / "pendulum" / "training" / "*.parquet")
    assert set(frame.columns) == set(told) - {"g"}

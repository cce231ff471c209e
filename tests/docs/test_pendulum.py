"""The commands and code of the page on the pendulum are executed as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "pendulum.md"
TEXT = PAGE.read_text(encoding="utf-8")


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return found


def call(folder, *command):
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's commands have been run."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("page")
    for line in block("bash").strip().splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "emulant"
        call(folder, sys.executable, "-m", "emulant", *arguments)
    return folder


def test_the_commands_run(folder):
    assert (folder / "runs" / "pendulum" / "report.html").is_file()
    forecast = pl.read_parquet(folder / "forecast.parquet")
    assert len(forecast) == 24 * 40


def test_the_python_runs_in_that_folder(folder):
    call(folder, sys.executable, "-c", block("python"))


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

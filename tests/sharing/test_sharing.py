"""What is exported to be shared opens in the tools that people open it with, and holds what the run holds."""

import base64
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import emulant as package
from emulant.runs import Run
from emulant.sharing import tables


@pytest.fixture(scope="module")
def shared(smoke, tmp_path_factory):
    """The smoke run as a Hugging Face dataset."""
    from emulant.cli import main

    folder = tmp_path_factory.mktemp("shared") / "hf"
    arguments = ["--format", "hf", "-o", str(folder), "--license", "CC-BY-4.0", "--title", 'A "small" swarm']
    assert main(["export", str(smoke), *arguments, "--quiet"]) == 0
    return folder


def python(folder, code):
    """Run code in a process of its own, without a network; what it prints as JSON."""
    import os

    environment = {**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_folder_opens_with_the_datasets_library_and_holds_what_the_run_holds(shared, smoke, tmp_path):
    pytest.importorskip("datasets")
    code = (
        "import json\nfrom datasets import load_dataset\n"
        f"data = load_dataset({str(shared)!r}, 'cases')\n"
        "test = data['test'].with_format('numpy')\n"
        "print(json.dumps([{k: len(v) for k, v in data.items()}, data['training'].column_names,"
        " test['rho'][:].shape, data['test'][3]['rho'][5][7][11], data['training'][0]['polarization']]))"
    )
    rows, columns, shape, one, absent = python(tmp_path, code)
    run = package.open(smoke)
    assert rows == {split: len(run.dataset(split)) for split in run.splits}
    assert {"case", "family", "group_key", "rho", "positions"} <= set(columns)
    truth = run.dataset("test").read(["rho"])["rho"]
    assert shape == list(truth.shape)
    assert one == truth[3, 5, 7, 11]
    assert absent is None, "training has no order parameters"


def test_polars_reads_the_files_to_the_bit(shared, smoke):
    run = package.open(smoke)
    for split in run.splits:
        table = pl.read_parquet(shared / "data" / f"{split}-*.parquet")
        np.testing.assert_array_equal(np.array(table["rho"].to_list()), run.dataset(split).read(["rho"])["rho"])
        assert table["family"].to_list() == run.dataset(split).cases["family"].to_list()


def test_the_card_names_licence_splits_hashes_columns_and_the_study(shared, smoke):
    text = (shared / "README.md").read_text()
    run = package.open(smoke)
    for split in run.splits:
        assert f"  - split: {split}\n    path: data/{split}-*.parquet" in text
        assert run.dataset_sha256(split) in text
    assert 'pretty_name: "A \\"small\\" swarm"' in text
    assert "license: cc-by-4.0" in text
    assert "| `rho` | float64 | [time], [y], [x] | particles per area |" in text
    (study,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert study.strip() == run.study.to_toml().strip()


def test_croissant_is_valid_and_mlcroissant_reads_its_records(as_json, smoke, tmp_path):
    pytest.importorskip("mlcroissant")
    as_json("export", smoke, "--format", "croissant", "-o", tmp_path / "out", "--license", "CC-BY-4.0")
    code = (
        "import json, mlcroissant\n"
        f"data = mlcroissant.Dataset({str(tmp_path / 'out' / 'croissant.json')!r})\n"
        "issues = data.metadata.ctx.issues\n"
        "rows = list(data.records('test'))\n"
        "print(json.dumps([sorted(issues.errors), sorted(issues.warnings), len(rows), rows[2]['test/family'].decode(),"
        " float(rows[2]['test/rho'][5][7][11])]))"
    )
    errors, warnings, rows, family, one = python(tmp_path, code)
    data = package.open(smoke).dataset("test")
    assert (errors, warnings, rows) == ([], [], len(data))
    assert family == data.cases["family"][2]
    assert one == data.read(["rho"])["rho"][2, 5, 7, 11]


def test_a_changed_file_does_not_fit_its_croissant(as_json, smoke, tmp_path):
    pytest.importorskip("mlcroissant")
    as_json("export", smoke / "test", "--format", "croissant", "-o", tmp_path)
    (file,) = (tmp_path / "data").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    code = (
        "import json, mlcroissant\n"
        f"data = mlcroissant.Dataset({str(tmp_path / 'croissant.json')!r})\n"
        "try:\n    list(data.records('test')); print('\"read\"')\n"
        "except Exception as error:\n    print(json.dumps(str(error)))"
    )
    assert "Download(test-00000-of-00001.parquet)" in python(tmp_path, code)  # where it checks the hash


def test_cases_of_different_sizes_are_written_each_at_its_own(tmp_path):
    from emulant.cli import main

    sizes = ["training=1", "validation=1", "test=1", "test_heldout=1", "test_ood=0"]
    study = ["scenes:smoke", *(part for size in sizes for part in ("--set", f"splits.{size}"))]
    assert main(["generate", *study, "-o", str(tmp_path / "run"), "--workers", "1", "--quiet"]) == 0
    run = Run.open(tmp_path / "run")
    (file,) = tables.write_split(data := run.dataset("training"), tables.Layout.of([data]), tmp_path, {}).files
    written = pl.read_parquet(file)
    assert len(set(written["mass"].list.len())) > 1
    for case, mass, state in written.select("case", "mass", "state").iter_rows():
        alone = data.read(["mass", "state"], [case])
        np.testing.assert_array_equal(mass, alone["mass"][0])
        np.testing.assert_array_equal(state, alone["state"][0])


def test_large_splits_are_cut_into_files_and_groups(smoke, tmp_path, monkeypatch):
    data = package.open(smoke).dataset("training")
    size = tables._first(data).nbytes
    monkeypatch.setattr(tables, "GROUP_BYTES", 2 * size)
    monkeypatch.setattr(tables, "FILE_BYTES", 5 * size)
    written = tables.write_split(data, tables.Layout.of([data]), tmp_path, {"split": "training"})
    assert [path.name for path in written.files] == [f"training-0000{k}-of-00002.parquet" for k in (0, 1)]
    assert [pq.ParquetFile(path).num_row_groups for path in written.files] == [3, 2]
    assert pl.read_parquet(tmp_path / "*.parquet")["case"].to_list() == data.cases["case"].to_list()


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 0, 3), (1, 2, 3, 2)])
def test_nested_lists_are_the_array(shape):
    array = np.arange(np.prod(shape), dtype=float).reshape(shape)
    lists = tables.nested(array)
    assert isinstance(lists, pa.Array)
    assert lists.to_pylist() == array.tolist()


# -- the Hub ------------------------------------------------------------------------------------------------------


class FakeHub(BaseHTTPRequestHandler):
    """As much of the Hub's interface as an upload of small files needs; keeps what it is sent."""

    def reply(self, value, code=200):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.server.refuses:
            return self.reply({"error": "you may not"}, 403)
        return self.reply({"name": "someone", "auth": {"accessToken": {"role": "write"}}, "siblings": []})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) if "Content-Length" in self.headers else b""
        if not body and self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        hub = self.server
        hub.tokens.add(self.headers.get("Authorization"))
        if hub.refuses:
            self.reply({"error": "you may not"}, 403)
        elif self.path == "/api/repos/create":
            hub.created = json.loads(body)
            self.reply({"url": f"{hub.address}/datasets/someone/swarm", "name": "someone/swarm"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self.reply({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self.reply({"commitUrl": f"{hub.address}/c/1", "commitOid": "1", "success": True})
        else:
            self.reply({})

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.files, server.tokens, server.created, server.refuses = {}, set(), None, False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def push(hub, smoke, target, *options, token="hf_secret"):
    """The command in a process of its own: the address of the Hub is read when its package is imported."""
    import os

    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(target.parent / "home"), "HF_TOKEN": token}
    command = ["-m", "emulant", "export", str(smoke / "test"), "--format", "hf", "-o", str(target), "--push", *options]
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)


def test_push_uploads_the_card_and_the_files_and_nothing_else(hub, smoke, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "private.txt").write_text("mine")
    done = push(hub, smoke, tmp_path / "out", "someone/swarm", "--private")
    assert done.returncode == 0, done.stderr
    assert set(hub.files) == {"README.md", "data/test-00000-of-00001.parquet"}
    for name, content in hub.files.items():
        assert content == (tmp_path / "out" / name).read_bytes()
    assert (hub.created["type"], hub.created["name"]) == ("dataset", "swarm")
    assert hub.created.get("private", hub.created.get("visibility")) in (True, "private")
    assert hub.tokens == {"Bearer hf_secret"}


def test_a_refused_push_is_told_and_the_folder_stays(hub, smoke, tmp_path):
    hub.refuses = True
    done = push(hub, smoke, tmp_path / "out", "someone/swarm")
    assert done.returncode == 1
    assert done.stderr.startswith("emulant: --push someone/swarm: ")
    assert "403" in done.stderr
    assert (tmp_path / "out" / "README.md").is_file()


@pytest.mark.parametrize(("repository", "token", "said"), [("a b", "hf_x", "OWNER/NAME"), ("a/b", "", "no token")])
def test_a_push_that_cannot_be_is_refused_before_anything_is_written(hub, smoke, tmp_path, repository, token, said):
    done = push(hub, smoke, tmp_path / "out", repository, token=token)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()
    assert not hub.files


# -- model cards --------------------------------------------------------------------------------------------------


def test_every_surrogate_has_a_card_with_its_scores_its_data_and_its_limits(smoke):
    run = package.open(smoke)
    for name in ("spectral", "pod_mvar"):
        text = (smoke / "models" / name / "README.md").read_text()
        assert run.dataset_sha256("training") in text
        row = run.metrics.filter(split="test", model=name, metric="r2", group="all", horizon="all")
        told = float(re.search(r"### `test`\n.*?\| `r2` \| (\S+) \|", text, re.DOTALL)[1])
        assert told == pytest.approx(row["value"][0], abs=0.006)
        assert all(sentence in text for sentence in run.study.system.limits)
        assert all(file.sha256 in text for file in run.card(name).files)
    assert not (smoke / "models" / "persistence" / "README.md").exists()


def test_a_card_does_not_outlive_the_model_that_it_is_of(as_json, smoke, tmp_path):
    shutil.copytree(smoke, tmp_path / "run")
    as_json("train", tmp_path / "run", "--set", "surrogates.spectral.lag=3")
    assert not (tmp_path / "run" / "models" / "spectral" / "README.md").exists()
    assert (tmp_path / "run" / "models" / "pod_mvar" / "README.md").exists()

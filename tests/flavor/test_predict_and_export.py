"""A run of made cells: predictions for files of the user's, and what is exported, against each other."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from flavor_cells import NSM1, adversarial, made_truth, oracle, random_networks, totals

from emulant.dataset.seams import Array
from emulant.errors import DataError, UsageError
from emulant.systems.flavor.exports import formats
from emulant.systems.flavor.fields import F4_FINAL, F4_INITIAL, GROWTH, STABLE
from emulant.systems.flavor.options import ExportOptions
from emulant.systems.flavor.predict import nsm1, predict_file
from emulant.systems.flavor.prescriptions import NoMixing, Prescription

torch = pytest.importorskip("torch")


class Run:
    """What exports need of one."""

    def __init__(self, folder: Path, flavors: int = 3) -> None:
        from emulant.systems.flavor.mixing.emulator import Mixing
        from emulant.systems.flavor.mixing.learning import MixingNetwork
        from emulant.systems.flavor.multitask.emulator import Multitask, MultitaskNetwork

        weights = random_networks(np.random.default_rng(1))
        mixing, multitask = Mixing(), Multitask()
        mixing.network = MixingNetwork(32, 2)
        for name in ("mixing", "growth"):
            for layer, (matrix, bias) in zip(getattr(mixing.network, name), getattr(weights, name), strict=True):
                layer.weight.data, layer.bias.data = torch.tensor(matrix).float(), torch.tensor(bias).float()
        names = ("mean", "deviation", "lowest", "highest", "uncertainty")
        mixing.arrays = {name: getattr(weights, name) for name in names}
        multitask.flavors = flavors
        torch.manual_seed(0)
        multitask.network = MultitaskNetwork(flavors, 128, 64, 0.1)
        self.models = {"mixing": mixing, "multitask": multitask, "box3d": Prescription()}
        self.flavors = flavors
        self.folder = SimpleNamespace(events=folder / "logs" / "events.jsonl")

    def model(self, name: str) -> Any:
        return self.models[name]

    def dataset(self, split: str) -> Any:
        return SimpleNamespace(geometry={"flavors": self.flavors})


def written(path: Path, f4: Array, name: str = F4_INITIAL) -> Path:
    with h5py.File(path, "w") as file:
        file[name] = f4
    return path


def read(path: Path) -> dict[str, Array]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


# -- predict --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [False, True])
def test_rows_and_layout_come_back_as_they_were_and_nan_as_nan(
    tmp_path: Path, last: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path)
    f4 = adversarial(np.random.default_rng(2), 300)
    f4[7, 0, 0, 0] = np.nan
    wanted = run.model("mixing").prediction(np.delete(f4, 7, axis=0))
    source = written(tmp_path / "cells.h5", np.moveaxis(f4, 1, -1) if last else f4)
    predict_file(run.model("mixing"), source, tmp_path / "out.h5")
    found = read(tmp_path / "out.h5")
    final = np.moveaxis(found[F4_FINAL], -1, 1) if last else found[F4_FINAL]
    assert np.isnan(final[7]).all()
    assert np.isnan(found[GROWTH][7])
    assert found["status"][7] == 1
    assert np.array_equal(np.delete(final, 7, axis=0), wanted.outcome.final)
    assert np.array_equal(np.delete(found["uncertainty"], 7), wanted.uncertainty)
    assert found["nf"] == 3
    assert found[STABLE].dtype == np.uint8
    assert "1 of 300 rows hold NaN" in capsys.readouterr().err


def test_other_models_predict_files_too(tmp_path: Path) -> None:
    run, f4 = Run(tmp_path), NSM1
    source = written(tmp_path / "cells.h5", f4)
    for model in (run.model("multitask"), run.model("box3d"), NoMixing()):
        predict_file(model, source, tmp_path / "out.h5")
        assert np.isfinite(read(tmp_path / "out.h5")[F4_FINAL]).all()
    assert np.array_equal(read(tmp_path / "out.h5")[F4_FINAL], f4)


def bad_cells() -> dict[str, tuple[Array, str, str]]:
    negative, beam = NSM1.copy(), NSM1.copy()
    negative[0, 3, 1, 0] = -1e30
    beam[0, 2, 0, 0] = 1.5 * beam[0, 3, 0, 0]
    first_density = NSM1[:, [3, 0, 1, 2]]
    return {
        "negative": (negative, F4_INITIAL, r"row 0 \(1 such\): density -1e\+30 < 0"),
        "beam": (beam, F4_INITIAL, r"\|F\| = .* > n"),
        "order": (first_density, F4_INITIAL, "Component order must be x, y, z, t"),
        "missing": (NSM1, "F4", "no dataset `F4_initial"),
        "shape": (NSM1[:, :3], F4_INITIAL, r"shape \(1, 3, 2, 3\)"),
        "empty": (NSM1[:0], F4_INITIAL, "no rows"),
    }


@pytest.mark.parametrize("case", sorted(bad_cells()))
def test_bad_files_are_one_clear_error_and_leave_nothing(tmp_path: Path, case: str) -> None:
    f4, name, message = bad_cells()[case]
    source = written(tmp_path / "cells.h5", f4, name)
    with pytest.raises(DataError, match=message) as caught:
        predict_file(Run(tmp_path).model("mixing"), source, tmp_path / "out.h5")
    assert "cells.h5" in str(caught.value)
    assert not (tmp_path / "out.h5").exists()


def test_the_published_cell_is_told_as_it_is_predicted(tmp_path: Path) -> None:
    model = Run(tmp_path).model("mixing")
    lines = nsm1(model)
    growth = model.prediction(NSM1).outcome.growth[0]
    assert lines[0] == "stable        False"
    assert f"{growth:.6e}" in lines[1]
    assert len(lines) == 10
    final = model.prediction(NSM1).outcome.final[0]
    assert f"{final[3, 0, 0]:.4e}" in lines[4]


# -- exports --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavors", [2, 3])
@pytest.mark.filterwarnings("ignore")
def test_torchscript_says_what_predict_says(tmp_path: Path, flavors: int) -> None:
    run = Run(tmp_path, flavors)
    f4 = adversarial(np.random.default_rng(3), 400, flavors)
    for name in ("mixing", "multitask"):
        written_files = formats.torchscript(run, (), tmp_path / name, ExportOptions(surrogate=name))
        assert {path.name for path in written_files} == {"emulant_flavor.pt", "example.cpp", "CMakeLists.txt"}
        traced = torch.jit.load(str(tmp_path / name / "emulant_flavor.pt"))
        agrees(run.model(name), f4, [array.numpy() for array in traced(torch.from_numpy(f4))])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mixing", "multitask"])
def test_onnx_says_what_predict_says(tmp_path: Path, name: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run, f4 = Run(tmp_path), adversarial(np.random.default_rng(4), 400)
    (path,) = formats.onnx(run, (), tmp_path, ExportOptions(surrogate=name))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(str(path), options)
    agrees(run.model(name), f4, session.run(["F4_final", "growthRate", "stable"], {"F4_initial": f4}))


def agrees(model: Any, f4: Array, answer: list[Array]) -> None:
    final, growth, stable = answer
    wanted = model.predict(SimpleNamespace(fields={F4_INITIAL: f4}))
    assert np.array_equal(stable, wanted[STABLE][:, 0] == 1)
    assert (np.abs(final - wanted[F4_FINAL][:, 0]) / totals(f4)).max() < 1e-6
    assert growth == pytest.approx(wanted[GROWTH][:, 0], rel=1e-5)


def test_c_of_a_run_has_the_weights_of_its_model(tmp_path: Path) -> None:
    run = Run(tmp_path)
    files = formats.c(run, (), tmp_path / "c", ExportOptions())
    assert {path.name for path in files} >= {"emulant_flavor.h", "emulant_flavor.c"}
    with pytest.raises(UsageError, match="`mixing` only"):
        formats.c(run, (), tmp_path / "d", ExportOptions(surrogate="multitask"))
    assert np.array_equal(
        oracle(NSM1, run.model("mixing").networks()).final, run.model("mixing").prediction(NSM1).outcome.final
    )


def test_what_cannot_be_exported_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(UsageError, match="no weights to export"):
        formats.torchscript(run, (), tmp_path, ExportOptions(surrogate="box3d"))
    with pytest.raises(DataError, match=r"metrics\.csv: is missing"):
        formats.losses(run, (), tmp_path / "loss.dat", ExportOptions())
    made = made_truth(NSM1)
    assert made[F4_FINAL].shape == NSM1.shape


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here")
def test_libtorch_example_says_what_predict_says(tmp_path: Path) -> None:
    run = Run(tmp_path)
    formats.torchscript(run, (), tmp_path, ExportOptions(surrogate="mixing"))
    prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
    for command in (["cmake", "-S", ".", "-B", "build", prefix], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([tmp_path / "build" / "example"], cwd=tmp_path, capture_output=True, text=True, check=True)
    first, *rows = said.stdout.splitlines()
    wanted = run.model("mixing").prediction(NSM1).outcome
    assert float(first.split()[3]) == pytest.approx(wanted.growth[0], rel=1e-9)
    final = np.array([[float(word) for word in row.split()] for row in rows])
    assert final == pytest.approx(wanted.final[0].reshape(4, 6).T, rel=1e-9, abs=1e-12 * NSM1[0, 3].sum())

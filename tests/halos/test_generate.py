"""Simulations and cutouts through the commands."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from halos_boxes import TINY, write_pair

import emulant
from emulant.cli import main
from emulant.dataset.store import Manifest, Store
from emulant.systems.halos.checks import check
from emulant.systems.halos.halos import system
from emulant.systems.halos.pairs import open_pair
from emulant.systems.halos.samples import IDENTITY, Cutout

SPLITS = ("training", "validation", "test")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halos") / "run"
    assert main(["generate", *TINY, "-o", str(folder), "--workers", "2", "--quiet"]) == 0
    return folder


@pytest.fixture
def copy(tiny, tmp_path):
    return Path(shutil.copytree(tiny, tmp_path / "run", copy_function=shutil.copy))


def hashes(folder):
    return {split: Manifest.read(folder / split).dataset_sha256 for split in SPLITS}


def datasets(folder):
    run = emulant.open(folder)
    return {split: run.dataset(split) for split in SPLITS}


def test_bytes_do_not_depend_on_workers(tiny, tmp_path):
    assert main(["generate", *TINY, "-o", str(tmp_path / "again"), "--workers", "1", "--quiet"]) == 0

    assert hashes(tmp_path / "again") == hashes(tiny)
    before, after = (
        {sidecar.shard: sidecar.sha256 for sidecar in Store(folder / "simulations").sidecars()}
        for folder in (tiny, tmp_path / "again")
    )
    assert before == after


def test_what_is_lost_is_made_again_and_nothing_else(copy):
    lost, kept = copy / "simulations/Hydro/SB35_0/snap_090.hdf5", copy / "simulations/Hydro/SB35_4/snap_090.hdf5"
    cutouts = next((copy / "training").glob("*.hdf5"))
    before, changed = hashes(copy), kept.stat().st_mtime_ns
    lost.unlink()
    cutouts.write_bytes(cutouts.read_bytes()[:-100])

    assert main(["generate", *TINY, "-o", str(copy), "--quiet"]) == 0

    assert hashes(copy) == before
    assert lost.is_file()
    assert kept.stat().st_mtime_ns == changed


def test_the_run_is_what_validate_asks_for(tiny, as_json):
    found = as_json("validate", tiny, "--resimulate", "1")

    assert found["findings"] == []
    assert found["resimulated"] == 3
    assert found["largest_deviation"] == 0


def test_a_damaged_simulation_is_found(copy, emulant):
    path = copy / "simulations/DMO/SB35_0/snap_090.hdf5"
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    code, out, _ = emulant("validate", copy)

    assert code == 1
    assert "simulations/DMO/SB35_0/snap_090.hdf5: file: is damaged" in out


def test_siblings_share_their_dark_matter_and_their_split(tiny):
    made = tiny / "simulations"
    assert (made / "DMO/SB35_0/snap_090.hdf5").samefile(made / "DMO/SB35_1/snap_090.hdf5")
    assert (made / "FOF/SB35_0/fof_subhalo_tab_090.hdf5").samefile(made / "FOF/SB35_1/fof_subhalo_tab_090.hdf5")
    splits = {
        number: split
        for split, data in datasets(tiny).items()
        for number in data.read(["simulation"])["simulation"].tolist()
    }
    assert [splits[2 * box] == splits[2 * box + 1] for box in range(3)] == [True] * 3
    assert len({splits[2 * box] for box in range(3)}) == 3
    keys = [set(data.cases["group_key"].to_list()) for data in datasets(tiny).values()]
    assert not (keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2])


def test_dark_matter_gas_and_stars_are_the_mass_of_the_dark_matter_only_box(tiny):
    run = emulant.open(tiny)
    made = tiny / "simulations"
    roots = {"nbody": made / "DMO", "hydro": made / "Hydro", "fof": made / "FOF"}
    pair = open_pair(roots, "SB35_3", run.study.config.system.source, 50.0)

    totals = {name: source.load().total for name, source in pair.species.items()}

    assert sum(totals.values()) == pytest.approx(pair.dmo.load().total, rel=1e-5)
    assert totals["stars"] > 0
    assert totals["gas"] + totals["stars"] == pytest.approx(
        sum(totals.values()) * pair.parameters["OmegaBaryon"] / pair.parameters["Omega0"], rel=1e-5
    )


def test_samples_have_the_documented_arrays(tiny):
    data = datasets(tiny)["training"]
    arrays = data.read(list(data.schema))

    count = len(data)
    assert arrays["condition"].shape == (count, 8, 8)
    assert arrays["target"].shape == arrays["large_scale"].shape == (count, 3, 8, 8)
    assert arrays["params"].shape == (count, 9)
    assert (arrays["halo_mass"] > 4e13).all()
    assert {name: array.dtype.str for name, array in arrays.items()} == {n: f.dtype for n, f in data.schema.items()}
    for case, simulation, halo, turn in zip(
        data.cases["case"], *(arrays[name].tolist() for name in ("simulation", "halo", "rotation_index")), strict=True
    ):
        assert Cutout.of(case) == Cutout(simulation, halo, turn)
    assert list(data.geometry["parameters"])[:2] == ["Omega0", "sigma8"]
    assert data.cases["sigma8"].to_list() == arrays["params"][:, 1].tolist()


def test_test_halos_are_seen_unrotated_and_training_halos_are_not(tiny):
    test, training = (datasets(tiny)[split].read(["rotation", "rotation_index"]) for split in ("test", "training"))

    assert (test["rotation"] == np.eye(3)).all()
    assert (test["rotation_index"] == IDENTITY).all()
    assert len(np.unique(training["rotation"].round(9), axis=0)) == len(training["rotation"])


def test_samples_come_in_any_order(tiny):
    data = datasets(tiny)["training"]
    cases = data.cases["case"].to_list()
    shuffled = [cases[-1], cases[0], cases[len(cases) // 2], cases[0]]

    whole = data.read(["target", "halo_mass"])
    some = data.read(["target", "halo_mass"], shuffled)

    rows = [cases.index(case) for case in shuffled]
    assert all((some[name] == whole[name][rows]).all() for name in some)


@pytest.mark.parametrize(
    ("name", "damage", "law"),
    [
        ("large_scale", lambda a: a * 1.5, "closure"),
        ("condition", lambda a: -a, "masses"),
        ("condition", lambda a: a * 1.01, "nesting"),
        ("rotation", lambda a: a[:, ::-1], "rotation"),
        ("target", lambda a: a * (np.arange(8) > 0), "zeros"),
    ],
)
def test_damage_that_no_hash_tells_is_found_by_its_physics(tiny, name, damage, law):
    data = datasets(tiny)["test"]

    class Damaged:
        schema, geometry, cases, split = data.schema, data.geometry, data.cases, data.split

        def read(self, names, cases=None):
            arrays = data.read(names, cases)
            return {key: damage(array) if key == name else array for key, array in arrays.items()}

        def batches(self, size, names):
            yield self.read(names)

    assert list(check(data)) == []
    assert law in {finding.check for finding in check(Damaged())}


def test_the_documented_npz_files_by_option(tmp_path, tiny):
    folder = tmp_path / "files"
    assert main(["generate", *TINY, "--set", "dataset.layout=files", "-o", str(folder), "--quiet"]) == 0

    data = datasets(folder)["training"]
    paths = sorted((folder / "training").glob("sim_*/sim_*_halo_*_rot_*.npz"))
    assert len(paths) == len(data)
    with np.load(paths[0]) as file:
        assert set(file.files) == {"condition", "target", "large_scale", "params", "halo_mass", "halo_center"}
        assert file["halo_mass"].shape == ()
        simulation, halo, turn = (int(part) for part in paths[0].stem.split("_")[1::2])
        stored = data.read(["target"], [Cutout(simulation, halo, turn).case])["target"][0]
        assert (file["target"] == stored).all()
    elsewhere = tmp_path / "elsewhere" / "training"
    shutil.copytree(folder / "training", elsewhere, ignore=shutil.ignore_patterns(".shards", "*.hdf5", "*.json"))
    assert (system.open(elsewhere).read(["target"])["target"] == data.read(["target"])["target"]).all()


def test_older_samples_get_their_large_scales_and_those_that_cannot_are_counted(tiny, tmp_path, emulant):
    old, new = tmp_path / "old", tmp_path / "new"
    arrays = datasets(tiny)["training"].read(
        ["condition", "large_scale", "halo_center", "rotation", "simulation", "halo"]
    )
    for row in range(3):
        name = f"sim_{arrays['simulation'][row]}_halo_{arrays['halo'][row]}_rot_0.npz"
        (old / "sim").mkdir(parents=True, exist_ok=True)
        kept = {"condition": arrays["condition"][row], "halo_center": arrays["halo_center"][row]}
        turn = arrays["rotation"][row]
        rotation = ({"rotation": turn}, {"rotation": turn.T}, {})[row]  # a good one, a wrong one, none
        np.savez(old / "sim" / name, **kept, **rotation)
    nbody = tiny / "simulations/DMO"

    code, _, err = emulant("export", old, "--format", "large-scale", "--nbody", nbody, "-o", new)

    assert code == 1
    assert "2 of 3 samples were refused" in err
    (written,) = new.rglob("*.npz")
    with np.load(written) as file:
        assert np.allclose(file["large_scale"], arrays["large_scale"][0], rtol=1e-5)
        assert (file["condition"] == arrays["condition"][0]).all()


# -- files of CAMELS ----------------------------------------------------------------------------------------------


def camels(root, *more):
    source = [
        f"system.source.{key}={root / tree}" for key, tree in (("nbody", "DMO"), ("hydro", "Hydro"), ("fof", "FOF"))
    ]
    settings = [
        "system.source.kind=camels",
        *source,
        "system.box_size=25",
        "system.scales=[6.25,12.5,25]",
        "system.npix=32",
        "system.resolution=8",
        *more,
    ]
    return ["halos:smoke", *(part for setting in settings for part in ("--set", setting))]


@pytest.fixture
def written_by_hand(tmp_path):
    rng = np.random.default_rng(5)
    for simulation in range(4):
        write_pair(tmp_path / "data", simulation, rng, count=20000)
    rows = "\n".join(f" SB35_{i} 0.3 0.8 {i}" for i in range(4))
    (tmp_path / "data/DMO/CosmoAstroSeed_hand.txt").write_text(f"#Name Omega0 sigma8 seed\n{rows}\n")
    return tmp_path / "data"


def test_files_written_by_hand_become_cutouts(written_by_hand, tmp_path, as_json):
    folder = tmp_path / "run"
    assert main(["generate", *camels(written_by_hand), "-o", str(folder), "--quiet"]) == 0

    data = datasets(folder)
    assert sum(len(found) for found in data.values()) == 4 * 4
    assert not (folder / "simulations").exists()
    assert list(data["training"].geometry["parameters"]) == ["Omega0", "sigma8"]
    assert as_json("validate", folder)["findings"] == []
    with h5py.File(next((folder / "training").glob("*.hdf5"))) as file:
        sources = json.loads(file.attrs["sources"])
    assert len(sources) == 5
    assert all(len(source["sha256"]) == 64 for source in sources)


def test_a_broken_simulation_fails_alone_and_is_made_when_it_is_mended(written_by_hand, tmp_path, emulant):
    folder, command = tmp_path / "run", camels(written_by_hand)
    chunk = written_by_hand / "Hydro/SB35_2/snapdir_090/snap_090.1.hdf5"
    whole = chunk.read_bytes()
    chunk.unlink()

    code, _, err = emulant("generate", *command, "-o", folder, "--quiet")

    assert code == 1
    assert "snap_090.1.hdf5: is missing" in err
    assert len(list(folder.glob("*/sim_*.hdf5"))) == 3
    chunk.write_bytes(whole)
    assert emulant("generate", *command, "-o", folder, "--quiet")[0] == 0
    assert len(list(folder.glob("*/sim_*.hdf5"))) == 4


def test_a_simulation_without_halos_is_done_with_no_sample(written_by_hand, tmp_path):
    folder, command = tmp_path / "run", camels(written_by_hand, "system.mass_threshold=4.5e13")
    with h5py.File(written_by_hand / "FOF/SB35_1/fof_subhalo_tab_090.hdf5", "a") as file:
        file["Group/Group_M_Crit200"][:] = 0

    assert main(["generate", *command, "-o", str(folder), "--quiet"]) == 0

    sizes = {}
    for path in folder.glob("*/sim_*.hdf5"):
        with h5py.File(path) as file:
            sizes[path.stem] = file["target"].shape[0]
    assert sizes == {"sim_0": 1, "sim_1": 0, "sim_2": 1, "sim_3": 1}


def test_maps_with_holes_are_refused(written_by_hand, tmp_path, emulant):
    command = camels(written_by_hand, "system.npix=512", "system.resolution=128")

    code, _, err = emulant("generate", *command, "-o", tmp_path / "run", "--quiet")

    assert code == 1
    assert "hold no mass" in err

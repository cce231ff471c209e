import h5py
import hdf5plugin
import numpy as np
import pytest
from halos_boxes import SIZE, TOTAL, clustered, write_groups, write_pair, write_snapshot

from emulant.errors import DataError
from emulant.systems.halos import load_dmo_particles, load_halos, load_hydro_particles
from emulant.systems.halos.camels import Snapshot
from emulant.systems.halos.config import SourceTable
from emulant.systems.halos.pairs import open_pair

SNAPSHOTS = {
    "snap_090.hdf5": 1,
    "snapshot_090.hdf5": 1,
    "snapdir_090/snap_090.{}.hdf5": 3,
    "snapdir_090/snapshot_090.{}.hdf5": 12,
}
CATALOGUES = {
    "fof_subhalo_tab_090.hdf5": 1,
    "groups_090.hdf5": 1,
    "groups_090/fof_subhalo_tab_090.{}.hdf5": 2,
    "groups_090/groups_090.{}.hdf5": 11,
}
BLOSC = {"chunks": (64, 3), **hdf5plugin.Blosc(cname="lz4")}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def pair(tmp_path, rng):
    write_pair(tmp_path, 0, rng)
    return tmp_path


def opened(root, **source):
    table = SourceTable(
        kind="camels", nbody=str(root / "DMO"), hydro=str(root / "Hydro"), fof=str(root / "FOF"), **source
    )
    roots = {"nbody": root / "DMO", "hydro": root / "Hydro", "fof": root / "FOF"}
    return open_pair(roots, "SB35_0", table, SIZE)


@pytest.mark.parametrize("compression", [None, BLOSC])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("spelling", "files"), SNAPSHOTS.items())
def test_every_spelling_gives_all_particles(tmp_path, rng, spelling, files, dtype, compression):
    positions, _ = clustered(rng, 1000)
    write_snapshot(
        [tmp_path / spelling.format(k) for k in range(files)], {1: positions}, dtype=dtype, compression=compression
    )

    found, masses = load_dmo_particles(tmp_path)

    assert found.dtype == dtype
    assert np.allclose(found, positions, atol=1e-5)
    assert masses.shape == (1000,)
    assert masses.sum() == pytest.approx(TOTAL, rel=1e-6)


@pytest.mark.parametrize(("spelling", "files"), CATALOGUES.items())
def test_every_spelling_gives_the_halos_strictly_above_the_threshold(tmp_path, rng, spelling, files):
    centers, masses = rng.uniform(0, SIZE, (30, 3)), np.r_[np.full(10, 5e13), np.full(10, 1e13), np.zeros(10)]
    write_groups([tmp_path / spelling.format(k) for k in range(files)], centers, masses)

    found, above = load_halos(tmp_path, mass_threshold=float(np.float32(1e13 / 1e10)) * 1e10)

    assert np.allclose(found, centers[:10], atol=1e-5)
    assert np.allclose(above, 5e13)
    assert len(load_halos(tmp_path, mass_threshold=1e16)[0]) == 0


def test_the_three_species_of_a_run_with_baryons(pair):
    dm, dm_mass, gas, gas_mass, stars, star_mass = load_hydro_particles(pair / "Hydro" / "SB35_0")

    assert (len(dm), len(gas), len(stars)) == (4000, 4000, 800)
    shares = [masses.sum() / TOTAL for masses in (dm_mass, gas_mass, star_mass)]
    assert shares == pytest.approx([0.84, 0.12, 0.03], rel=1e-6)
    assert np.allclose(dm, gas, atol=1e-5)


def test_masses_may_be_listed_for_every_particle(tmp_path, rng):
    positions, _ = clustered(rng, 100)
    write_snapshot([tmp_path / "snap_033.hdf5"], {1: positions}, table=False)

    assert load_dmo_particles(tmp_path, snapshot=33)[1].sum() == pytest.approx(TOTAL, rel=1e-6)


def test_coordinates_at_and_beyond_the_edge_come_into_the_box(tmp_path):
    edge = np.nextafter(np.float32(SIZE), np.float32(0))
    positions = np.array([[SIZE, 0, 0], [-1e-9, 1, 1], [SIZE + 1, 2, 2], [edge, 3, 3]])
    write_snapshot([tmp_path / "snap_090.hdf5"], {1: positions}, dtype="f4")

    found, _ = load_dmo_particles(tmp_path)

    assert (found >= 0).all()
    assert (found < SIZE).all()
    assert found[0, 0] == 0
    assert found[2, 0] == pytest.approx(1, abs=1e-4)


def test_a_pair_has_everything_and_says_where_it_came_from(pair):
    found = opened(pair)

    assert [len(source) for source in found.species.values()] == [4000, 4000, 800]
    assert sum(len(piece) for piece in found.gas.stream()) == len(found.gas.load()) == 4000
    assert found.parameters == pytest.approx({"Omega0": 0.3, "OmegaBaryon": 0.049, "HubbleParam": 0.6711})
    assert len(found.files) == 5
    assert found.files[0].path == "SB35_0/snap_090.hdf5"
    assert len(found.halos) == 5
    assert len(found.halos.above(0.0)) == 4


def test_wind_counts_as_the_study_says(pair):
    found = opened(pair, wind="gas")

    wind = sum(len(rows) - 3 * len(rows) // 4 for rows in np.array_split(np.arange(800), 3))
    assert len(found.gas) == 4000 + wind
    assert len(found.stars) == 800 - wind
    assert len(found.gas.load()) == len(found.gas)
    assert found.gas.load().total + found.stars.load().total == pytest.approx(0.15 * TOTAL, rel=1e-6)


def test_parameters_are_found_by_name_and_the_seed_is_none_of_them(pair):
    text = "#Name Omega0 sigma8 seed\n SB35_1 0.1 0.9 7\n  SB35_0 0.3 0.8 5\n"
    (pair / "Hydro" / "CosmoAstroSeed_IllustrisTNG.txt").write_text(text)

    assert opened(pair).parameters == {"Omega0": 0.3, "sigma8": 0.8}

    (pair / "params.csv").write_text("name,suite,Omega0\nSB35_1,TNG,0.1\nSB35_0,TNG,0.3\n")
    assert opened(pair, params=str(pair / "params.csv")).parameters == {"Omega0": 0.3}
    (pair / "params.csv").write_text("name,Omega0\nSB35_1,0.1\n")
    with pytest.raises(DataError, match="no row `SB35_0`"):
        opened(pair, params=str(pair / "params.csv"))


# -- what must be refused -----------------------------------------------------------------------------------------


def chunk(root, number):
    return root / "Hydro" / "SB35_0" / "snapdir_090" / f"snap_090.{number}.hdf5"


def edited(path, edit):
    with h5py.File(path, "a") as file:
        edit(file)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_missing_chunk_is_named(pair, number):
    chunk(pair, number).unlink()

    with pytest.raises(DataError, match=rf"snap_090\.{number}\.hdf5: is missing"):
        opened(pair)


def test_a_chunk_too_many_is_named(pair):
    chunk(pair, 3).write_bytes(chunk(pair, 0).read_bytes())

    with pytest.raises(DataError, match="NumFilesPerSnapshot is 3 and there are 4 files"):
        opened(pair)


def test_a_torn_chunk_is_named(pair):
    chunk(pair, 1).write_bytes(chunk(pair, 1).read_bytes()[:2000])

    with pytest.raises(DataError, match=r"snap_090\.1\.hdf5: is not a readable HDF5 file"):
        opened(pair)


def test_two_snapshots_of_one_number_are_refused(pair):
    folder = pair / "DMO" / "SB35_0"
    (folder / "snapshot_090.hdf5").write_bytes((folder / "snap_090.hdf5").read_bytes())

    with pytest.raises(DataError, match="nobody says which"):
        opened(pair)


def shorten(file):
    values = file["PartType0/Coordinates"][:-1]
    del file["PartType0/Coordinates"]
    file["PartType0/Coordinates"] = values


def lighten(file):
    file["PartType0/Masses"][:] *= 1.6


def turn_nan(file):
    file["PartType0/Coordinates"][5, 1] = np.nan


def fling(file):
    file["PartType0/Coordinates"][5, 1] = 1e9


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (shorten, r"PartType0/Coordinates` has \d+ rows, NumPart_ThisFile is \d+"),
        (lambda file: file["Header"].attrs.modify("BoxSize", 50000.0), "BoxSize is 25, that of"),
        (lambda file: file.pop("PartType4"), "has no PartType4, its header promises"),
        (
            lambda file: file["Header"].attrs.modify("NumPart_Total", np.array([9, 9, 0, 0, 9, 9], "u4")),
            "NumPart_Total",
        ),
        (lambda file: file["Header"].attrs.create("UnitLength_in_cm", 3.0857e24), "UnitLength_in_cm"),
        (
            lambda file: file["PartType0/Masses"].write_direct(np.full(len(file["PartType0/Masses"]), -1, "f4")),
            "no masses",
        ),
        (lambda file: file.pop("Header"), "has no group `Header`"),
    ],
)
def test_a_file_that_breaks_its_promises_is_named(pair, edit, message):
    edited(chunk(pair, 0), edit)

    with pytest.raises(DataError, match=message):
        opened(pair)


@pytest.mark.parametrize("edit", [turn_nan, fling])
def test_coordinates_that_are_nowhere_are_named_when_they_are_read(pair, edit):
    edited(chunk(pair, 1), edit)

    with pytest.raises(DataError, match=r"snap_090\.1\.hdf5: `PartType0/Coordinates` has 1 rows .*row 5"):
        opened(pair).gas.load()


def test_lost_mass_is_refused(pair):
    for number in range(3):
        edited(chunk(pair, number), lighten)

    with pytest.raises(DataError, match="Omega0 rho_c"):
        opened(pair)


def test_another_box_than_the_study_says_is_refused(pair):
    table = SourceTable(kind="camels", nbody="a", hydro="b", fof="c")
    roots = {"nbody": pair / "DMO", "hydro": pair / "Hydro", "fof": pair / "FOF"}

    with pytest.raises(DataError, match=r"BoxSize is 25000 ckpc/h, system\.box_size says 50000"):
        open_pair(roots, "SB35_0", table, 50.0)


def test_a_catalogue_with_fewer_groups_than_it_says_is_refused(tmp_path, rng):
    write_groups([tmp_path / "groups_090.hdf5"], rng.uniform(0, SIZE, (4, 3)), np.full(4, 2e13), total=5)

    with pytest.raises(DataError, match="Ngroups_Total is 5, its files hold 4"):
        load_halos(tmp_path)


def test_counts_above_32_bits_are_put_together(tmp_path, rng):
    positions, _ = clustered(rng, 10)
    high = {"NumPart_Total_HighWord": np.array([0, 1, 0, 0, 0, 0], "u4")}
    write_snapshot([tmp_path / "snap_090.hdf5"], {1: positions}, header=high)

    with pytest.raises(DataError, match=rf"NumPart_Total of PartType1 is {2**32 + 10}"):
        Snapshot.open(tmp_path)

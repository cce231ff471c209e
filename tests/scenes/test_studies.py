"""Studies of scenes: which scenes they ask for, and what is told of those that cannot be."""

import pytest

from emulant import study
from emulant.errors import StudyError
from emulant.systems.scenes.catalogue import HELDOUT, SCENARIOS, TYPES, type_and_number
from emulant.systems.scenes.sampling import difficulty, draw, gravity_factor
from emulant.systems.scenes.scenes import system


def loaded(*overrides, preset="scenes:smoke"):
    return study.load(preset, overrides)


def test_every_built_in_study_loads_and_heldout_types_stay_out():
    for preset in ("scenes", "scenes:smoke", "scenes:source", "scenes:gpu"):
        config = loaded(preset=preset).config
        for split in system.splits(config):
            types = {
                type_and_number(case)[0] for shard in system.shards(config, "cases", split) for case in shard.cases
            }
            assert types <= (set(HELDOUT) if split == "test_heldout" else set(TYPES) - set(HELDOUT))


def test_the_source_study_has_the_documents_numbers():
    config = loaded(preset="scenes:source").config
    assert system.splits(config)["training"] == 29 * 30_000
    assert system.splits(config)["test_heldout"] == 6 * 3_000


def test_counts_are_per_type_and_shards_hold_one_type():
    config = loaded("splits.training=7", "dataset.shard_cases=3").config
    shards = system.shards(config, "cases", "training")
    assert system.splits(config)["training"] == 28
    assert [len(shard.cases) for shard in shards[:3]] == [3, 3, 1]
    assert all(len({type_and_number(case)[0] for case in shard.cases}) == 1 for shard in shards)


def test_difficulties_take_turns():
    config = loaded("system.difficulty=[2,4]").config
    assert [difficulty(config, "training", "tower", k) for k in range(4)] == [2, 3, 4, 2]


def test_the_ood_split_is_harder_and_under_another_gravity():
    config = loaded(preset="scenes").config
    for name in ("tower", "chain_reaction", "orbit"):
        scene = draw(config, "test_ood", name, 0)
        hardest = SCENARIOS[name].hardest
        assert (scene.difficulty > 5) == (hardest > 5)
        factor = scene.gravity[1] / -981
        assert name == "orbit" or 0.5 <= factor <= 0.7 or 1.4 <= factor <= 2
    factors = [gravity_factor(seed) for seed in range(200)]
    assert 60 < sum(factor < 1 for factor in factors) < 140


def test_no_two_splits_share_a_scene():
    config = loaded(preset="scenes").config
    seeds = {draw(config, split, "tower", k).seed for split in ("training", "validation", "test") for k in range(50)}
    assert len(seeds) == 150


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ('system.types=["towr"]', "did you mean tower?"),
        ('system.types=["tower","tower"]', "names a type twice"),
        ("system.types=[]", "system.types"),
        ("system.difficulty=[0,5]", "within 1 to 5"),
        ("system.difficulty=[1,9]", "within 1 to 5"),
        ("system.difficulty=[4,2]", "within 1 to 5"),
        ("system.substeps=0", "must be >= 1"),
        ("splits.training=-1", "must be >= 0"),
        ('system.types=["pong","bowling"]', "nothing to train on"),
    ],
)
def test_what_cannot_be_is_told(override, told, emulant):
    with pytest.raises(StudyError, match=told.replace("?", r"\?")):
        loaded(override)
    code, _, err = emulant("generate", "scenes:smoke", "-o", "nowhere", "--set", override)
    assert code == 2
    assert told in err


def test_heldout_types_alone_can_be_generated(tmp_path, emulant):
    sets = ['system.types=["pong"]', "system.frames=12", "splits.training=0", "splits.validation=0", "splits.test=0"]
    flags = [flag for override in sets for flag in ("--set", override)]
    code, _, err = emulant("generate", "scenes:smoke", "-o", tmp_path / "run", "--quiet", "--workers", "1", *flags)
    assert code == 0, err
    assert (tmp_path / "run" / "test_heldout").is_dir()
    assert not (tmp_path / "run" / "training").exists()

"""The study file: defaults, overrides, and every fault in one go."""

import tomllib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant import study as studies
from emulant.errors import StudyError, UsageError


def write(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def faults(tmp_path, text, *overrides):
    with pytest.raises(StudyError) as caught:
        studies.load(write(tmp_path, text), overrides)
    assert caught.value.exit_code == 2
    return [str(fault) for fault in caught.value.faults]


def test_the_plain_swarm_is_the_document_to_the_number():
    study = studies.load("swarm")
    system, density = study.config.system, study.config.density
    assert (system.N, system.Lx, system.Ly, system.bc, system.T, system.dt) == (40, 15.0, 15.0, "periodic", 2.0, 0.1)
    assert (system.save_every, system.speed, system.R) == (1, 1.0, 2.0)
    assert (system.noise.kind, system.noise.eta, system.forces) == ("gaussian", 0.3, None)
    assert (density.nx, density.ny, density.bandwidth) == (64, 64, 2.0)
    assert (study.config.splits.training, study.config.splits.test) == (100, 20)
    pod_mvar = study.surrogates["pod_mvar"].config
    assert (pod_mvar.energy, pod_mvar.lag, pod_mvar.ridge, pod_mvar.tune, pod_mvar.blend) == (
        0.995,
        4,
        1e-6,
        None,
        False,
    )
    assert study.context_frames == 4


def test_every_built_in_study_loads_and_its_resolved_form_is_itself():
    assert {"swarm", "swarm:smoke", "swarm:recommended"} <= studies.presets().keys()
    for name in studies.presets():
        study = studies.load(name)
        again = studies.from_document(tomllib.loads(study.to_toml()), name)
        assert again.document() == study.document()
        assert again.config == study.config


def test_all_faults_come_at_once_with_key_what_is_allowed_and_the_nearest_name(tmp_path):
    found = faults(
        tmp_path,
        """
        seeed = 1
        [system]
        name = "swarm"
        N = 0
        sped = 1.0
        bc = "open"
        T = "long"
        [system.noise]
        kindd = "gaussian"
        [densty]
        nx = 64
        [splits]
        training = 1.5
        [surrogates.pod_mvr]
        [surrogates.spectral]
        lagg = 4
        [evaluation]
        confidence = 2.0
        [report]
        film = true
        """,
    )
    text = "\n".join(found)
    for said in (
        "seeed: is not a key (did you mean seed?)",
        "system.N: must be >= 1, is 0",
        "system.sped: is not a key (did you mean system.speed?)",
        "system.bc: must be 'periodic' or 'reflecting', is \"open\"",
        'system.T: must be a number, is "long"',
        "system.noise.kindd: is not a key (did you mean system.noise.kind?)",
        "densty: is not a key (did you mean density?)",
        "splits.training: must be a whole number, is 1.5",
        "surrogates.pod_mvr: the system `swarm` has no surrogate 'pod_mvr' (did you mean pod_mvar?)",
        "surrogates.spectral.lagg: is not a key (did you mean surrogates.spectral.lag?)",
        "evaluation.confidence: must be < 1, is 2.0",
        "report.film: is not a key (did you mean report.films?)",
    ):
        assert said in text
    assert len(found) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "system.name: is missing"),
        ('[system]\nname = "swrm"', "there is no system 'swrm' (did you mean swarm?)"),
        ("[system\nname = 1", "TOML"),
        ('[system]\nname = "swarm"\nspeed = 20.0', "lower system.dt or system.speed"),
        ('[system]\nname = "swarm"\nT = inf', "system.T"),
        ('[system]\nname = "swarm"\nN = true', "system.N: must be a whole number, is true"),
        ('system = "swarm"', "system.name: is missing"),
        ('surrogates = 3\n[system]\nname = "swarm"', "surrogates: must be a table of tables"),
        ('[system]\nname = "swarm"\n[surrogates.spectral]\nenabled = "no"', "enabled: must be true or false"),
        (
            '[system]\nname = "swarm"\n[evaluation]\ncontext_frames = 2\n[surrogates.spectral]\nlag = 4',
            "surrogates.spectral.lag: is 4, but forecasts are given 2 frames",
        ),
    ],
)
def test_a_single_fault_is_told(tmp_path, text, said):
    assert said in "\n".join(faults(tmp_path, text))


def test_bytes_that_are_no_text_are_a_fault(tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xff\xfe\x00system")
    with pytest.raises(StudyError, match="UTF-8"):
        studies.load(path)


def test_overrides_are_read_as_toml_and_what_is_not_toml_is_a_text():
    study = studies.load(
        "swarm", ["system.N=300", "density.bandwidth=5", "system.bc=reflecting", "system.noise.match_variance=false"]
    )
    assert (study.config.system.N, study.config.density.bandwidth) == (300, 5.0)
    assert study.config.system.bc == "reflecting"
    assert study.config.system.noise.match_variance is False


def test_an_override_may_switch_a_surrogate_off_and_forces_on():
    study = studies.load("swarm", ["surrogates.pod_mvar.enabled=false", "system.forces.Ca=0.5"])
    assert list(study.surrogates) == ["spectral"]
    assert study.config.system.forces.Ca == 0.5


@pytest.mark.parametrize("override", ["system.N", "=3", "system..N=3", "seed.x=3"])
def test_an_override_of_the_wrong_form_is_wrong_usage(override):
    with pytest.raises(UsageError, match="--set"):
        studies.load("swarm", [override])


def test_an_unknown_study_names_the_nearest():
    with pytest.raises(UsageError, match=r"Did you mean `swarm:smoke`\?"):
        studies.load("swarm:smok")


def test_the_context_is_the_longest_lag_unless_the_study_says_so():
    assert studies.load("swarm", ["surrogates.pod_mvar.lag=6"]).context_frames == 6
    assert studies.load("swarm", ["evaluation.context_frames=9"]).context_frames == 9


def test_the_data_key_follows_the_physics_and_nothing_else():
    key = studies.load("swarm").data_key
    for same in ("splits.test=30", "dataset.timeout=9", "surrogates.pod_mvar.lag=2", "evaluation.resamples=1000"):
        assert studies.load("swarm", [same]).data_key == key
    for other in ("seed=1", "system.N=41", "density.nx=32", "dataset.shard_cases=4", "system.noise.eta=0.31"):
        assert studies.load("swarm", [other]).data_key != key


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
tables = st.sampled_from(["seed", "system", "density", "splits", "dataset", "surrogates", "evaluation", "report"])


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(tables | st.text(max_size=6), json_values, max_size=5))
def test_whatever_a_document_holds_the_answer_is_a_study_or_its_faults(document):
    if isinstance(document.get("system"), dict):
        document["system"]["name"] = "swarm"
    with suppress(StudyError):
        studies.from_document(document, "test")

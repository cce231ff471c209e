"""A real slurmctld and slurmd on loopback: from `submit` to the report, over killed elements, to the same hash."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emulant.cluster import jobs, plan

CLUSTER = Path(__file__).parents[2] / ".ci" / "slurm"
LIMIT = 5
"""MaxArraySize of the test cluster: the 12 training shards must share its elements."""


@pytest.fixture(scope="module")
def slurm(environment, tmp_path_factory):
    """A cluster of two cores whose jobs know the toy; the environment in which its commands find it."""
    if shutil.which("slurmctld") is None or shutil.which("slurmd") is None:
        pytest.skip("there is no SLURM to start: apt-get install slurm-wlm")
    if os.geteuid() != 0:
        pytest.skip("only root can start a SLURM of its own")
    folder = tmp_path_factory.mktemp("slurm")
    settings = {**environment, "MAX_ARRAY_SIZE": str(LIMIT)}
    subprocess.run([CLUSTER, "start", folder], env=settings, check=True, capture_output=True, timeout=60)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield {**environment, "SLURM_CONF": os.environ.pop("SLURM_CONF")}
    subprocess.run([CLUSTER, "stop", folder], check=True, timeout=60)


@pytest.fixture
def call(slurm, tmp_path):
    """Call a command on the cluster: (value of --json, stderr)."""

    def call(*arguments, code=0):
        words = [sys.executable, "-m", "emulant", *map(str, arguments), "--json"]
        done = subprocess.run(words, env=slurm, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == code, done.stderr
        return (json.loads(done.stdout) if done.stdout else None), done.stderr

    yield call
    if (tmp_path / "run" / "study.toml").is_file():
        call("cancel", tmp_path / "run")


@pytest.fixture
def wait(slurm):
    """Wait until a condition holds."""

    def wait(condition, seconds=90):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, subprocess.run(
                ["squeue"], env=slurm, capture_output=True, text=True, check=False
            ).stdout
            time.sleep(0.3)

    return wait


def squeue(slurm, run):
    """The states of a run's jobs that the scheduler has not ended yet: name -> states."""
    ids = {job.id: job.name for job in jobs.listed(jobs.RunFolder(run))}
    words = ["squeue", "--noheader", "--array", "--format=%F %T %r"]
    rows = subprocess.run(words, env=slurm, capture_output=True, text=True, check=True).stdout.split("\n")
    found = {}
    for row in filter(None, rows):
        job, state, reason = row.split()
        if job in ids:
            found.setdefault(ids[job], []).append((state, reason))
    return found


def test_from_submit_to_the_report_over_a_killed_element(tmp_path, slurm, call, wait, study, expected, hashes):
    run, setup = tmp_path / "a run", tmp_path / "setup.sh"
    setup.write_text(
        'if [[ "${SLURM_ARRAY_TASK_ID:-}" == 1 ]] && mkdir "$RUN/killed" 2>/dev/null; then kill -9 $$; fi\n'
    )
    submitted, _ = call("submit", study(), "-o", run, "--setup", setup, "--time", "5", "--max-parallel", "2")
    assert [job["name"] for job in submitted["jobs"]] == [
        "1-cases-training",
        "1-cases-test",
        "1-cases-gate",
        "train",
        "evaluate",
    ]
    wait(lambda: not squeue(slurm, run))
    assert (run / "killed").is_dir(), "no element was killed"
    assert (run / "report.html").is_file()
    assert hashes(run) == expected
    state, _ = call("status", run)
    names = [job["name"] for job in state["jobs"]]
    assert names.count("1-cases-gate") == 2, "one gate and, after the gap, another"
    assert names.count("1-cases-training") == 2
    again = state["jobs"][names.index("1-cases-training", 1)]
    assert again["done"] == 1, "just the element that was killed is submitted again"


def test_an_array_stays_below_the_limit_and_each_shard_is_in_one_element(tmp_path, slurm, call, study):
    run = tmp_path / "run"
    call("submit", study(), "-o", run, "--dry-run")
    training = (run / "slurm" / "1-cases-training.sh").read_text()
    assert "#SBATCH --array=0-3\n" in training, "12 shards, 3 to an element"
    assert not squeue(slurm, run), "a dry run submits nothing"


def test_scripts_can_be_edited_and_gaps_that_stay_stop_what_follows(tmp_path, slurm, call, wait, study):
    run, setup = tmp_path / "run", tmp_path / "setup.sh"
    setup.write_text('if [[ "$SLURM_JOB_NAME$SLURM_ARRAY_TASK_ID" == 1-cases-training2 ]]; then exit 9; fi\n')
    call("submit", study(), "-o", run, "--setup", setup, "--dry-run")
    gate = run / "slurm" / "1-cases-gate.sh"
    gate.write_text(gate.read_text().replace("--rounds 3", "--rounds 1"))
    subprocess.run(["bash", run / "slurm" / "submit.sh"], env=slurm, check=True, capture_output=True)
    wait(lambda: not squeue(slurm, run))
    state, _ = call("status", run)
    assert state["splits"]["training"]["done"] == 9
    assert not (run / "models").exists(), "training ran on data with gaps"
    (failed,) = next(job for job in state["jobs"] if job["name"] == "1-cases-training")["failures"]
    assert (failed["element"], failed["reason"]) == ("2", "FAILED, NonZeroExitCode")
    assert Path(failed["log"]).is_file()
    last = [job for job in state["jobs"] if job["name"] == "1-cases-gate"][-1]
    assert "after 1 more rounds there are shards missing" in Path(last["failures"][0]["log"]).read_text()

    setup.write_text("")
    again, _ = call("submit", study(), "-o", run)
    assert "#SBATCH --array=2\n" in Path(again["scripts"]["1-cases-training"]).read_text(), "only what is missing"
    assert "1-cases-test" not in [job["name"] for job in again["jobs"]]
    wait(lambda: not squeue(slurm, run))
    assert (run / "report.html").is_file()


def test_jobs_are_cancelled_and_not_submitted_twice(tmp_path, slurm, call, wait, study):
    run, file = tmp_path / "run", study(seconds=30)
    submitted, _ = call("submit", file, "-o", run)
    wait(lambda: any(state == "RUNNING" for rows in squeue(slurm, run).values() for state, _ in rows))
    state, _ = call("status", run)
    assert next(job for job in state["jobs"] if job["name"] == "train")["reasons"] == ["Dependency"]
    _, err = call("submit", file, "-o", run, code=2)
    assert f"`emulant cancel {run}` ends them" in err
    cancelled, _ = call("cancel", run)
    assert cancelled == [job["job"] for job in submitted["jobs"]]
    wait(lambda: not squeue(slurm, run), 30)


def test_scripts_that_slurm_refuses_leave_no_job_behind(tmp_path, slurm, call, study):
    run = tmp_path / "run"
    _, err = call("submit", study(), "-o", run, "--partition", "nowhere", code=1)
    assert "invalid partition" in err
    call("submit", study(), "-o", run, "--dry-run")
    train = run / "slurm" / "train.sh"
    train.write_text(train.read_text().replace("--requeue", "--partition=nowhere"))
    done = subprocess.run(["bash", run / "slurm" / "submit.sh"], env=slurm, check=False, capture_output=True)
    assert done.returncode != 0
    assert not squeue(slurm, run)


@pytest.mark.soak  # SLURM lets a requeued job wait for two minutes, until its nodes have forgotten the first try
def test_training_whose_time_is_up_goes_back_into_the_queue(tmp_path, slurm, call, wait, study):
    run, setup = tmp_path / "run", tmp_path / "setup.sh"
    setup.write_text(
        'if [[ "$SLURM_JOB_NAME" == train && -z "${SLURM_RESTART_COUNT:-}" ]]; then\n'
        "    emulant() { sleep 300; }\n"
        '    touch "$RUN/asked"\n'
        "fi\n"
    )
    call("submit", study(), "-o", run, "--setup", setup)
    wait((run / "asked").is_file, 200)  # the environment is read: by then the trap must have been set
    job = next(job.id for job in jobs.listed(jobs.RunFolder(run)) if job.name == "train")
    subprocess.run(["scancel", "--batch", "--signal=USR1", job], env=slurm, check=True)
    wait(lambda: squeue(slurm, run).get("train", [("", "")])[0][0] == "PENDING", 60)
    wait(lambda: not squeue(slurm, run), 400)
    told = subprocess.run(["scontrol", "show", "job"], env=slurm, capture_output=True, text=True, check=False).stdout
    logs = [f"{path}:\n{path.read_text()}" for path in (run / "slurm" / "logs").glob("*.log")]
    assert (run / "report.html").is_file(), "\n".join([told, *logs])


@pytest.mark.soak
def test_two_processes_train_under_srun_what_one_trains(tmp_path, slurm, call, wait):
    pytest.importorskip("torch")
    file = tmp_path / "study.toml"
    file.write_text(
        "[system]\nname = 'pendulum'\nT = 4.0\n[splits]\ntraining = 8\nvalidation = 4\ntest = 4\n"
        "[dataset]\nshard_cases = 4\n[surrogates.lstm]\nhidden = 8\n"
        "[training]\nmax_epochs = 2\nepoch_batches = 4\nmonitor = 'loss'\n"
        "[evaluation]\ncontext = 1.0\nlyapunov_time = 5.0\nsurrogate_lyapunov_time = 5.0\nresamples = 1000\n"
    )
    call("run", file, "-o", tmp_path / "here", "--set", "report.films=false")
    submitted, _ = call(
        "submit", file, "-o", tmp_path / "run", "--devices", "2", "--strategy", "ddp", "--set", "report.films=false"
    )
    script = Path(submitted["scripts"]["train"]).read_text()
    assert "#SBATCH --ntasks-per-node=2\n" in script
    assert 'srun --kill-on-bad-exit=1 "$PYTHON" -m emulant train "$RUN" &' in script
    wait(lambda: not squeue(slurm, tmp_path / "run"), 1200)
    assert (tmp_path / "run" / "report.html").is_file()
    one, two = (
        [line.split(",") for line in (tmp_path / name / "logs" / "lstm" / "metrics.csv").read_text().splitlines()]
        for name in ("here", "run")
    )
    place = one[0].index("validation_loss")
    assert float(two[-1][place]) == pytest.approx(float(one[-1][place]), rel=1e-4)
    assert [row[:-1] for row in two] != [row[:-1] for row in one], "the second training has not been shared at all"


@pytest.mark.parametrize(
    ("elements", "text"), [([0], "0"), ([0, 1, 2], "0-2"), ([1, 3, 4, 9], "1,3-4,9"), ([5, 6], "5-6")]
)
def test_elements_are_written_as_ranges(elements, text):
    assert plan.indices(elements) == text


def test_a_study_that_cannot_be_run_to_its_end_is_refused_before_anything_is_written(tmp_path, emulant):
    code, _, err = emulant(
        *("submit", "swarm:smoke", "-o", tmp_path / "run", "--dry-run"),
        *("--set", "splits.test=0", "--set", "splits.test_long=0"),
    )
    assert (code, "no test case to evaluate on" in err) == (2, True)
    assert not (tmp_path / "run").exists()


def test_several_devices_are_tasks_of_the_training_job_and_the_trap_is_set_first(tmp_path, emulant):
    options = ("--dry-run", "--devices", "2", "--nodes", "3", "--set", 'training.accelerator="gpu"')
    code, _, err = emulant("submit", "pendulum:smoke", "-o", tmp_path / "run", *options)
    assert code == 0, err
    script = (tmp_path / "run" / "slurm" / "train.sh").read_text()
    for line in ("--nodes=3", "--ntasks-per-node=2", "--gres=gpu:2", "--requeue"):
        assert f"#SBATCH {line}\n" in script
    assert 'srun --kill-on-bad-exit=1 "$PYTHON" -m emulant train "$RUN" &\n' in script
    assert script.index("\ntrap ") < script.index("\nsource "), "a signal while the environment is read ends the job"
    code, _, err = emulant("submit", "pendulum:smoke", "-o", tmp_path / "other", "--dry-run", "--strategy", "fsdp")
    assert (code, "training.strategy: must be 'auto', 'ddp'" in err) == (2, True), err

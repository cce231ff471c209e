"""The sbatch scripts of a run, to be read and edited by hand; `submit.sh` submits them in order."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from emulant.cluster.plan import Array, gate, indices
from emulant.dataset.atomic import write_text
from emulant.folder import RunFolder
from emulant.study import Study
from emulant.training.table import TrainedTable

ROUNDS = 3
"""How often a gate submits again what is missing."""
NOTICE = 120
"""Seconds before its time is up that training is told so."""


@dataclass(frozen=True)
class Resources:
    """What each job asks for, as `sbatch` takes it; unset: the cluster's own default."""

    time: str | None = None
    mem: str | None = None
    partition: str | None = None
    account: str | None = None

    def lines(self) -> list[str]:
        return [f"#SBATCH --{name}={value}" for name, value in vars(self).items() if value is not None]


def write(
    study: Study,
    folder: RunFolder,
    arrays: Sequence[Array],
    resources: Resources,
    setup: str = "",
    max_parallel: int | None = None,
) -> dict[str, Path]:
    """Write the scripts into `RUN/slurm/`; name -> file. Arrays of which all is done have one, but are not submitted.

    Args:
        setup: Shell commands that every job runs first, such as `module load`.
        max_parallel: Elements of an array that run at the same time.
    """
    open_ = {array.name: array.missing(study, folder) for array in arrays}
    bodies = {array.name: _array(array, open_[array.name], max_parallel) for array in arrays}
    bodies |= {gate(study, pass_): _gate(pass_) for pass_ in _passes(arrays)}
    bodies |= {"train": _train(study), "evaluate": _EVALUATE}
    first = {"train": _TRAP}
    texts = {name: _script(name, body, folder, resources, first.get(name, "")) for name, body in bodies.items()}
    texts |= {"environment": _environment(folder, setup), "submit": _submit(study, folder, arrays, open_)}
    return {name: write_text(folder.slurm / f"{name}.sh", text) for name, text in texts.items()}


def _passes(arrays: Sequence[Array]) -> list[str]:
    return list(dict.fromkeys(array.pass_ for array in arrays))


def _script(name: str, body: str, folder: RunFolder, resources: Resources, first: str = "") -> str:
    """A script: its first paragraph says what it does, then come the options, `first`, the environment, the rest."""
    about, _, rest = body.partition("\n\n")
    slurm = folder.slurm.absolute()
    place = "%x-%A_%a" if "--array=" in body else "%x-%j"
    output = str(slurm / "logs").replace("%", "%%")
    head = [
        f"#SBATCH --job-name={name}",
        f'#SBATCH --output="{output}/{place}.log"',
        "#SBATCH --cpus-per-task=1",
        *resources.lines(),
    ]
    source = f"source {shlex.quote(str(slurm / 'environment.sh'))}"
    options, _, commands = rest.rpartition("\n\n")
    early = [first] if first else []
    return "\n".join(["#!/usr/bin/env bash", about, *head, *options.splitlines(), "", *early, source, commands])


def _array(array: Array, elements: Sequence[int], max_parallel: int | None) -> str:
    chosen = elements or range(ceil(len(array.shards) / array.chunk))
    limit = f"%{max_parallel}" if max_parallel else ""
    return f"""\
# Simulate {array.pass_}, split {array.split}: {len(array.shards)} shards, {array.chunk} to an element of the array.
# What is done already is not done again.

#SBATCH --array={indices(chosen)}{limit}

first=$((SLURM_ARRAY_TASK_ID * {array.chunk}))
last=$((first + {array.chunk - 1}))
emulant generate "$RUN/study.toml" -o "$RUN" --pass {array.pass_} --split {array.split} --shards "$first-$last" \\
    --workers "${{SLURM_CPUS_PER_TASK:-1}}"
"""


def _gate(pass_: str) -> str:
    return f"""\
# Is every shard of {pass_} there and whole? What is missing is submitted again, with another gate behind it,
# at most {ROUNDS} times; what waits for this gate then waits for that one.

emulant resubmit "$RUN" --pass {pass_} --round "${{1:-0}}" --rounds {ROUNDS}
"""


_TRAP = """\
# Before anything else: without a trap the signal ends the job. SLURM ends the sleep, and all else that runs here.
trap 'until scontrol requeue "$SLURM_JOB_ID"; do sleep 5; done; sleep 600' USR1"""


def _train(study: Study) -> str:
    nodes, tasks, gpu = _devices(study)
    several = nodes * tasks > 1
    options = [
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f"#SBATCH --signal=B:USR1@{NOTICE}",
        *([f"#SBATCH --nodes={nodes}", f"#SBATCH --ntasks-per-node={tasks}"] if several else []),
        *([f"#SBATCH --gres=gpu:{tasks}"] if gpu else []),
    ]
    lines = "\n".join(options)
    start = 'srun --kill-on-bad-exit=1 "$PYTHON" -m emulant' if several else "emulant"
    return f"""\
# Fit the surrogates. Shortly before its time is up the job goes back into the queue; then it goes on from its last
# finished epoch.

{lines}

{start} train "$RUN" &
wait "$!"
"""


def _devices(study: Study) -> tuple[int, int, bool]:
    """Nodes, processes on each and whether they need a graphics card: the most that any network asks for."""
    configs = [choice.config for choice in study.surrogates.values()]
    tables = [config.schedule() for config in configs if isinstance(config, TrainedTable)]
    nodes = max((table.nodes for table in tables), default=1)
    devices = max((table.devices for table in tables if table.devices != "auto"), default=1)
    return nodes, devices, any(table.accelerator == "gpu" for table in tables)


_EVALUATE = """\
# Score the surrogates beside the baselines, and write report.html.

emulant evaluate "$RUN"
emulant report "$RUN"
"""


def _environment(folder: RunFolder, setup: str) -> str:
    lines = [
        "# Every job of this run reads this first. If `python` is another one on the nodes, change it here.",
        "",
        f"RUN={shlex.quote(str(folder.root.absolute()))}",
        f"PYTHON={shlex.quote(sys.executable)}",
        'emulant() { "$PYTHON" -m emulant "$@"; }',
        "",
        *([setup.rstrip(), ""] if setup.strip() else []),
        "set -e",
    ]
    return "\n".join(lines) + "\n"


def _submit(study: Study, folder: RunFolder, arrays: Sequence[Array], elements: Mapping[str, Sequence[int]]) -> str:
    lines, after = list[str](), ""
    for pass_ in _passes(arrays):
        names = [array.name for array in arrays if array.pass_ == pass_ and elements[array.name]]
        lines += [_line(name, after) for name in names]
        if names:
            after = f"--dependency=afterany:{':'.join(f'${_variable(name)}' for name in names)}"
        lines.append(_line(gate(study, pass_), after))
        after = _after(gate(study, pass_))
    lines += [_line("train", after), _line("evaluate", _after("train"))]
    return _SUBMIT.format(slurm=shlex.quote(str(folder.slurm.absolute())), lines="\n".join(lines))


def _after(name: str) -> str:
    return f"--dependency=afterok:${_variable(name)} --kill-on-invalid-dep=yes"


def _line(name: str, options: str) -> str:
    return f"{_variable(name)}=$(submit {name} {options})".replace(" )", ")")


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", f"job_{name}")


_SUBMIT = """\
#!/usr/bin/env bash
# Submits the jobs of this folder. All are held until the last one is there, and then let go together.
set -euo pipefail
cd {slurm}
mkdir -p logs
: >jobs.tsv

submit() {{ # NAME [OPTION...]: submit NAME.sh, note its id in jobs.tsv, print the id
    local id
    id="$(sbatch --parsable --hold "${{@:2}}" "$1.sh")" || return
    printf '%s\\t%s\\n' "$1" "${{id%%;*}}" >>jobs.tsv
    echo "${{id%%;*}}"
}}

trap 'cut -f 2 jobs.tsv | xargs --no-run-if-empty scancel' ERR # all or nothing

{lines}

cut -f 2 jobs.tsv | xargs scontrol release
cat jobs.tsv
"""

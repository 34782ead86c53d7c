"""A study as a shell script that submits it to SLURM: one job array a verb."""

import shlex
from collections.abc import Sequence

from mstool.design.jobs import Job, report_argv

# Verbs whose arrays must have ended before that of a verb may begin.
_AFTER = {
    "tile": (),
    "split": ("tile",),
    "train": ("tile", "split"),
    "predict": ("train",),
    "stitch": ("predict",),
    "score": ("stitch",),
    "explain": ("train",),
    "domain-shift": ("train",),
}
_HEAD = """\
#!/usr/bin/env bash
# The study of {plan}: {n_cells} cells, {n_jobs} commands. Written by mstool study.
#
#   bash FILE [SBATCH OPTION...]    submit one job array a verb, and the report at the end
#
# Run it in the folder of the plan. Options are those of sbatch, for all arrays: --partition=gpu,
# --time=2:00:00, --mem=16G. Two minutes before the time is up a command is asked to save its work,
# and the task is queued again to go on. Submitting again does what is missing and no more.

MSTOOL=${{MSTOOL:-mstool}}
FLAGS=${{FLAGS:-}}

# What task $2 of verb $1 does. Words are quoted: no name of a file is taken for anything else.
command_of() {{
    case $1.$2 in
"""
_TAIL = """\
    *) echo "no task $1.$2" >&2; exit 2 ;;
    esac
}

# Runs task $2 of verb $1. SLURM tells this shell alone that time is running out.
run_task() {
    local child code asked=
    command_of "$1" "$2"
    $MSTOOL "${words[@]}" $FLAGS &
    child=$!
    trap 'asked=yes; kill -USR1 "$child"' USR1
    wait "$child"; code=$?
    if [ -n "$asked" ]; then wait "$child"; code=$?; fi  # the signal ended the first wait
    if [ "$code" = 75 ]; then
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    fi
    return "$code"
}

if [ "${1-}" = --task ]; then
    run_task "$2" "$((SLURM_ARRAY_TASK_ID + $3))"
    exit
fi

# Submits tasks 1 to $2 of verb $1, a thousand at a time, to begin after the jobs in $3; all
# that follows is for sbatch. Sets ids to the jobs.
submit() {
    local verb=$1 n_tasks=$2 after=$3 first last id
    shift 3
    ids=
    for ((first = 0; first < n_tasks; first += 1000)); do
        last=$((n_tasks - first < 1000 ? n_tasks - first : 1000))
        id=$(sbatch --parsable --job-name="$verb" --array="1-$last" --requeue \\
            --signal=B:USR1@120 --output='logs/%x-%A-%a.log' \\
            ${after:+"--dependency=afterany$after"} "$@" \\
            "${BASH_SOURCE[0]}" --task "$verb" "$first") || exit
        ids+=":${id%%;*}"
    done
    echo "$verb: $n_tasks tasks, job${ids//:/ }"
}

mkdir -p logs
"""


def render_slurm(jobs: Sequence[Job], plan: str, n_cells: int) -> str:
    """Shell script that submits jobs, for the folder of the plan; parameters of `render_makefile`.

    A failed task does not keep the arrays after it from running: the verbs refuse what is missing,
    and the report lists it.
    """
    stages = list(dict.fromkeys(job.stage for job in jobs))
    cases = [
        f"    {stage}.{number}) words=({shlex.join(job.argv)}) ;;\n"
        for stage in stages
        for number, job in enumerate(_of(jobs, stage), 1)
    ]
    return "".join(
        [
            _HEAD.format(plan=" ".join(plan.split()), n_cells=n_cells, n_jobs=len(jobs)),
            *cases,
            f"    report.1) words=({shlex.join(report_argv(plan))}) ;;\n",
            _TAIL,
            _submission(jobs, stages),
        ]
    )


def _submission(jobs: Sequence[Job], stages: Sequence[str]) -> str:
    ends = [stage for stage in stages if not any(stage in _AFTER[other] for other in stages)]
    lines = []
    for stage in stages:
        after = [each for each in _AFTER[stage] if each in stages]
        n_tasks = len(_of(jobs, stage))
        lines.append(f'submit {stage} {n_tasks} "{_ids(after)}" "$@"; {_variable(stage)}=$ids')
    lines.append(f'submit report 1 "{_ids(ends)}" "$@"')
    return "\n".join(lines) + "\n"


def _ids(stages: Sequence[str]) -> str:
    return "".join(f"${_variable(stage)}" for stage in stages)


def _of(jobs: Sequence[Job], stage: str) -> list[Job]:
    return [job for job in jobs if job.stage == stage]


def _variable(stage: str) -> str:
    return stage.replace("-", "_")

"""The script for SLURM submits one array a verb, and its tasks do what make would."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mstool.design.cells import list_cells
from mstool.design.jobs import list_jobs
from mstool.design.slurm import render_slurm

# Runs the tasks of an array one after the other, and again while they ask for it.
SBATCH = """\
#!/usr/bin/env bash
printf '%s\\n' "$*" >> submitted
[ -z "$NO_QUEUE" ] || exit 1
while [[ $1 = --* ]]; do
    case $1 in
        --array=*) last=${1#--array=1-} ;;
        --dependency=*) after=${1#--dependency=afterany:} ;;
        --signal=B:USR1@120) signal=yes ;;
    esac
    shift
done
for id in ${after//:/ }; do [ -e "ended-$id" ] || exit 9; done
[ -n "$signal" ] || exit 9
id=$(wc -l < submitted)
for ((task = 1; task <= last; task++)); do
    while
        rm -f requeue
        SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task bash "$@" >> tasks.log 2>&1 &
        batch=$!
        if [ "$SLOW" = "$3" ] && [ ! -e asked ]; then
            until [ -e asked ]; do sleep 0.05; done
            sleep 0.3
            kill -USR1 $batch
        fi
        wait $batch
        [ -e requeue ]
    do :; done
done
touch "ended-$id"
echo "$id;cluster"
"""
SCONTROL = '#!/usr/bin/env bash\n[ "$1" = requeue ] && echo "$2" | tee -a requeued > requeue\n'


@pytest.fixture
def write(read, small, stand_in):
    """Write the script of a plan; give its jobs."""
    for name, text in (("sbatch", SBATCH), ("scontrol", SCONTROL)):
        program = stand_in.parent / "bin" / name
        program.write_text(text)
        program.chmod(0o755)

    def make_file(text=small):
        study = read(text)
        cells = list_cells(study)
        jobs = list_jobs(study, cells)
        Path("study.sh").write_text(render_slurm(jobs, "plan.toml", len(cells)))
        return jobs

    return make_file


def submit(*options, code=0):
    call = ["bash", "study.sh", *options]
    ended = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stdout.splitlines()


def test_each_verb_is_an_array_that_waits_for_the_one_before(write, calls):
    jobs = write()
    lines = submit("--partition=night", "--time=1:00:00")
    found = calls()
    assert found[:-1] == [[*job.argv] for job in jobs]
    assert found[-1] == ["report", "plan.toml", "-o", "report.html", "--overwrite"]
    assert lines[2] == "train: 6 tasks, job 3"
    submitted = Path("submitted").read_text().splitlines()
    assert len(submitted) == 7
    assert "--dependency" not in submitted[0]
    assert "--array=1-6" in submitted[2]
    assert "--dependency=afterany:1:2 --partition=night --time=1:00:00 study.sh" in submitted[2]


def test_task_that_is_asked_to_stop_is_queued_again(write, calls, monkeypatch):
    jobs = write()
    monkeypatch.setenv("SLOW", "train")
    submit()
    trained = [call for call in calls() if call[0] == "train"]
    first = next([*job.argv] for job in jobs if job.stage == "train")
    assert (trained.count(first), len(trained)) == (2, 7)
    assert Path("requeued").read_text() == "3_1\n"


def test_failed_task_is_not_queued_again_and_does_not_hold_up_the_rest(write, calls, monkeypatch):
    jobs = write()
    monkeypatch.setenv("FAIL", "-o masks/phantoms/base/seed-0")
    submit()
    assert len(calls()) == len(jobs) + 1
    assert not Path("requeued").exists()


def test_refused_submission_ends_the_script(write, calls, monkeypatch):
    write()
    monkeypatch.setenv("NO_QUEUE", "yes")
    assert submit(code=1) == []
    assert len(Path("submitted").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["a b", "$(touch x)", "it's", 'a"b', "a;b`c`", "a\\b", "a\nb", "*"]
)
def test_odd_names_are_quoted(name, write, small, calls):
    Path(name).mkdir()
    odd = json.dumps(name)
    write(small.replace('"phantom/images"', odd))
    submit()
    assert calls()[0][1] == name
    assert not Path("x").exists()


def test_more_than_a_thousand_tasks_are_several_arrays(write, small):
    seeds = ", ".join(map(str, range(1001)))
    jobs = write(small.replace("[0, 1]", f"[{seeds}]"))
    os.environ["NO_QUEUE"] = ""
    n_tasks = sum(job.stage == "train" for job in jobs)
    assert n_tasks == 3003
    script = Path("study.sh").read_text()
    # only the submission, with a queue that runs nothing
    fake = Path(shutil.which("sbatch"))
    fake.write_text('#!/usr/bin/env bash\necho "$*" >> submitted\nwc -l < submitted\n')
    assert f'submit train {n_tasks} "$tile$split" "$@"; train=$ids' in script
    lines = submit()
    assert "train: 3003 tasks, job 3 4 5 6" in lines
    submitted = Path("submitted").read_text().splitlines()
    assert submitted[5].endswith("study.sh --task train 3000")
    assert "--array=1-3 " in submitted[5]
    assert "--dependency=afterany:3:4:5:6 " in submitted[6]


def has_queue():
    """Whether a SLURM runs here."""
    try:
        return (
            subprocess.run(["sinfo"], capture_output=True, timeout=20, check=False).returncode == 0
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


@pytest.mark.slow
@pytest.mark.skipif(not has_queue(), reason="needs a SLURM that runs")
def test_real_slurm_runs_every_job(write, calls):
    jobs = write()
    for name in ("sbatch", "scontrol"):
        Path(shutil.which(name)).unlink()
    submit()
    ends = time.monotonic() + 600
    while not Path("report.html").exists():
        assert time.monotonic() < ends
        time.sleep(1)
    assert sorted(calls()[:-1]) == sorted([*job.argv] for job in jobs)


def test_name_of_the_plan_is_no_flag(read, small):
    plan = read(small)
    cells = list_cells(plan)
    text = render_slurm(list_jobs(plan, cells), "-p.toml", len(cells))
    assert "report.1) words=(report ./-p.toml -o report.html" in text

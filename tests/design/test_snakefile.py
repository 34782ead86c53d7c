"""Snakemake runs a study as make does."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mstool.design.cells import list_cells
from mstool.design.jobs import list_jobs
from mstool.design.snakefile import render_snakefile
from mstool.errors import UsageError


@pytest.fixture
def write(read, small, stand_in):
    """Write the Snakefile of a plan; give its jobs."""

    def make_file(text=small, plan="plan.toml"):
        study = read(text)
        cells = list_cells(study)
        jobs = list_jobs(study, cells)
        Path("Snakefile").write_text(render_snakefile(jobs, plan, len(cells)))
        return jobs

    return make_file


def snakemake(*arguments):
    call = ["snakemake", "--cores", "2", "--rerun-incomplete", "--rerun-triggers", "mtime"]
    ended = subprocess.run(
        [*call, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


needs_snakemake = pytest.mark.skipif(not shutil.which("snakemake"), reason="needs snakemake")


@needs_snakemake
def test_every_job_is_run_once_and_what_is_missing_again(write, calls):
    jobs = write()
    snakemake()
    found = calls()
    assert sorted(found[:-1]) == sorted([*job.argv] for job in jobs)
    assert found[-1][0] == "report"
    assert "Nothing to be done" in snakemake()
    masks = Path("masks/phantoms/base/seed-1")
    (masks / "piece").touch()
    (masks / "stitch.json").unlink()
    snakemake("--config", "flags=-q")
    assert [(call[0], call[-1]) for call in calls()] == [
        ("stitch", "-q"),
        ("score", "-q"),
        ("score", "-q"),
        ("report", "-q"),
    ]
    os.utime("plan.toml")
    Path("tiles/phantoms/base/tiles.json").read_text()
    snakemake()
    assert (masks / "piece").exists()
    assert Path("tiles/phantoms/base/tiles.json").exists()


@needs_snakemake
def test_odd_names_reach_the_verb(write, small, calls):
    name = "a {b} $c 'd' \"e\" #%;\\"
    Path(name).mkdir()
    write(small.replace('"phantom/images"', json.dumps(name)))
    snakemake("tiles/phantoms/base/tiles.json")
    assert calls()[0][1] == name


def test_braces_are_no_wildcards(write, small):
    write(small.replace('"phantom/images"', '"a{b}"'))
    text = Path("Snakefile").read_text()
    assert "'a{{b}}'," in text
    assert "{MSTOOL} tile 'a{{b}}' --labels" in text.replace("\\'", "'")


def test_line_break_in_a_name_is_refused(write, small):
    with pytest.raises(UsageError, match="a file name with a line break"):
        write(small.replace('"phantom/images"', '"a\\nb"'))

"""Snakemake runs a study as make does."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mstool.design.snakefile import render_snakefile
from mstool.errors import UsageError


@pytest.fixture
def write(write_workflow):
    """Write the Snakefile of a plan; give its jobs."""
    return write_workflow(render_snakefile, "Snakefile")


def snakemake(*arguments):
    call = ["snakemake", "--rerun-triggers", "mtime", "--rerun-incomplete", "--cores", "2"]
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
    for path in ("scores/phantoms/base.json", "report.html"):
        Path(path).unlink()
    snakemake("--config", "flags=-q")
    again = [("stitch", "-q"), ("score", "-q"), ("score", "-q"), ("report", "-q")]
    assert [(call[0], call[-1]) for call in calls()] == again
    assert (masks / "piece").exists()


@needs_snakemake
def test_records_stay_where_they_are_while_they_are_made_anew(write, calls):
    write()
    target = "tiles/phantoms/base/tiles.json"
    snakemake(target)
    time.sleep(1.1)  # snakemake compares seconds, and contents
    Path("plan.toml").write_text("changed")
    snakemake(target, "--config", f"mstool=test -e {target} && mstool")
    assert len(calls()) == 2


@needs_snakemake
def test_odd_names_reach_the_verb(write, small, calls):
    name = "a $c 'd' \"e\" #%;\\"
    Path(name).mkdir()
    write(small.replace('"phantom/images"', json.dumps(name)))
    snakemake("tiles/phantoms/base/tiles.json")
    assert calls()[0][1] == name


def test_braces_of_options_are_no_wildcards(write, small):
    write(small.replace("epochs = 12", 'augment = "a{b}"'))
    assert "--augment 'a{{b}}'" in Path("Snakefile").read_text().replace("\\'", "'")


@pytest.mark.parametrize("name", ["a\\nb", "a{b}"])
def test_names_that_snakemake_cannot_hold_are_refused(name, write, small):
    with pytest.raises(UsageError, match="snakemake cannot name this file"):
        write(small.replace('"phantom/images"', f'"{name}"'))


def test_name_of_the_plan_is_no_flag(write):
    write(plan="-p.toml")
    assert "report ./-p.toml -o report.html" in Path("Snakefile").read_text()

"""Make runs a study: each artefact once, what is missing and no more, whatever files are called."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from mstool.design.makefile import render_makefile
from mstool.errors import UsageError


@pytest.fixture
def write(write_workflow):
    """Write the Makefile of a plan; give its jobs."""
    return write_workflow(render_makefile, "Makefile")


def make(*arguments, code=0):
    ended = subprocess.run(
        ["make", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == code, ended.stderr
    return ended


def make_old(path):
    os.utime(path, (1, 1))


def touch(path):
    later = time.time() + 5
    os.utime(path, (later, later))


def test_every_job_is_run_once(write, calls):
    jobs = write()
    make("-j2")
    found = calls()
    assert sorted(found[:-1]) == sorted([*job.argv] for job in jobs)
    assert found[-1] == ["report", "plan.toml", "-o", "report.html", "--overwrite"]
    assert make().stdout == "make: Nothing to be done for 'all'.\n"


def test_what_is_missing_is_made_and_what_is_made_from_it(write, calls):
    write()
    make("-j2")
    calls()
    Path("masks/phantoms/base/seed-1/stitch.json").unlink()
    make("-j2")
    assert [call[0] for call in calls()] == ["stitch", "score", "score", "report"]


def test_changed_plan_has_everything_checked_again(write, calls):
    jobs = write()
    make("-j2")
    calls()
    touch("plan.toml")
    make("-j2")
    assert len(calls()) == len(jobs) + 1


def test_failure_leaves_no_target_and_other_cells_are_done(write, calls, monkeypatch):
    write()
    monkeypatch.setenv("FAIL", "-o masks/phantoms/context-blended/seed-0")
    ended = make("-k", code=2)
    assert "context-blended" in ended.stderr
    assert Path("scores/phantoms/base.json").exists()
    assert Path("scores/phantoms/context-blended/seed-1.json").exists()
    assert not Path("scores/phantoms/context-blended.json").exists()
    assert not Path("report.html").exists()
    calls()
    make("partial")
    assert [call[0] for call in calls()] == ["report"]


def test_clean_removes_what_was_made_and_no_more(write, stand_in, calls):
    write()
    before = {*stand_in.rglob("*")}
    make("-j2")
    Path("tiles/mine").mkdir()
    Path("tiles/mine/a.tif").touch()
    calls()
    make("clean")
    kept = {Path("tiles"), Path("tiles/mine"), Path("tiles/mine/a.tif")}
    assert {*stand_in.rglob("*")} == before | {stand_in / path for path in kept}


def test_flags_and_program_can_be_overridden(write, calls):
    write()
    make("FLAGS=-q --overwrite", "MSTOOL=mstool", "tiles/phantoms/base/tiles.json")
    assert calls()[0][-4:] == ["-o", "tiles/phantoms/base", "-q", "--overwrite"]


ODD = ["a b", "a#b", "$HOME", "50 %", "a:b", "it's", 'a"b', "a=b", "= b", "[x]*?", "`ls`", "|&<>!"]
ODD += ["x(1)y", "  a  ", "-a", "é^{b}", "a\tb", "%.o", "$(shell ls)", "$$"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_files_are_quoted_for_make_and_for_the_shell(name, write, small, calls):
    (folder := Path("odd") / f"{name}x").mkdir(parents=True)
    write(small.replace('"phantom/images"', f"'''{folder}'''").replace("size = 256", "size = 64"))
    target = "tiles/phantoms/base/tiles.json"
    make(target)
    assert calls() == [
        ["tile", f"{folder}", "--labels", "phantom/labels", "--size", "64", "-o", target[:-11]]
    ]
    assert make(target).stdout == f"make: '{target}' is up to date.\n"
    touch(folder)
    make(target)
    assert len(calls()) == 1


@pytest.mark.parametrize("name", ["=", "-a", "a=b", "x y", "%", "|", "$"])
def test_odd_names_in_the_folder_of_the_plan_are_quoted_too(name, write, small, calls):
    Path(name).mkdir()
    write(small.replace('"phantom/images"', f"'{name}'"))
    make("tiles/phantoms/base/tiles.json")
    assert calls()[0][1] == ("./-a" if name == "-a" else name)


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a;b", "images (1)", "~"])
def test_names_that_make_cannot_hold_are_refused(name, write, small):
    odd = '"' + name.replace("\\", "\\\\").replace("\n", "\\n") + '"'
    with pytest.raises(UsageError, match="make cannot name this file; rename it") as refused:
        write(small.replace('"phantom/images"', odd))
    assert "\n" not in str(refused.value)


def test_line_break_in_an_option_is_refused(write, small):
    with pytest.raises(UsageError, match="make cannot hold a line break"):
        write(small.replace("epochs = 12", 'augment = "a\\nb"'))


def test_odd_options_reach_the_verb_as_they_are(write, small, calls):
    odd = "cases=*,a b=#0000ff,$x='y'"
    write(small.replace("folds = 4", f'folds = 4\nclasses = "{odd}"'))
    make("tiles/phantoms/base/tiles.json")
    assert odd in calls()[0]


def test_level_with_an_equals_sign_sets_no_variable(write, small, calls):
    write(small.replace('"tu-vgg16"', '"a=b"'))
    make("-j2", "scores")
    assert any("--encoder a=b" in " ".join(call) for call in calls())


def test_name_of_the_plan_must_be_plain(write, small):
    with pytest.raises(UsageError, match="in the name of a plan"):
        write(small, "my plan.toml")


def test_name_with_an_equals_sign_sets_no_variable(write, small, calls):
    Path("a=b").mkdir()
    write(small + "[after.explain]\nclass = '1'\nimages = 'a=b'\ncells = ['base']\n")
    make("-j2", "explain/phantoms/base/explain.json")
    assert calls()[-1][:2] == ["explain", "a=b"]

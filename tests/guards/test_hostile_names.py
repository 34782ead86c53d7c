"""Names that a terminal would obey, a spreadsheet run, or a pattern never leave."""

import csv
import io
import json
import os
import shutil
import time

import numpy as np
import pytest
import tifffile

from mstool.io.records import to_json
from mstool.io.split_csv import SplitRow, read_split, split_to_csv
from mstool.io.tables import cell_text, to_csv
from mstool.reporting import Reporter, printable

NASTY = "a\x1b[31m\x07\u202ecod\u2066\x9b\n.tif"
OBEYED = set("\x1b\x07\u202e\u2066\x9b\n")


def write(path):
    tifffile.imwrite(path, np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))


def assert_harmless(text):
    for line in text.splitlines():
        assert not OBEYED & set(line), ascii(line)


@pytest.mark.parametrize(
    "call",
    [
        ["tile", NASTY],
        ["tile", "there", "--size", NASTY],
        ["tile", "there", "--config", NASTY],
        ["tile", "there", "--classes", f"{NASTY}=1", "--labels", "there"],
        ["split", NASTY],
        ["split", "there", "--folds", "2", "--group-by", NASTY],
        ["train", NASTY, "--split", NASTY],
        ["predict", NASTY],
        ["stitch", NASTY],
        ["score", NASTY, NASTY],
        ["report", NASTY],
        ["explain", NASTY],
        ["domain-shift", NASTY, NASTY],
        ["study", NASTY],
        [NASTY],
    ],
    ids=lambda call: call[0] if call[0] != NASTY else "verb",
)
def test_error_shows_a_nasty_name_escaped(run_mstool, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for name in ("b.tif", "c.tif"):
        write(tmp_path / "there" / name)
    ended = run_mstool(*call)
    assert ended.code != 0
    assert ended.stderr.count("\n") == 1
    assert_harmless(ended.stderr)


def test_notes_and_details_show_nasty_names_escaped(run_mstool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw" / NASTY)
    (tmp_path / "raw" / f"{NASTY}.note").touch()
    ended = run_mstool("tile", "raw", "--size", 32, "--overlap", 0, "-v")
    assert ended.code == 0
    assert_harmless(ended.stderr)
    assert "a\\x1b[31m" in ended.stderr
    ended = run_mstool("split", "tiles", "--loo", "--dry-run")
    assert_harmless(ended.stdout + ended.stderr)


def test_traceback_is_harmless_too(run_mstool, tmp_path):
    ended = run_mstool("tile", tmp_path / NASTY, "-vv")
    assert "Traceback" in ended.stderr
    assert_harmless(ended.stderr)


def test_note_is_one_line(capsys):
    Reporter("tile", 0).note("a\nmstool tile: all is well")
    assert capsys.readouterr().err == "mstool tile: a\\nmstool tile: all is well\n"


@pytest.mark.parametrize("text", ["plain", "μm, Ångström, 钢, \U0001f52c", "e\u0301", ""])
def test_what_can_be_shown_is_shown(text):
    assert printable(text) == text


def test_record_keeps_the_name_and_shows_it_escaped():
    text = to_json({"name": NASTY, NASTY: "μm"})
    assert json.loads(text) == {"name": NASTY, NASTY: "μm"}
    assert_harmless(text)
    assert "μm" in text


FORMULAS = [
    "=1+1",
    "+cmd",
    "-cmd|x",
    "@sum(a)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "''+x",
    "-",
    "=",
    "+1+1",
    "-1-1",
]
PLAIN = ["a.tif", "'a'", "-1", "+2.5e3", "-.5", "1e5", "", "a=b", " =1"]


@pytest.mark.parametrize("text", [*FORMULAS, *PLAIN])
def test_text_that_a_spreadsheet_runs_is_quoted(text):
    ((cell,),) = list(csv.reader(io.StringIO(to_csv([text], [])))) or [("",)]
    assert (cell == f"'{text}") == (text in FORMULAS)
    assert cell_text(cell) == text


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_no_name_ends_its_row(end):
    """And lets a formula begin the next."""
    rows = [["image", "x"], [f"a{end}=1+1", "b"]]
    text = to_csv(*rows[:1], rows[1:])
    assert [*csv.reader(io.StringIO(text, newline=""))] == rows
    assert text == f'image,x\n"a{end}=1+1",b\n'


def test_numbers_stay_numbers():
    assert to_csv(["a", "b", "c"], [[-1, -0.5, np.float64(-2)]]) == "a,b,c\n-1,-0.5,-2.0\n"


def test_split_gives_names_back(tmp_path):
    rows = [SplitRow(name, f"={name}", 0) for name in ("=a.tif", "'=a.tif", "-1.tif", "b.tif")]
    (tmp_path / "split.csv").write_text(split_to_csv(rows))
    assert read_split(tmp_path / "split.csv") == rows
    assert "\n=" not in split_to_csv(rows)


@pytest.mark.parametrize("verb", ["split", "tile", "score"])
def test_pattern_that_never_ends_is_stopped(run_mstool, study, verb):
    """And says which."""
    (study / "raw/img0.tif").rename(study / "raw" / f"{'a' * 40}!.tif")
    calls = {
        "split": ("split", "raw", "--folds", 2),
        "tile": ("tile", "raw", "--size", 32, "--overlap", 0),
        "score": ("score", "masks", "labels"),
    }
    if verb == "score":
        (study / "labels/img0.png").rename(study / "labels" / f"{'a' * 40}!.png")
        shutil.copytree(study / "labels", study / "masks")
    began = time.monotonic()
    ended = run_mstool(*calls[verb], "--group-by", "(a+)+$")
    assert ended.code == 2
    assert "takes more than 2 s" in ended.stderr
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("call", [["split", "a.tif", "b.tif", "--loo"], ["report", "a.tif"]])
def test_file_that_may_not_be_read_is_no_wrong_usage(run_mstool, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name)
    whole = io.open

    def refuse(path, *rest, **options):
        if str(path).endswith(".tif"):
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *rest, **options)

    monkeypatch.setattr("io.open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode, **_: mode != os.R_OK)
    ended = run_mstool(*call)
    assert ended.code == 74, ended.stderr
    assert ended.stderr.startswith(f"mstool {call[0]}: a.tif: Permission denied; ")

"""Standard streams that are closed or full, lists from pipes, and empty values."""

import io
import os
import subprocess
import sys
import threading

import pytest

from mstool.commands.options import read_operands
from mstool.commands.output import emit

MSTOOL = f'"{sys.executable}" -m mstool'


def in_shell(command):
    """Exit code and standard error of a call in a shell."""
    ended = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(("target", "words"), [(">&-", "is closed"), (">/dev/full", "No space")])
def test_data_that_go_nowhere_exit_74_with_one_line(target, words):
    code, stderr = in_shell(f"{MSTOOL} phantom --dry-run {target}")
    assert code == 74
    assert stderr.startswith("mstool phantom: standard output")
    assert (stderr.count("\n"), words in stderr, ";" in stderr) == (1, True, True)


def test_closed_standard_input_is_told():
    code, stderr = in_shell(f"{MSTOOL} split --loo --files-from - <&-")
    assert code == 2
    assert stderr == "mstool split: --files-from -: standard input is closed; name a file\n"


def test_list_may_come_through_a_pipe(tmp_path):
    path = tmp_path / "list"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a.tif\nb.tif\n",), daemon=True)
    writer.start()
    assert [*map(str, read_operands(None, str(path), null=False))] == ["a.tif", "b.tif"]
    writer.join()


@pytest.mark.parametrize(
    ("content", "null", "names"),
    [
        (b"a.tif\r\nb c.tif\r\n", False, ["a.tif", "b c.tif"]),
        (b"a.tif\r\nb.tif", False, ["a.tif", "b.tif"]),
        (b"a\r\0b\nc\0", True, ["a\r", "b\nc"]),
    ],
)
def test_line_ends_of_lists(tmp_path, content, null, names):
    (tmp_path / "list").write_bytes(content)
    assert [*map(str, read_operands(None, str(tmp_path / "list"), null))] == names


@pytest.mark.parametrize(("kind", "words"), [("nul", "add -0"), ("folder", "is a folder;")])
def test_what_is_no_list_is_refused(run_mstool, tmp_path, kind, words):
    path = tmp_path / "list"
    path.mkdir() if kind == "folder" else path.write_bytes(b"a.tif\0b.tif\0")
    ended = run_mstool("split", "--loo", "--files-from", path)
    assert ended.code == 65
    assert f"{path}: " in ended.stderr
    assert words in ended.stderr


@pytest.mark.parametrize("text", ["", " "])
@pytest.mark.parametrize(
    ("verb", "flag"),
    [
        ("tile", "--classes"),
        ("score", "--classes"),
        ("stitch", "--classes"),
        ("tile", "--group-by"),
        ("split", "--group-by"),
        ("score", "--group-by"),
        ("domain-shift", "--group-by"),
    ],
)
def test_empty_value_is_refused_and_not_ignored(run_mstool, verb, flag, text):
    ended = run_mstool(verb, "a", "b", flag, text)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"{flag}: is empty; give a value, or leave it out" in ended.stderr


def test_empty_value_in_a_configuration_file_is_refused(run_mstool, tmp_path):
    (tmp_path / "c.toml").write_text('group-by = ""\n')
    ended = run_mstool("split", "a.tif", "--loo", "--config", tmp_path / "c.toml")
    assert ended.code == 2
    assert "--group-by: is empty" in ended.stderr


def test_data_are_utf_8_whatever_the_locale_has(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    emit("Güte,µm\n")
    assert written.getvalue().decode() == "Güte,µm\n"

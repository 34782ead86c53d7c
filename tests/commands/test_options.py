"""Values of options that several verbs have."""

import json

import pytest

from mstool.commands.options import parse_duration
from mstool.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5m", 90),
        (".5h", 1800),
        ("2h", 7200),
        ("1:30", 90),
        ("1:30:00", 5400),
        (90, 90),  # from a TOML file
    ],
)
def test_time_is_in_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "0", "0s", "-1", "nan", "inf", "1h30m", "90sm", "1.2.3", "1:-30", ":", "1:"),
        *("s", "9" * 400, "9:" * 99 + "9"),
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="--max-time .*: give a time such as 90s"):
        parse_duration(text)


@pytest.mark.parametrize("source", ["flag", "file"])
def test_word_that_is_no_choice_is_refused(run_mstool, tmp_path, source):
    (tmp_path / "c.toml").write_text('fail-on = ["degenerate", "bad"]\n')
    flags = ("--fail-on", "degenerate", "--fail-on", "bad")
    given = flags if source == "flag" else ("--config", tmp_path / "c.toml")
    ended = run_mstool("explain", "raw", *given)
    assert ended.code == 2
    words = "--fail-on bad: use not_supported, inconclusive, degenerate, not_checked"
    place = f"{tmp_path / 'c.toml'}: " if source == "file" else ""
    assert ended.stderr == f"mstool explain: {place}{words}\n"


@pytest.mark.parametrize("verb", ["train", "predict", "explain", "domain-shift"])
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", "1025", "99999", "", "AUTO"])
def test_what_is_no_number_of_threads_is_refused(run_mstool, verb, text):
    ended = run_mstool(verb, f"--threads={text}")
    assert ended.code == 2
    words = f"--threads {text}: use auto, or a number from 1 to 1024"
    assert ended.stderr == f"mstool {verb}: {words}\n"


def test_threads_come_from_a_file_too(run_mstool, study):
    (study / "c.toml").write_text("threads = 1\n")
    command = ("train", "--split", "split.csv", "--dry-run", "--config", "c.toml")
    assert json.loads(run_mstool(*command).stdout)["settings"]["threads"] == "1"

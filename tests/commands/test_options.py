"""Values of options that several verbs have."""

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
    assert ended.stderr == f"mstool explain: {words}\n"

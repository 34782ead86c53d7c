"""Commands in the pages of studies/ and the scripts of benchmarks/ are such that mstool takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from mstool.cli import make_app

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "studies").glob("*.md"))
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.sh"))
if not PAGES:
    pytest.skip("not a checkout", allow_module_level=True)

COMMANDS = typer.main.get_command(make_app()).commands
PUNCTUATION = "();<>|&\n"
ENDS = {"{", "}", "do", "then", "else", "if", "!"}  # of a command, beside punctuation
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def script_in(path):
    """A shell script, or all blocks of a page."""
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".sh" else "\n".join(FENCE.findall(text))


def tokens_of(script):
    """Words and punctuation of a shell script without comments and heredocs."""
    script = re.sub(r"<< ?'(\w+)'\n.*?^\1$", "", script, flags=re.M | re.S)
    script = re.sub(r"(^|\s)#.*", r"\1", script, flags=re.M)
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=PUNCTUATION)
    lexer.commenters = ""
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    return list(lexer)


def commands_in(tokens):
    """Words of each simple command."""
    command = []
    for token in [*tokens, "\n"]:
        if token not in ENDS and set(token) - set(PUNCTUATION):
            command.append(token)
        elif command:
            yield command
            command = []


def calls_in(script):
    """Words after mstool in each call, also through functions that end with what they are given."""
    tokens, functions = tokens_of(script), {}
    for place, token in enumerate(tokens):
        if token == "()":
            body = tokens[place + 2 : tokens.index("}", place)]
            functions[tokens[place - 1]] = list(commands_in(body))
            tokens[place - 1] = "\n"  # a definition is no call
    for words in commands_in(tokens):
        is_wrapped = words[1:2] == ["mstool"]  # by a function such as core_seconds
        name, *given = (word for word in words[is_wrapped:] if "[@]" not in word)
        if name == "mstool":
            yield [word for word in given if word not in ("$@", "${@:2}")]
        for inner in functions.get(name, ()):
            if inner[0] == "mstool" and inner[-1] in ("$@", "${@:2}"):
                yield inner[1:-1] + (given if inner[-1] == "$@" else given[1:])


CALLS = [(path, call) for path in (*PAGES, *SCRIPTS) for call in calls_in(script_in(path))]


def test_calls_are_found_through_functions():
    script = """
    cut() { mstool tile "$1/raw" -q "${@:2}"; }  # not: mstool tile --never
    for name in a b; do cut "$name" --size 64 \\
        --overlap 8 > "$name.txt"; done
    timed mstool split "$name" "${options[@]}" 2> log
    """
    assert list(calls_in(script)) == [
        ["tile", "$1/raw", "-q"],
        ["tile", "$1/raw", "-q", "--size", "64", "--overlap", "8"],
        ["split", "$name", "2"],
    ]


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS], ids=lambda path: path.name)
def test_no_call_is_overlooked(path):
    printed = re.findall(rf"\bmstool (?:{'|'.join(COMMANDS)})\b", script_in(path))
    assert len([call for place, call in CALLS if place == path]) >= len(printed)


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=" ".join)
def test_call_is_taken(call):
    verb, *words = call
    flags = ["", *words]  # a number is a path and a word too, but no choice
    words = [
        {"--select": "test", "--crop": "64"}.get(flag, "1") if "$" in word else word
        for flag, word in zip(flags, words, strict=False)
    ]
    COMMANDS[verb].make_context(verb, words)  # parses and converts; does not run


@each_page
def test_flags_in_the_text_exist(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for words in map(str.split, re.findall(r"`([^`]+)`", text)):
        verbs = [verb for verb in COMMANDS if verb in words[:2]] or COMMANDS
        known = {flag for verb in verbs for each in COMMANDS[verb].params for flag in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@each_page
def test_scripts_that_are_named_exist(page):
    for name in re.findall(r"benchmarks/[\w.-]+\w", page.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), name

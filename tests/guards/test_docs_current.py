"""Man pages and completions say what the command line says, and shells can use them."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer

from mstool.scores.contract import DEFINITIONS
from mstool.scores.other_tools import CONVENTIONS

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / ".ci" / "make_docs.py"

pytest.importorskip("shtab")
if not GENERATOR.exists():
    pytest.skip("not a checkout", allow_module_level=True)


def load_generator():
    spec = importlib.util.spec_from_file_location("make_docs", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_docs"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


make_docs = load_generator()


@pytest.fixture(scope="module")
def documents():
    from mstool.cli import make_app

    return make_docs.make_documents(make_app())


def read_verbs():
    from mstool.cli import make_app

    return make_docs.read_app(make_app())[1]


VERBS = read_verbs()
each_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)


def run(*command, **environment):
    """Run a program in the checkout; give its exit code, standard output and standard error."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )
    return result.returncode, result.stdout, result.stderr


def run_shell(shell, script, *arguments):
    """Run a script in a shell; give its output by line."""
    code, output, errors = run(shell, "-c", script, *arguments)
    assert (code, errors) == (0, "")
    return output.splitlines()


# What is on disk


def test_documents_are_current(documents):
    assert make_docs.find_stale(documents, ROOT) == {}, "run make docs"


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_check_passes_under_any_hash_seed(hash_seed):
    assert run(sys.executable, GENERATOR, "--check", PYTHONHASHSEED=hash_seed) == (0, "", "")


def test_stale_missing_and_left_over_files_are_found_and_mended(tmp_path):
    documents = {"man/mstool.1": "page\n", "completions/mstool.bash": "script\n"}
    make_docs.write_documents(documents, tmp_path)
    assert make_docs.find_stale(documents, tmp_path) == {}
    (tmp_path / "man" / "mstool.1").write_text("old page\n")
    (tmp_path / "man" / "mstool-gone.1").write_text("page\n")
    (tmp_path / "completions" / "mstool.bash").unlink()
    assert make_docs.find_stale(documents, tmp_path) == {
        "completions/mstool.bash": "missing",
        "man/mstool-gone.1": "left over",
        "man/mstool.1": "stale",
    }
    make_docs.write_documents(documents, tmp_path)
    assert make_docs.find_stale(documents, tmp_path) == {}


# What they say


@each_verb
def test_man_page_has_every_section_and_flag(verb, documents):
    page = documents[f"man/mstool-{verb.name}.1"]
    sections = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES", "EXAMPLE"]
    for section in [*sections, "SEE ALSO"]:
        assert f"\n.SH {section}\n" in page
    terms = [line for line in page.splitlines() if line.startswith("\\fB\\-")]
    for parameter in verb.parameters:
        for flag in parameter.flags:
            assert any(f"\\fB{make_docs.roff(flag)}\\fR" in term for term in terms), flag


@each_verb
def test_man_page_has_the_groups_of_the_help(verb, documents, run_mstool):
    options = documents[f"man/mstool-{verb.name}.1"].split(".SH OPTIONS\n")[1].split(".SH ")[0]
    first, *sections = options.split(".SS ")
    assert first == ""
    plain = [section.replace("\\-", "-") for section in sections]
    flags = [re.findall(r"^\\fB.*?(--[\w-]+)\\fR", section, re.M) for section in plain]
    headings = [section.split("\n")[0] for section in sections]
    text = run_mstool(verb.name, "--help").stdout
    found = re.findall(r"^([A-Z]\w*):\n((?:  .*\n?)+)", text, re.M)
    of_help = [(name, re.findall(r"^  (?:-\w, )?(--[\w-]+)", body, re.M)) for name, body in found]
    assert list(zip(headings, flags, strict=True)) == [
        (name, names) for name, names in of_help if name != "Arguments"
    ]


@pytest.mark.parametrize("terms", [DEFINITIONS, CONVENTIONS], ids=["definitions", "conventions"])
def test_score_page_says_what_its_record_says(terms, documents):
    words = " ".join(documents["man/mstool-score.1"].split())
    for name, text in terms.items():
        assert f"\\fB{make_docs.roff(name)}\\fR {make_docs.roff(text)}" in words


@each_verb
def test_every_flag_is_in_each_completion(verb, documents):
    flags = {flag for parameter in verb.parameters for flag in parameter.flags}
    assert flags == bash_flags(documents["completions/mstool.bash"], verb.name)
    assert flags == zsh_flags(documents["completions/_mstool"], verb.name)
    assert flags == fish_flags(documents["completions/mstool.fish"], verb.name)


def bash_flags(script, name):
    words = re.search(rf"_mstool_{name.replace('-', '_')}_option_strings=\((.*)\)", script)[1]
    return set(words.split())


def zsh_flags(script, name):
    start = script.index(f"_mstool_{name.replace('-', '_')}_options=(")
    lines = script[start : script.index("\n)", start)].splitlines()[1:]
    return {flag for line in lines for flag in re.findall(r"--?[a-zA-Z0-9-]+", line.split("[")[0])}


def fish_flags(script, name):
    lines = [line for line in script.splitlines() if f"_using {name}'" in line]
    named = [re.findall(r" -([sl]) (\S+)", line.split(" -d ")[0]) for line in lines]
    return {("-" if kind == "s" else "--") + flag for pairs in named for kind, flag in pairs}


def test_overview_names_every_verb(documents):
    page = documents["man/mstool.1"]
    for verb in VERBS:
        assert f"\\fB{make_docs.roff(verb.name)}\\fR\n{make_docs.roff(verb.summary)}" in page
        assert f"\\fBmstool\\-{make_docs.roff(verb.name)}\\fR(1)" in page


def test_documents_name_no_folder_of_this_machine_and_no_date(documents):
    for name, text in documents.items():
        assert str(ROOT) not in text, name
        assert not re.search(r"\b20[2-9][0-9]-[0-9]{2}-[0-9]{2}\b", text), name


@each_verb
def test_example_parses(verb):
    from mstool.cli import make_app

    assert verb.examples, f"{verb.name}: its help has no line 'Example: mstool {verb.name} ...'"
    command = typer.main.get_command(make_app()).commands[verb.name]
    for example in verb.examples:
        words = shlex.split(example, comments=True)
        assert words[:2] == ["mstool", verb.name]
        words = words[: words.index(">")] if ">" in words else words
        command.make_context(verb.name, words[2:])  # parses and converts; does not run


# Whether man and shells can use them


def awkward_app():
    """Small app whose texts hold what roff and shells treat as their own."""
    app = typer.Typer(name="mstool", rich_markup_mode=None, add_completion=False)

    @app.callback()
    def program() -> None:
        """Do it all."""

    @app.command()
    def odd_verb(
        names: Annotated[list[Path] | None, typer.Argument(metavar="NAMES...", help="'Q'")] = None,
        mode: Annotated[Literal["a", "b"], typer.Option("--mode", help=".dot first")] = "a",
        depth: Annotated[int, typer.Option("--depth", metavar="8|16", help="50 % `x` $HOME")] = 8,
        span: Annotated[tuple[float, float], typer.Option("--span", help='[a] \\n "b"')] = (0, 1),
        fast: Annotated[bool, typer.Option("--fast/--slow", help="5 µm: ~x^2")] = True,
    ) -> None:
        """Say 'yes' or -no; \\fBnot bold.

        .SH is no heading here.

        'neither is this

        Example: mstool odd-verb 'a b.tif' --mode b
        """

    @app.command()
    def plain() -> None:
        """Do nothing."""

    return app


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    folder = tmp_path_factory.mktemp("awkward")
    make_docs.write_documents(make_docs.make_documents(awkward_app()), folder)
    return folder


@pytest.fixture(params=["ours", "awkward"])
def root(request):
    return ROOT if request.param == "ours" else request.getfixturevalue("awkward")


def test_awkward_texts_come_through(awkward):
    text = " ".join(render(awkward / "man" / "mstool-odd-verb.1").split())
    for expected in (
        "Say 'yes' or -no; \\fBnot bold.",
        ".SH is no heading here.",
        "'neither is this",
        ".dot first Default: a.",
        "50 % `x` $HOME Default: 8.",
        '[a] \\n "b" Default: 0 1.',
        "5 µm: ~x^2",
        "--fast, --slow",
        "mstool odd-verb 'a b.tif' --mode b",
    ):
        assert expected in text


def render(page):
    code, text, complaints = run("groff", "-man", "-ww", "-Tutf8", "-P-cbou", page)
    assert (code, complaints) == (0, "")
    return text


def test_groff_has_no_complaint(root):
    for page in sorted((root / "man").glob("*.[15]")):
        assert "SEE ALSO" in render(page)


def test_mandoc_has_no_complaint_but_the_date(root):
    pages = sorted((root / "man").glob("*.[15]"))
    _, complaints, _ = run("mandoc", "-T", "lint", "-W", "warning", *pages)
    assert [line for line in complaints.splitlines() if "missing date" not in line] == []


@pytest.mark.parametrize(
    ("shell", "check", "name"),
    [("bash", "-n", "mstool.bash"), ("zsh", "-n", "_mstool"), ("fish", "-n", "mstool.fish")],
)
def test_shells_can_read_the_completions(shell, check, name, root):
    assert run(shell, check, root / "completions" / name) == (0, "", "")


def complete_in_bash(*words):
    """What bash offers for the last of the words."""
    script = """
    source completions/mstool.bash
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _shtab_mstool mstool "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    return run_shell("bash", script, "bash", *words)


def complete_in_fish(*words):
    script = f"source completions/mstool.fish; complete -C {shlex.quote(' '.join(words))}"
    return [line.split("\t")[0] for line in run_shell("fish", script)]


@pytest.mark.parametrize("complete", [complete_in_bash, complete_in_fish])
def test_tab_offers_verbs_flags_choices_and_files(complete):
    assert "stitch" in complete("mstool", "st")
    assert "--overlap" in complete("mstool", "tile", "--ov")
    assert set(complete("mstool", "train", "--device", "")) == {"auto", "cpu", "cuda", "mps"}
    assert set(complete("mstool", "phantom", "--bit-depth", "")) == {"8", "16"}
    assert "pyproject.toml" in complete("mstool", "train", "--config", "pypro")
    assert any(word.startswith("src") for word in complete("mstool", "tile", "sr"))

"""Manners that every verb has: usage errors, help, configuration files, the error boundary."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from mstool import errors
from mstool.cli import VERBS, explain, make_app
from mstool.reporting import Reporter
from mstool.stopping import (
    EXIT_CODES,
    forget_signals,
    leave_signals_to_parent,
    raise_on_signals,
    stop_between_steps,
)

COMMANDS = typer.main.get_command(make_app()).commands
each_verb = pytest.mark.parametrize("verb", COMMANDS)


def assert_one_line(stderr, *words):
    assert stderr.count("\n") == 1
    assert stderr.endswith("\n")
    assert len(stderr) < 300, "help folded into a line?"
    for word in words:
        assert word in stderr


# Usage


def test_bare_call_prints_the_help_but_not_as_data(run_mstool):
    ended = run_mstool()
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.rstrip() == run_mstool("--help").stdout.rstrip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segmentate"], ["segmentate"]),
        (["--frobnicate"], ["--frobnicate"]),
        (["ti"], ["ti"]),
        *[([verb, "--frobnicate"], [f"mstool {verb}: ", "--frobnicate"]) for verb in COMMANDS],
        *[([verb, "--dry-ru"], ["--dry-ru"]) for verb in COMMANDS],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_with_one_line(run_mstool, arguments, words):
    result = run_mstool(*arguments)
    assert (result.code, result.stdout) == (2, "")
    assert_one_line(result.stderr, "mstool", *words)


@pytest.mark.parametrize(
    ("early", "verb"),
    [
        (["-v"], "tile"),
        (["-q"], "train"),
        (["-vv"], "domain-shift"),
        (["-nv"], "split"),
        (["--dry-run", "-q"], "explain"),
        (["--size=64"], "phantom"),
        (["--config", "a.toml"], "stitch"),
    ],
)
def test_option_before_the_verb_is_told_its_place(run_mstool, early, verb):
    result = run_mstool(*early, verb, "raw")
    assert (result.code, result.stdout) == (2, "")
    words = " ".join(early)
    expected = f"mstool: {words} belongs after the verb: mstool {verb} {words} ...\n"
    assert result.stderr.endswith(expected)  # -vv shows the traceback before


@pytest.mark.parametrize("early", ["-x", "--overlap", "-vx", "-", "--"])
def test_what_no_verb_takes_is_not_said_to_belong_after_one(run_mstool, early):
    result = run_mstool(early, "split", "no-file.png")
    assert result.code in (2, 66)
    assert_one_line(result.stderr)
    assert "belongs" not in result.stderr


@pytest.mark.parametrize(
    ("call", "labels"),
    [
        (("tile", "raw"), "--labels"),
        (("stitch", "probs", "--overlay"), "--labels"),
        (("explain", "raw", "--class", "a"), "--labels"),
        (("domain-shift", "raw", "new"), "--source-labels or --target-labels"),
    ],
)
def test_what_reads_label_maps_needs_label_maps(run_mstool, call, labels):
    result = run_mstool(*call, "--legend", "l.toml", "--label-suffix", "_m")
    assert result.code == 2
    place = f"need {labels}; name the folder, or leave out"
    assert_one_line(result.stderr, f"mstool {call[0]}: --label-suffix, --legend: {place}")
    for flag, value in (("--classes", "a=*"), ("--label-suffix", "_m"), ("--legend", "l.toml")):
        result = run_mstool(*call, flag, value)
        assert result.code == 2
        assert_one_line(result.stderr, f"{flag}: needs {labels};")


@pytest.mark.parametrize("verb", ["tile", "explain", "domain-shift"])
@pytest.mark.parametrize(
    ("flag", "values", "rule"),
    [
        ("scale", ["0", "-1", "0.009", "101", "nan", "inf"], "must lie between 0.01 and 100"),
        ("pixel-size", ["0", "-1", "nan", "inf"], "must be a number above 0"),
        ("pixel-size", ["5e-08", "1e+06"], "is in um/px, and micrographs have 1e-05 to 1000"),
    ],
)
def test_number_out_of_range_is_refused_alike(run_mstool, config, verb, flag, values, rule):
    for value in values:
        by_flag = run_mstool(verb, "raw", "new", f"--{flag}", value)
        path = config(f"{flag} = {value}\n")
        by_file = run_mstool(verb, "raw", "new", "--config", path)
        assert by_file.code == by_flag.code
        assert by_file.stderr == by_flag.stderr.replace(": ", f": {path}: ", 1)
        assert by_flag.code == 2
        assert_one_line(by_flag.stderr, f"mstool {verb}: --{flag} {value}: {rule}")


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(run_mstool, flag):
    assert run_mstool(flag) == (0, f"mstool {version('mstool')}\n", "")


def test_short_help_is_long_help(run_mstool):
    result = run_mstool("-h")
    assert (result.code, result.stderr) == (0, "")
    assert result == run_mstool("--help")
    assert [line.split()[0] for line in result.stdout.split("Commands:\n")[1].splitlines()] == list(
        COMMANDS
    )


@each_verb
def test_short_help_of_verb_is_long_help(run_mstool, verb):
    result = run_mstool(verb, "-h")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: mstool {verb} ")
    assert "Example:" in result.stdout
    assert result == run_mstool(verb, "--help")


@each_verb
def test_verb_has_the_common_flags(verb):
    flags = {flag for parameter in COMMANDS[verb].params for flag in parameter.opts}
    common = {"-q", "--quiet", "-v", "--verbose", "--config", "-n", "--dry-run", "-o", "--out"}
    assert common | {"--overwrite"} <= flags


@each_verb
def test_flag_has_help_and_hyphens(verb):
    for parameter in COMMANDS[verb].params:
        assert parameter.help, parameter.name
        assert not any("_" in flag for flag in parameter.opts if flag.startswith("-"))


def test_verbs_are_commands_in_order():
    assert list(COMMANDS) == [*VERBS]


# Configuration files


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "options.toml"

    def write(text):
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def plan_settings(result):
    assert (result.code, result.stderr) == (0, "")
    return json.loads(result.stdout)["settings"]


def test_config_gives_values(run_mstool, config):
    path = config('size = "64x96"\nimages = 3\nscale-bar = true\nforeground = [0.2, 0.4]\n')
    settings = plan_settings(run_mstool("phantom", "--config", path, "--dry-run"))
    assert (settings["height"], settings["width"], settings["n_images"]) == (64, 96, 3)
    assert settings["scale_bar"] is True
    assert settings["foreground_fraction"] == [0.2, 0.4]


def test_flag_wins_over_config(run_mstool, config):
    path = config("images = 3\nlath_width = 1.5\n")
    arguments = ("--images", 5, "--config", path, "--lath-width", 2, "--dry-run")
    settings = plan_settings(run_mstool("phantom", *arguments))
    assert (settings["n_images"], settings["lath_width_um"]) == (5, 2)


@each_verb
@pytest.mark.parametrize("key", ["frobnicate", "config", "help"])
def test_unknown_key_exits_2_and_names_it(run_mstool, config, verb, key):
    result = run_mstool(verb, "--config", config(f"{key} = 1\n"), "--dry-run")
    assert (result.code, result.stdout) == (2, "")
    assert_one_line(result.stderr, key)


def test_value_of_wrong_type_exits_2_and_names_the_flag(run_mstool, config):
    result = run_mstool("phantom", "--config", config('images = "many"\n'), "--dry-run")
    assert result.code == 2
    assert_one_line(result.stderr, "--images")


@pytest.mark.parametrize(
    ("verb", "text", "words"),
    [
        ("phantom", 'images = "many"', ["--images"]),
        ("phantom", "images = -3", ["--images"]),
        ("phantom", "foreground = 7", ["--foreground"]),
        ("phantom", "seed = 1979-05-27", ["--seed"]),
        ("tile", "labels = 3", ["--labels"]),
        ("tile", "scale = 1000", ["--scale 1000"]),
        ("stitch", "abstain = 3", ["--abstain"]),
    ],
)
def test_wrong_value_of_a_config_names_the_file(run_mstool, config, verb, text, words):
    path = config(text)
    operands = {"tile": ["raw"], "stitch": ["probs"]}.get(verb, [])
    result = run_mstool(verb, *operands, "--config", path, "--dry-run")
    assert result.code == 2
    assert_one_line(result.stderr, f"mstool {verb}: {path}: ", *words)


def test_wrong_flag_beside_a_config_does_not_name_the_file(run_mstool, config):
    path = config("images = 3\nsize = 16")
    result = run_mstool("phantom", "--images", "many", "--config", path, "--dry-run")
    assert result.code == 2
    assert_one_line(result.stderr, "--images")
    assert str(path) not in result.stderr


@pytest.mark.parametrize("text", ["images 3", b"seed = 1 # \xff\xfe"], ids=["not-toml", "not-utf8"])
def test_broken_config_exits_65_and_names_the_file(run_mstool, config, text):
    path = config(text)
    result = run_mstool("phantom", "--config", path, "--dry-run")
    assert (result.code, result.stdout) == (65, "")
    assert_one_line(result.stderr, str(path))


def test_missing_config_exits_66_and_names_the_file(run_mstool, tmp_path):
    path = tmp_path / "none.toml"
    result = run_mstool("phantom", "--config", path, "--dry-run")
    assert (result.code, result.stdout) == (66, "")
    assert_one_line(result.stderr, str(path))


# The error boundary


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (errors.MstoolError("x; y"), 70, "x; y"),
        (errors.CheckFailed("IoU is 0.5; train longer"), 1, "IoU is 0.5; train longer"),
        (errors.UsageError("--size 0: no"), 2, "--size 0: no"),
        (errors.InputError("a.tif: bad"), 65, "a.tif: bad"),
        (errors.LabelError("b.png: bad"), 65, "b.png: bad"),
        (errors.LeakError("c.tif: twice"), 65, "c.tif: twice"),
        (errors.MissingInputError("d.tif: no"), 66, "d.tif: no"),
        (errors.UnavailableError("--device cuda: no"), 69, "--device cuda: no"),
        (errors.OutputExistsError("tiles: there"), 73, "tiles: there"),
        (errors.OutputError("disk full"), 74, "disk full"),
        (errors.Interrupted("stopped"), 75, "stopped"),
        (errors.Interrupted("stopped", 143), 143, "stopped"),
        (OSError(28, "No space left on device", "out/a.tif"), 74, "out/a.tif: No space left"),
        (PermissionError(13, "Permission denied", b"b.tif"), 74, "b.tif: Permission denied"),
        (MemoryError(), 69, "out of memory"),
        (ValueError("two\nlines"), 70, "a bug: ValueError: two lines"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_becomes_a_line_and_a_code(error, status, words):
    line, code = explain(error)
    assert code == status
    assert words in line
    assert "\n" not in line


@pytest.fixture
def broken_phantom(monkeypatch):
    """Make ``mstool phantom`` do something else."""

    def install(action):
        monkeypatch.setattr("mstool.pipeline.phantom.make_phantom", action)

    return install


def raise_bug(*arguments):
    raise RuntimeError("impossible\nthing")


@pytest.mark.parametrize("flags", [[], ["-v"], ["-q"]], ids=["plain", "v", "q"])
def test_bug_exits_70_with_one_line(run_mstool, tmp_path, broken_phantom, flags):
    broken_phantom(raise_bug)
    result = run_mstool("phantom", "-o", tmp_path / "out", *flags)
    assert (result.code, result.stdout) == (70, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("mstool phantom: a bug: RuntimeError: impossible thing; ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("flags", [["-vv"], ["-v", "-v"], ["--verbose", "-v"], ["-vvv"], ["-qvv"]])
def test_very_verbose_shows_the_traceback(run_mstool, tmp_path, broken_phantom, flags):
    broken_phantom(raise_bug)
    result = run_mstool("phantom", "-o", tmp_path / "out", *flags)
    assert result.code == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert "raise_bug" in result.stderr


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SIGINT", 130),
        ("SIGTERM", 143),
        ("SIGHUP", 129),
        ("SIGQUIT", 131),
        ("SIGUSR1", 75),
        ("SIGUSR2", 75),
        ("SIGXCPU", 75),
    ],
)
def test_signal_ends_with_its_code_and_leaves_nothing_half_written(
    run_mstool, tmp_path, broken_phantom, request, name, code
):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, SIGHUP is ignored at first
    request.addfinalizer(lambda: signal.signal(number, before))
    broken_phantom(lambda *arguments: os.kill(os.getpid(), number))
    result = run_mstool("phantom", "-o", tmp_path / "out", "--size", 64)
    assert (result.code, result.stdout) == (code, "")
    assert_one_line(result.stderr, "run the same command")
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"legend.toml", ".phantom.unfinished.json"}


def send_in_vain():
    """Send a signal whose exception is swallowed, as the imports of some libraries do."""
    with contextlib.suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)


class Swallower:
    """Finder of modules in which a signal is lost."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            send_in_vain()


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("mstool.pipeline.split", ["split", "nothing.tif", "--loo"]),
        ("mstool.pipeline.phantom", ["phantom", "-o", "out", "--size", 64]),
    ],
)
def test_signal_that_an_import_swallowed_stops_before_work_begins(
    run_mstool, tmp_path, monkeypatch, module, arguments
):
    monkeypatch.chdir(tmp_path)
    package, _, name = module.rpartition(".")
    monkeypatch.delattr(importlib.import_module(package), name, raising=False)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Swallower(module), *sys.meta_path])
    result = run_mstool(*arguments)
    assert (result.code, result.stdout) == (143, "")
    assert_one_line(result.stderr, "run the same command")
    assert os.listdir(tmp_path) == []


def test_signal_that_is_swallowed_in_the_work_stops_after_the_piece(
    run_mstool, tmp_path, broken_phantom
):
    from mstool.pipeline.phantom import make_phantom

    def draw(*arguments):
        send_in_vain()
        return make_phantom(*arguments)

    broken_phantom(draw)
    result = run_mstool("phantom", "-o", tmp_path / "out", "--size", 64, "--images", 9)
    assert result.code == 143
    assert len(os.listdir(tmp_path / "out" / "images")) == 1
    broken_phantom(make_phantom)
    assert run_mstool("phantom", "-o", tmp_path / "out", "--size", 64, "--images", 9).code == 0


def test_what_fails_after_a_swallowed_signal_is_no_bug(run_mstool, tmp_path, broken_phantom):
    def draw(*arguments):
        send_in_vain()
        raise ImportError("cannot load module more than once per process")

    broken_phantom(draw)
    result = run_mstool("phantom", "-o", tmp_path / "out", "--size", 64)
    assert result.code == 143
    assert_one_line(result.stderr, "run the same command")


KILLER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, it is ignored
import mstool.{early}

class Killer:
    def find_spec(self, name, *rest):
        if name == "{late}":
            try:
                os.kill(os.getpid(), signal.{signal})
            except BaseException:
                {then}

sys.meta_path.insert(0, Killer())
import mstool.__main__
sys.argv = ["mstool", "tile", "--help"]
mstool.__main__.main()
"""


@pytest.mark.parametrize(
    ("name", "early", "late", "then"),
    [
        ("SIGTERM", "__main__", "typer", "raise"),
        ("SIGINT", "__main__", "typer", "raise"),
        ("SIGUSR2", "__main__", "typer", "raise"),
        ("SIGTERM", "__main__", "typer", "raise ImportError(name)"),
        ("SIGTERM", "__main__", "typer", "os._exit(9)"),  # as C++ does that Python calls
        ("SIGXCPU", "__main__", "typer", "os._exit(9)"),
        ("SIGINT", "errors", "mstool.stopping", "raise"),
    ],
)
def test_early_signal_leaves_no_traceback(name, early, late, then):
    code = KILLER.format(signal=name, early=early, late=late, then=then)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (EXIT_CODES[getattr(signal, name)], "")
    assert ended.stderr == ""


LATE = """
import atexit, os, signal, sys
import mstool.__main__, mstool.cli
def kill():
    os.kill(os.getpid(), signal.SIGTERM)
{late}
sys.argv = ["mstool", "--version"]
mstool.__main__.main()
"""


@pytest.mark.parametrize(
    ("late", "code"),
    [
        ("mstool.cli.unlock_all = kill", 143),
        ("atexit.register(kill)", -signal.SIGTERM),
    ],
    ids=["while the run ends", "while Python ends"],
)
def test_late_signal_leaves_no_traceback(late, code):
    command = [sys.executable, "-c", LATE.format(late=late)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, "")


def test_signal_that_comes_in_the_last_import_counts():
    importing = "lambda verbs: lambda **how: mstool.stopping._came.append(143)"  # and raises not
    code = LATE.format(late=f"mstool.cli.make_app = {importing}")
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (143, "")
    assert_one_line(ended.stderr, "run the same command")


@pytest.fixture
def own_handlers():
    """Put all handlers back at the end, and forget what came."""
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    forget_signals()


@pytest.fixture
def ignored_hangup(own_handlers):
    """Ignore SIGHUP, as nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return signal.SIGHUP


def test_ignored_signal_stays_ignored(ignored_hangup):
    raise_on_signals()
    assert signal.getsignal(ignored_hangup) == signal.SIG_IGN
    with stop_between_steps() as stop_requested:
        os.kill(os.getpid(), ignored_hangup)
        assert stop_requested() is None
    assert signal.getsignal(ignored_hangup) == signal.SIG_IGN


def test_first_signal_waits_for_the_step_and_the_same_again_does_not(own_handlers):
    raise_on_signals()
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    with stop_between_steps() as stop_requested:
        assert stop_requested() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_requested() == 143
        with pytest.raises(errors.Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
    assert {number: signal.getsignal(number) for number in EXIT_CODES} == before


def test_of_two_signals_the_last_gives_the_exit_code(own_handlers):
    raise_on_signals()
    for number, code in ((signal.SIGUSR1, 75), (signal.SIGTERM, 143)):
        with pytest.raises(errors.Interrupted) as caught:
            os.kill(os.getpid(), number)
        assert caught.value.exit_code == code


def test_signal_waits_for_an_import_and_the_same_again_does_not(own_handlers):
    raise_on_signals()
    importing = compile("kill()", "<frozen importlib._bootstrap>", "eval")
    kill = {"kill": lambda: os.kill(os.getpid(), signal.SIGTERM)}
    eval(importing, kill)
    with pytest.raises(errors.Interrupted):
        eval(importing, kill)


def test_children_leave_signals_to_their_parent(own_handlers):
    raise_on_signals()
    leave_signals_to_parent()
    for number in EXIT_CODES:
        os.kill(os.getpid(), number)


def test_interruption_is_no_error_that_a_codec_may_raise():
    assert not issubclass(errors.Interrupted, Exception)


class Deaf:
    """A standard error that nobody reads."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


@pytest.mark.parametrize(
    "stderr", [None, Deaf(BrokenPipeError()), Deaf(OSError(28, "full")), Deaf(ValueError("closed"))]
)
def test_notes_that_nobody_hears_do_not_end_the_work(monkeypatch, capsys, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    report = Reporter("tile", 0)
    report.note("first")
    report.note("second")
    assert not report.is_live
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_error_that_nobody_hears_keeps_its_exit_code(redirection):
    command = f'"{sys.executable}" -m mstool score nowhere nowhere {redirection}'
    ended = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stdout) == (66, b"")


@pytest.mark.parametrize("arguments", [["phantom", "--dry-run"], ["train", "--help"], ["-V"]])
def test_closed_pipe_exits_141_in_silence(arguments):
    command = [sys.executable, "-m", "mstool", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        stderr = process.stderr.read()
        assert (process.wait(60), stderr) == (141, b"")

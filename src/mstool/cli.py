"""The command line: verbs in pipeline order, and the one place where errors end a run."""

import os
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from mstool.commands.option_groups import GroupedCommand
from mstool.errors import Interrupted, MstoolError, UsageError
from mstool.io.lock import unlock_all
from mstool.reporting import say
from mstool.stopping import find_stop, forget_signals, raise_if_stopped, raise_on_signals

VERBS = ("phantom", "tile", "split", "pretrain", "train", "predict", "stitch")
VERBS += ("segment", "score", "explain", "domain-shift", "study", "report", "export")
_READ_PLANS = ("study", "report")  # and so ask the other verbs for their options

_LESS_MEMORY = "use smaller images or tiles, or a smaller --batch-size where there is one"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mstool {version('mstool')}")
        raise typer.Exit


def mstool(
    version: Annotated[
        bool,
        typer.Option(
            "-V", "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Segment micrographs, and know how far to trust the result.

    Verbs in the order in which a study uses them; each reads and writes files. See man mstool.
    """


def make_app(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Give the command line; without verbs that are not wanted it starts sooner."""
    app = typer.Typer(
        name="mstool",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(mstool)
    for verb in verbs:
        name = verb.replace("-", "_")
        function = getattr(import_module(f"mstool.commands.{name}"), name)
        app.command(cls=GroupedCommand)(function)
    return app


def main() -> None:
    """Run the command line; every failure ends in one line on stderr and an exit code."""
    # threads that spin while they wait take the core that others need; read when torch loads
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    raise_on_signals()
    verb = _verb(sys.argv[1:])
    try:
        refuse_misplaced(sys.argv[1:])
        app = make_app(VERBS if verb in ("", *_READ_PLANS) else [verb])
        raise_if_stopped()
        status = app(prog_name="mstool", standalone_mode=False)
        raise_if_stopped()  # what came in an import of the last piece
    except (Exception, Interrupted) as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # bare mstool: help, but not as data
            _say_all(error.format_message())  # type: ignore[attr-defined]
            sys.exit(2)
        if _wants_traceback(sys.argv[1:]):
            import traceback

            _say_all(traceback.format_exc().rstrip())
        stop = None if isinstance(error, Interrupted) else find_stop()
        line, status = explain(stop or error)
        if line:  # else another process of the same work has said it
            say(f"mstool{verb and ' ' + verb}: {line}")
    except KeyboardInterrupt:
        status = 130
    except SystemExit as ended:
        if not isinstance(ended.__context__, BrokenPipeError):  # typer makes one of the other
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    finally:
        unlock_all()
        forget_signals()
    sys.exit(status if isinstance(status, int) else 0)


def refuse_misplaced(arguments: list[str]) -> None:
    """See that no option of a verb stands before it.

    Raises
    ------
    UsageError
        If one does; the message gives the command that is meant.
    """
    place = next((place for place, word in enumerate(arguments) if _verb([word])), 0)
    early = arguments[:place]
    if not early or not early[0].startswith("-"):
        return
    verb = arguments[place]
    command = typer.main.get_command(make_app([verb])).commands[verb]  # type: ignore[attr-defined]
    flags = {flag for parameter in command.params for flag in parameter.opts}
    first = early[0].partition("=")[0]
    letters = {f"-{letter}" for letter in first[1:]}
    is_cluster = bool(letters) and letters <= flags
    if first in flags or is_cluster:
        words = " ".join(early)
        raise UsageError(f"{words} belongs after the verb: mstool {verb} {words} ...")


def explain(error: BaseException) -> tuple[str, int]:
    """Give the line and the exit code that an error ends a run with.

    Parameters
    ----------
    error : BaseException
        Whatever was raised.

    Returns
    -------
    line : str
        What is wrong and what to do.
    status : int
        Exit code.
    """
    if isinstance(error, MstoolError | Interrupted):
        return _one_line(str(error)), error.exit_code
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # usage, by typer
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "mstool"
        return f"{_one_line(error.format_message()).rstrip('.')}; see {path} --help", 2
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory; {_LESS_MEMORY}", 69
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return f"{where}{error.strerror or error}; mend it and run the same command again", 74
    return f"a bug: {type(error).__name__}: {_one_line(str(error))}; -vv shows where", 70


def _say_all(text: str) -> None:
    for line in text.split("\n"):
        say(line)


def _verb(arguments: list[str]) -> str:
    return next((argument for argument in arguments[:1] if argument in VERBS), "")


def _wants_traceback(arguments: list[str]) -> bool:
    switches = "".join(word for word in arguments if re.fullmatch(r"-[qvn0]+", word))
    return switches.count("v") + arguments.count("--verbose") > 1


def _one_line(text: str) -> str:
    return " ".join(text.split())

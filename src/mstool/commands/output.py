"""What a verb says: data on standard output, the rest on standard error."""

import io
import os
import sys
from typing import Any

from mstool.errors import OutputError
from mstool.reporting import Reporter
from mstool.stopping import raise_if_stopped


def emit(text: str) -> None:
    """Write data to standard output, in UTF-8 as to files, whatever the locale has.

    Raises
    ------
    OutputError
        If it is closed, or cannot be written. A pipe that nobody reads on ends the run in `cli`.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed; open it, or name a file with --out")
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else it fails again at exit
        raise OutputError(f"standard output: {error.strerror}; make room and run again") from error


def emit_plan(verb: str, settings: dict[str, Any], inputs: list, out: object) -> None:
    """Print what ``--dry-run`` found."""
    from mstool.io.records import to_json

    plan = {"verb": verb, "settings": settings, "inputs": [str(path) for path in inputs]}
    emit(to_json(plan | {"out": None if out is None else str(out)}))


def make_reporter(verb: str, quiet: bool, verbose: int) -> Reporter:
    """Reporter for ``-q`` and ``-v``; verbs make it when all they need is loaded."""
    raise_if_stopped()
    return Reporter(verb, -1 if quiet else verbose)

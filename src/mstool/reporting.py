"""What a run says while it works: notes and progress, all of it on standard error."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mstool.stopping import raise_if_stopped

Advance = Callable[..., None]

_PACE_OVER_S = 3600.0  # so that validations between steps count in the time that is left
_LINE_EVERY_S = 60.0


def printable(text: str) -> str:
    r"""Text with what is no visible character escaped, as Python writes it.

    Names of files, classes and keys may hold what a terminal obeys: escape sequences, the bell,
    new lines, and marks that turn the direction of reading.

    Examples
    --------
    >>> printable("a\x1b[31m\u202e.tif")
    'a\\x1b[31m\\u202e.tif'
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def say(line: str) -> None:
    """Print a line on standard error; work must not fail because nobody can hear of it."""
    if sys.stderr is None:  # closed from the start; print would turn to standard output
        return
    try:
        print(printable(line), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        sys.stderr = None  # else what is left in its buffer fails once more at exit


@dataclass(frozen=True)
class Reporter:
    """Where notes and progress go.

    Attributes
    ----------
    verb : str
        Name in front of each note.
    verbosity : int
        -1 errors only, 0 notes too, 1 details too.
    """

    verb: str = ""
    verbosity: int = -1

    def note(self, message: str) -> None:
        """Say what a user should know, unless ``-q``."""
        self._say(message, 0)

    def detail(self, message: str) -> None:
        """Say what a curious user may know, with ``-v``."""
        self._say(message, 1)

    def _say(self, message: str, level: int) -> None:
        if self.verbosity >= level:
            say(f"mstool {self.verb}: {message}")

    @property
    def is_live(self) -> bool:
        """Whether a person watches: standard error is a terminal that can redraw."""
        return (
            self.verbosity >= 0
            and sys.stderr is not None
            and sys.stderr.isatty()
            and os.environ.get("TERM") not in (None, "dumb")
        )

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Advance]:
        """Show a bar while the block runs; where nobody watches, a line every minute.

        Yields
        ------
        callable
            ``advance(n=1, text="")`` moves the bar and sets the words at its end.
        """
        if not self.is_live:
            yield self._in_lines(description, total)
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
        )
        console = Console(stderr=True)
        with Progress(
            *columns, console=console, transient=True, speed_estimate_period=_PACE_OVER_S
        ) as bar:
            task = bar.add_task(printable(description), total=total, text="")

            def advance(n: int = 1, text: str | None = None) -> None:
                bar.update(task, advance=n, **({} if text is None else {"text": printable(text)}))
                raise_if_stopped()

            yield advance

    def _in_lines(self, description: str, total: int) -> Advance:
        done, said = 0, time.monotonic()

        def advance(n: int = 1, text: str | None = None) -> None:
            nonlocal done, said
            done += n
            if done < total and time.monotonic() - said >= _LINE_EVERY_S:
                said = time.monotonic()
                self.note(f"{description}: {done} of {total}")
            raise_if_stopped()

        return advance

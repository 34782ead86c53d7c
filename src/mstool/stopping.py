"""Signals that ask a run to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mstool.errors import Interrupted

# Exit codes by signal; batch queues send one of the last three before the time is up.
EXIT_CODES = {
    getattr(signal, name): code
    for name, code in (
        ("SIGHUP", 129),
        ("SIGINT", 130),
        ("SIGQUIT", 131),
        ("SIGTERM", 143),
        ("SIGUSR1", 75),
        ("SIGUSR2", 75),
        ("SIGXCPU", 75),
    )
    if hasattr(signal, name)
}

_came: list[int] = []  # exit codes of the signals that have raised


def raise_on_signals() -> None:
    """Turn the signals that end a run into an exception, so that cleaning up happens."""

    def stop(number: int, frame: FrameType | None) -> None:
        is_again = EXIT_CODES[number] in _came
        _came.append(EXIT_CODES[number])
        if is_again or not _is_importing(frame):
            raise_if_stopped()

    for number in _wanted_signals():
        signal.signal(number, stop)


def raise_if_stopped() -> None:
    """Stop if a signal came before.

    While modules are imported a signal raises nothing: some libraries catch whatever is raised in
    that moment, and others, in C++, abort. Work looks here before it begins, and after each piece.

    Raises
    ------
    Interrupted
        If so.
    """
    if stop := find_stop():
        raise stop


def find_stop() -> Interrupted | None:
    """What ends a run to which a signal came before; None without one.

    It stands for any other error: a library that was stopped half-way may fail later, in its way.
    """
    if not _came:
        return None
    return Interrupted("stopped; run the same command to go on", _came[-1])


def forget_signals() -> None:
    """Let signals that came stop nothing any more, once the run that they were for has ended."""
    _came.clear()


def die_on_signals() -> None:
    """Let signals end the process as they do by default: nothing is left to be cleaned up."""
    for number in _wanted_signals():
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], int | None]]:
    """Hold signals back until the work asks; the same one again stops at once.

    Another does not: some batch queues send one after the other within seconds.

    Yields
    ------
    callable
        Gives the exit code to stop with, or None to go on.
    """
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in _wanted_signals()}

    def ask(number: int, frame: object) -> None:
        asked.append(EXIT_CODES[number])
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_signals_to_parent() -> None:
    """Ignore what is sent to the whole process group: the parent ends its children itself."""
    for number in EXIT_CODES:
        signal.signal(number, signal.SIG_IGN)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _wanted_signals() -> list[int]:
    """Signals to act on; those ignored from the start stay so, as nohup and shells ask."""
    return [number for number in EXIT_CODES if signal.getsignal(number) != signal.SIG_IGN]

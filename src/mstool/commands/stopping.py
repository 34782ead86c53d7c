"""Signals that ask a run to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mstool.errors import Interrupted

# Exit codes by signal; batch queues send SIGUSR1 before the time is up.
EXIT_CODES = {
    getattr(signal, name): code
    for name, code in (("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), ("SIGUSR1", 75))
    if hasattr(signal, name)
}


def raise_on_signals() -> None:
    """Turn the signals that end a run into an exception, so that cleaning up happens."""

    def stop(number: int, frame: object) -> None:
        raise Interrupted("stopped; run the same command to go on", EXIT_CODES[number])

    for number in _wanted_signals():
        signal.signal(number, stop)


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], int | None]]:
    """Hold signals back until the work asks; the second one stops at once.

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


def _wanted_signals() -> list[int]:
    """Signals to act on; those ignored from the start stay so, as nohup and shells ask."""
    return [number for number in EXIT_CODES if signal.getsignal(number) != signal.SIG_IGN]

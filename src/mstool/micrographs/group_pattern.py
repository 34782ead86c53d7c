"""Specimens found in names by a pattern of the user, in bounded time."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mstool.errors import UsageError
from mstool.splits.groups import group_of

_MOST_S = 2.0


def find_group(name: str, pattern: str | None) -> str:
    """Group of a micrograph; see `mstool.splits.groups.group_of`.

    Raises
    ------
    UsageError
        As there; also if the pattern takes longer than any sensible one, as some take time that
        grows exponentially with the name.
    """
    if pattern is None:
        return group_of(name)
    with _limited(
        f"group pattern {pattern!r} takes more than {_MOST_S:g} s to look through {name!r}; write "
        "it without repeats within repeats"
    ):
        return group_of(name, pattern)


@contextmanager
def _limited(message: str) -> Iterator[None]:
    """End the block by an error when the time is over; where the system has no such clock, wait."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise UsageError(message)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

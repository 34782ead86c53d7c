"""Work that overlaps: a thread reads ahead, another writes what is handed to it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import Any, TypeVar

Item = TypeVar("Item")

_N_AHEAD = 2  # items that wait; a bound of memory
_LOOK_S = 0.1  # how often a thread that waits looks whether the other one has gone
_END = object()


class GivenUpError(Exception):
    """One side has ended before the other had given, or taken, all items."""


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Give items that a thread takes, two ahead at most, while the caller works.

    What taking them raises is raised here, after the items before; a caller that stops early stops
    the thread too.
    """
    waiting: Queue[Any] = Queue(_N_AHEAD)
    is_wanted = [True]

    def take() -> None:
        try:
            for item in items:
                if not _put(waiting, item, lambda: is_wanted[0]):
                    return
        finally:
            _put(waiting, _END, lambda: is_wanted[0])

    with ThreadPoolExecutor(1) as pool:
        try:  # a signal may come as soon as the thread has begun
            taken = pool.submit(take)
            while (item := waiting.get()) is not _END:
                yield item
            taken.result()
        finally:
            is_wanted[0] = False


@contextmanager
def write_beside(write: Callable[[Iterator[Item]], None]) -> Iterator[Callable[[Item], None]]:
    """Run `write`, which takes items one after the other, in a thread; give what hands it items.

    Two items wait at most. What `write` raises is raised by the next item or at the end of the
    block. Where the block fails, taking the next item fails in `write` too, so that a file is not
    finished.
    """
    waiting: Queue[Any] = Queue(_N_AHEAD)
    is_over = [False]  # the block, however it ended

    def items() -> Iterator[Item]:
        while (item := _get(waiting, lambda: not is_over[0])) is not _END:
            yield item

    with ThreadPoolExecutor(1) as pool:
        try:  # a signal may come as soon as the thread has begun, and until it has ended
            written: Future[None] = pool.submit(write, items())

            def hand(item: Any) -> None:
                if not _put(waiting, item, lambda: not written.done()):
                    written.result()
                    raise GivenUpError  # it ended without taking all

            yield hand
            # one that counts what it takes ends without asking whether there is more
            _put(waiting, _END, lambda: not written.done())
            written.result()
        finally:
            is_over[0] = True
        if any(item is not _END for item in waiting.queue):
            raise GivenUpError


def _get(waiting: Queue, is_given: Callable[[], bool]) -> Any:
    """Take an item when there is one.

    Raises
    ------
    GivenUpError
        If none will be given any more.
    """
    while is_given():
        try:
            return waiting.get(timeout=_LOOK_S)
        except Empty:
            continue
    raise GivenUpError


def _put(waiting: Queue, item: Any, is_wanted: Callable[[], bool]) -> bool:
    """Put an item in when there is room; False if it is not wanted any more."""
    while is_wanted():
        try:
            waiting.put(item, timeout=_LOOK_S)
        except Full:
            continue
        return True
    return False

"""Processes that prepare batches beside the training: how they begin, fail and end."""

import multiprocessing
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mstool.errors import MstoolError, UnavailableError
from mstool.stopping import leave_signals_to_parent

# more workers than cores are the user's choice
warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)

_SHARED = "/dev/shm"
_REMEDY = "enlarge it (docker run --shm-size 1g), or use --workers 0"


def begin_worker(worker: int) -> None:
    """Set up a process that the parent has just made; `worker` is its number."""
    leave_signals_to_parent()


@contextmanager
def ending_workers() -> Iterator[None]:
    """End all child processes where the block does not end well.

    They are deaf to signals, and the parent would wait for them when it exits.
    """
    try:
        yield
    except BaseException:
        with _unwatched():
            for child in multiprocessing.active_children():
                child.kill()
                child.join()
        raise


def batches_of(loader: Iterable, n_workers: int) -> Iterator[Any]:
    """Give what a loader gives; where its workers fail, say why in one line.

    Parameters
    ----------
    loader : iterable
        A ``DataLoader`` with so many workers.
    n_workers : int
        Processes; 0 for none.

    Raises
    ------
    UnavailableError
        If shared memory is short or not to be had, or a worker was killed.
    MstoolError
        What a worker raised.
    """
    if n_workers == 0:
        yield from loader
        return
    _require_semaphores(4 * n_workers + 8)  # three a queue, and five for the event that ends all
    try:
        yield from loader
    except MstoolError as error:  # raised anew here, with the traceback of the worker as message
        raise type(error)(_last_line(error)) from error
    except (RuntimeError, OSError) as error:
        if (line := _explain(error)) is None:
            raise
        raise UnavailableError(line) from error


@contextmanager
def _unwatched() -> Iterator[None]:
    """Hold off the handler of PyTorch, which raises wherever the parent is when a worker dies."""
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() != threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def _require_semaphores(n_semaphores: int) -> None:
    """See that a loader can be made: one that fails on the way complains of itself at exit."""
    try:
        _ = [multiprocessing.Lock() for _ in range(n_semaphores)]
    except OSError as error:
        raise UnavailableError(_about_shared_memory(error.strerror or str(error))) from error


def _explain(error: Exception) -> str | None:
    """What the messages of PyTorch and of its workers mean; None for all others."""
    text = str(error)
    if "shared memory" in text or "(shm)" in text or "Bus error" in text:
        return _about_shared_memory(_last_line(error))
    if "DataLoader worker" in text and (
        "killed by signal" in text or "exited unexpectedly" in text
    ):
        return f"a worker was killed ({_last_line(error)}); if memory is short, use fewer --workers"
    return None


def _about_shared_memory(reason: str) -> str:
    size = ""
    if os.path.isdir(_SHARED):
        size = f" of {shutil.disk_usage(_SHARED).total / 2**20:.3g} MiB"
    return f"workers hand batches over through {_SHARED}{size} ({reason}); {_REMEDY}"


def _last_line(error: Exception) -> str:
    """Message of an error, without the traceback and the name of a class before it."""
    *before, last = str(error).strip().splitlines() or [""]
    return last.partition(": ")[2] if before and ": " in last else last

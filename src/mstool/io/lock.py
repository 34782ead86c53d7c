"""One run at a time in an output folder, by a lock that ends with the process that holds it."""

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from mstool.errors import OutputExistsError

LOCK = ".mstool.lock"

_held: dict[str, int] = {}  # descriptors of the locks of this process, by real path of the folder


def lock_folder(folder: Path) -> bool:
    """Lock a folder, which must exist, for this process; once more does no harm.

    The system lets go of the lock when the process dies, however that happens.

    Returns
    -------
    bool
        False if the file system, or the system, has no locks; then nobody is kept out.

    Raises
    ------
    OutputExistsError
        If another process has it; the message names that.
    """
    key = os.path.realpath(folder)
    if key in _held and _is_in_place(_held[key], folder / LOCK):
        return True
    _let_go(key)
    handle = _open_locked(folder)
    if handle is None:
        return False
    _held[key] = handle
    with suppress(OSError):  # the name is for people; a full disk is found out elsewhere
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {_host()}\n".encode(), 0)
    return True


def unlock_folder(folder: Path) -> None:
    """Let go of a folder, and leave nothing of the lock in it; without one, do nothing."""
    key = os.path.realpath(folder)
    if key in _held:
        if _is_in_place(_held[key], folder / LOCK):
            with suppress(OSError):
                (folder / LOCK).unlink()  # first, so that nobody can hold what is about to go
        _let_go(key)


def unlock_all() -> None:
    """Let go of all folders of this process."""
    for key in [*_held]:
        unlock_folder(Path(key))


def refuse_locked(folder: Path) -> None:
    """See that no other process has the folder, without taking it.

    Raises
    ------
    OutputExistsError
        If one has.
    """
    if os.path.realpath(folder) not in _held and (folder / LOCK).is_file():
        lock_folder(folder)
        unlock_folder(folder)


def hold_file(handle: int) -> bool:
    """Lock an open file, so that nobody takes it for what a killed run has left.

    The lock ends when the descriptor is closed, also by the death of the process.

    Returns
    -------
    bool
        False where there are no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (AttributeError, OSError):
        return False
    return True


def is_held(path: Path) -> bool:
    """Whether a process holds a file, see `hold_file`; True also where nobody can know."""
    if fcntl is None:
        return True
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        return not hold_file(handle)
    finally:
        os.close(handle)


def _open_locked(folder: Path) -> int | None:
    """Descriptor of the locked file; None where there are no locks."""
    while fcntl is not None:
        try:
            handle = _open(folder / LOCK)
        except OSError:
            return None  # if nothing can be written here, the work will say so itself
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_holder(handle)
            os.close(handle)
            raise OutputExistsError(
                f"{folder}: {holder} is at work in it; wait until that has ended, or choose "
                "another --out"
            ) from None
        except OSError:
            os.close(handle)
            with suppress(OSError):
                (folder / LOCK).unlink()
            return None
        if _is_in_place(handle, folder / LOCK):
            return handle
        os.close(handle)  # its holder ended, and took the file away, in between
    return None


def _open(path: Path) -> int:
    flags = getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)  # left by another user


def _is_in_place(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _read_holder(handle: int) -> str:
    number, _, host = os.pread(handle, 300, 0).decode(errors="replace").strip().partition(" ")
    if not number.isdigit():
        return "another process"
    return f"process {number}" if host == _host() else f"process {number} on {host}"


def _host() -> str:
    return os.uname().nodename


def _let_go(key: str) -> None:
    handle = _held.pop(key, None)
    if handle is not None:
        os.close(handle)


def _forget() -> None:
    """Close what a fork has inherited, and would hold beyond the death of its parent."""
    for key in [*_held]:
        _let_go(key)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

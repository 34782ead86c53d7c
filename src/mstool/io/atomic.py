"""Files that appear whole or not at all."""

import glob
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mstool.errors import OutputError
from mstool.io.lock import hold_file, is_held

_PREFIX = ".mstool-"
TEMPORARY = f"{_PREFIX}*"  # pattern of the names of temporary files; `is_temporary` looks closer

# `tempfile` puts eight letters or digits between.
_TEMPORARY_NAME = re.compile(r"\.mstool-.*\.[a-z0-9_]{8}(\.[^.]*)?", re.DOTALL)

# A name has at most 255 bytes, of which one character may take four.
_STEM_BYTES, _SUFFIX_BYTES = 80, 20

# Asked for once, since it can only be read by setting it, which other threads would see.
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it when the block ends well.

    It is an empty hidden file with the same suffix, in the same folder, which must exist. On any
    exception, an interrupt included, it is removed and `path` is left as it was. The data reach the
    disk before the rename, so a power cut leaves the old or the new.

    Raises
    ------
    OutputError
        If the system refuses to write: no room, no permission, no such folder.
    """
    temporary, hold = _make_beside(path)
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(0o666 & ~_UMASK)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_from_writing(error, temporary):
            raise _refused(path, error) from error
        raise
    finally:
        if hold is not None:
            os.close(hold)


def sweep_beside(path: Path) -> None:
    """Remove what killed runs left that were to become this very file.

    For files that lie in no folder of their own. What a run beside this one is writing stays,
    which its lock tells; where there are no locks, all stay.
    """
    start, suffix = _temporary_name(path)
    with suppress(OSError):  # no such folder, or one that is only to be read
        for found in path.parent.glob(f"{glob.escape(start)}????????{glob.escape(suffix)}"):
            if is_temporary(found) and not is_held(found):
                found.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file through `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def is_temporary(path: Path) -> bool:
    """Whether a file is called as those that `atomic_path` gives, which a killed run leaves.

    Examples
    --------
    >>> [is_temporary(Path(name)) for name in (".mstool-a.x81_k2ab.tif", ".mstool-notes.txt")]
    [True, False]
    """
    return bool(_TEMPORARY_NAME.fullmatch(path.name)) and not path.is_dir()


def _make_beside(path: Path) -> tuple[Path, int | None]:
    """An empty file, and the descriptor that holds it, where there are locks."""
    start, suffix = _temporary_name(path)
    try:
        handle, name = tempfile.mkstemp(prefix=start, suffix=suffix, dir=path.parent)
    except OSError as error:
        raise _refused(path, error) from error
    if hold_file(handle):
        return Path(name), handle
    os.close(handle)
    return Path(name), None


def _temporary_name(path: Path) -> tuple[str, str]:
    """What comes before and after the letters that `tempfile` draws."""
    stem = _cut(path.stem, _STEM_BYTES)
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _SUFFIX_BYTES else ""
    return f"{_PREFIX}{stem}.", suffix


def _cut(name: str, n_bytes: int) -> str:
    """The beginning of a name, in whole characters."""
    return name.encode(errors="replace")[:n_bytes].decode(errors="ignore")


def _is_from_writing(error: OSError, temporary: Path) -> bool:
    """Whether the disk refused; the block may also read other files, or from the network."""
    if error.errno is None or isinstance(error, ConnectionError | TimeoutError):
        return False
    return error.filename is None or os.fsdecode(error.filename) == str(temporary)


def _refused(path: Path, error: OSError) -> OutputError:
    is_there = path.parent.is_dir()
    remedy = "make room or mend the permissions" if is_there else f"make the folder {path.parent}"
    return OutputError(f"{path}: {error.strerror}; {remedy}, and run the same command again")


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

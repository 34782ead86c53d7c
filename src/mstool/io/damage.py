"""What codecs raise over damaged files, as one line that names the file."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mstool.errors import InputError, MstoolError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one line that a file is damaged, whatever a codec raises in the block.

    What the system refuses (no permission, a broken disk) is no damage: it stays an `OSError`, and
    names the file.

    Parameters
    ----------
    path : Path
        The file that the block reads.

    Raises
    ------
    InputError
        If a codec fails.
    OSError
        If the system does.
    """
    try:
        yield
    except (MstoolError, MemoryError):
        raise
    except OSError as error:
        # Codecs raise it without a number; a file that points outside itself makes seeking invalid.
        if error.errno in (None, errno.EINVAL):
            raise _damaged(path, error) from error
        error.filename = error.filename or str(path)
        raise
    except Exception as error:  # codecs raise whatever they like
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(
        f"{path}: cannot be read as an image ({reason[:150]}); copy it again, or save it as TIFF "
        "or PNG"
    )

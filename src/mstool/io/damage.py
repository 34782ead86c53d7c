"""What codecs raise over damaged files, as one line that names the file."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mstool.errors import InputError, MstoolError, UnavailableError

_ANEW = "copy it again, or save it as TIFF or PNG"


@contextmanager
def reading(
    path: Path, wrong: str = "cannot be read as an image", remedy: str = _ANEW
) -> Iterator[None]:
    """Say in one line that a file is damaged, whatever a codec raises in the block.

    What the system refuses (no permission, a broken disk) is no damage: it stays an `OSError`, and
    names the file. `wrong` and `remedy` are what is said of a damaged file, and what to do.

    Raises
    ------
    InputError
        If a codec fails.
    UnavailableError
        If memory runs out.
    OSError
        If the system does.
    """

    def damaged(error: Exception) -> InputError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return InputError(f"{path}: {wrong} ({reason[:150]}); {remedy}")

    try:
        yield
    except MstoolError:
        raise
    except MemoryError as error:
        raise UnavailableError(
            f"{path}: takes more memory than there is; see that its size is right, or use a "
            "machine with more"
        ) from error
    except OSError as error:
        # Codecs raise it without a number; a file that points outside itself makes seeking invalid.
        if error.errno in (None, errno.EINVAL):
            raise damaged(error) from error
        error.filename = error.filename or str(path)
        raise
    except Exception as error:  # codecs raise whatever they like
        raise damaged(error) from error

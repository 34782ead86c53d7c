"""JPEG whose data end early, which decoders fill up without a word."""

import io
from pathlib import Path

import numpy as np

from mstool.errors import InputError

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_FILLER = bytes(range(1, 128))


def check_jpeg(path: Path, values: np.ndarray) -> None:
    """Check that a JPEG holds data for all of its pixels.

    Bytes put in front of the end mark change the pixels only if some of the image was still to
    come. What is damaged in the middle goes unseen: JPEG has no checksums.

    Parameters
    ----------
    path : Path
        The file.
    values : ndarray
        Its pixels as they were decoded.

    Raises
    ------
    InputError
        If it ends early.
    """
    from PIL import Image

    data = path.read_bytes()
    end = data.rfind(_END)
    if end < data.rfind(_SCAN):
        raise InputError(f"{path}: the file is cut off; copy it again")
    with Image.open(io.BytesIO(data[:end] + _FILLER + data[end:]), formats=["JPEG"]) as image:
        again = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    if not np.array_equal(values, again):
        raise InputError(f"{path}: is damaged, its data end before the image does; copy it again")

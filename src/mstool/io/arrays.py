"""Label maps from files of NumPy."""

import math
from pathlib import Path

import numpy as np

from mstool.errors import InputError
from mstool.io.label_values import check_labels
from mstool.io.stored import Stored, stored_array


def open_array(path: Path) -> Stored:
    """Label map of a ``.npy`` file, mapped into memory: (H, W), or with channels first or last.

    Axes of length 1 are left out. Four channels are red, green, blue and alpha.
    """
    _check_size(path)
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        if "Python objects" in str(error):  # never unpickled: that would run what it says
            check_labels(path, np.dtype(object))
        raise
    check_labels(path, values.dtype)
    values = channels_last(values, path)
    n_channels = values.shape[2] if values.ndim == 3 else 1
    return stored_array(path, values, n_colours=min(n_channels, 3), has_alpha=n_channels == 4)


def _check_size(path: Path) -> None:
    """Refuse a file that holds another number of values than its header says."""
    with open(path, "rb") as stream:
        if stream.read(6) != b"\x93NUMPY":
            raise InputError(f"{path}: is no array of NumPy; save it with numpy.save")
        stream.seek(0)
        version = np.lib.format.read_magic(stream)
        read = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}", None)
        if read is None:  # of text in UTF-8, which no plain numbers need
            return
        shape, _, dtype = read(stream)
        n_bytes = 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize
        if min(shape, default=1) < 0 or n_bytes > path.stat().st_size:
            raise InputError(f"{path}: is shorter than its shape {shape} says; copy it again")


def channels_last(values: np.ndarray, path: Path) -> np.ndarray:
    """Array as (H, W), (H, W, 3) or (H, W, 4), whatever axes of length 1 it has.

    Raises
    ------
    InputError
        If it is no image of one, three or four channels, or has no pixels.
    """
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and values.shape[2] not in (1, 3, 4):
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        raise InputError(
            f"{path}: has shape {values.shape}; one grey or RGB image a file is needed"
        )
    if values.size == 0:
        raise InputError(f"{path}: has no pixels; save it again")
    return values

"""Micrographs in other channels, types and greys, converted window by window."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.io.micrograph import Micrograph

# What is left of arithmetic in float32 is no fraction.
_WHOLE = 0.01


def luminance(values: np.ndarray) -> np.ndarray:
    """Grey of an RGB array, shape (H, W), in its type; exact where the channels are equal.

    Weights of ITU-R BT.601.
    """
    weights = np.array([0.299, 0.587, 0.114])
    grey = values @ weights
    return (grey if values.dtype.kind == "f" else np.rint(grey)).astype(values.dtype)


def to_grey(micrograph: Micrograph) -> Micrograph:
    """Colour as luminance, shape (H, W); grey as it is."""
    if len(micrograph.shape) == 2:
        return micrograph
    return _converted(micrograph, luminance, shape=micrograph.shape[:2])


def has_equal_channels(micrograph: Micrograph) -> bool:
    """Whether a colour image is grey all over; False for an image of one channel.

    Reads a band of rows at a time, up to the first difference.
    """
    if len(micrograph.shape) == 2:
        return False
    return all((band[..., :1] == band[..., 1:]).all() for band in micrograph.bands())


def take_first_channel(micrograph: Micrograph) -> Micrograph:
    """Red of a colour image, shape (H, W): its grey where the channels are equal."""
    if len(micrograph.shape) == 2:
        return micrograph
    return _converted(micrograph, lambda values: values[..., 0], shape=micrograph.shape[:2])


def without_alpha(labels: Micrograph) -> Micrograph:
    """Label map whose alpha, if it has any, is left out: (H, W) or (H, W, 3)."""
    if labels.shape[2:] == (2,):
        return take_first_channel(labels)
    if labels.shape[2:] == (4,):
        return _converted(labels, lambda values: values[..., :3], shape=(*labels.shape[:2], 3))
    return labels


def to_bits(micrograph: Micrograph, bits: int) -> Micrograph:
    """Greys with 8 or 16 bits, black staying black and white staying white.

    From 8 to 16 bits values are multiplied by 257, from 16 to 8 divided by 257 and rounded. Floats
    (which integers of other types are opened as) keep their values; reading raises `InputError`
    where these are not whole numbers that fit.

    Raises
    ------
    UsageError
        If `bits` is another number.
    """
    if bits not in (8, 16):
        raise UsageError(f"--bits {bits}: greys have 8 or 16 bits; give one of these")
    dtype = np.dtype(f"uint{bits}")
    if micrograph.dtype == dtype:
        return micrograph

    def convert(values: np.ndarray) -> np.ndarray:
        if values.dtype == np.uint8:
            return values.astype(np.uint16) * np.uint16(257)
        if values.dtype == np.uint16:
            return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return _fitted(values, dtype, micrograph)

    return _converted(micrograph, convert, dtype=dtype)


def rescale_greys(
    micrograph: Micrograph, low: float, high: float, bits: int | None = None
) -> Micrograph:
    """Greys stretched so that `low` becomes black and `high` white, rounded for integers.

    White is the largest value of the type: 255, 65535, or 1 for float32. The type is that of
    `bits`, 8 or 16, by default that of the micrograph. What lies beyond the two greys is clipped;
    `high` below `low` inverts.

    Raises
    ------
    UsageError
        If the two are equal.
    """
    if low == high:
        raise UsageError(f"--rescale-greys {low:g},{high:g}: give two different greys")
    dtype = micrograph.dtype if bits is None else np.dtype(f"uint{bits}")
    top = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)

    def convert(values: np.ndarray) -> np.ndarray:
        share = (values.astype(np.float64) - low) / (high - low)
        stretched = np.clip(share, 0.0, 1.0) * top
        return (stretched if dtype.kind == "f" else np.rint(stretched)).astype(dtype)

    return _converted(micrograph, convert, dtype=dtype)


def _converted(
    micrograph: Micrograph, convert: Callable[[np.ndarray], np.ndarray], **changes
) -> Micrograph:
    def read(row: int, col: int, height: int, width: int) -> np.ndarray:
        return convert(micrograph.read(row, col, height, width))

    return replace(micrograph, _read_rows=read, **changes)


def _fitted(values: np.ndarray, dtype: np.dtype, micrograph: Micrograph) -> np.ndarray:
    whole, top = np.rint(values), np.iinfo(dtype).max
    is_whole = np.abs(values - whole) <= _WHOLE
    if is_whole.all() and (whole >= 0).all() and (whole <= top).all():
        return whole.astype(dtype)
    fractions = "" if is_whole.all() else ", fractions among them"
    raise InputError(
        f"{micrograph.path}: holds greys from {values.min():g} to {values.max():g}{fractions}, and "
        f"{dtype.itemsize * 8} bits hold whole numbers from 0 to {top}; give the range that "
        "counts with --rescale-greys"
    )

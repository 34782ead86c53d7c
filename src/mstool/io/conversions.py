"""Micrographs in other channels, types and greys, converted window by window."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from mstool.errors import InputError, UsageError
from mstool.io.micrograph import Micrograph

# What is left of arithmetic in float32 is no fraction.
_WHOLE = 0.01

# Standard deviations from the mean of a micrograph to black and to white: of greys that are normal
# 1 in 16,000 is clipped, and 8 bits still have 32 steps a standard deviation.
_REACH = 4.0
_ROUNDING = 1e-6  # of the mean: less than this is what arithmetic leaves of one value


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
    return _converted(micrograph, lambda values: _stretch(values, low, high, dtype), dtype=dtype)


def rescale_to_own_greys(micrograph: Micrograph, bits: int | None = None) -> Micrograph:
    """Greys stretched so that each micrograph has the same mean and the same spread.

    As `rescale_greys`, where `low` and `high` lie 4 standard deviations of all pixels of the
    micrograph below and above their mean, over all channels together; pixels of one value become
    mid-grey. The whole micrograph is read once more, when its first pixels are asked for.

    Standardisation of each image is what Isensee et al. (Nat. Methods 18, 203, 2021) do with
    intensities that have no absolute meaning.
    """
    dtype = micrograph.dtype if bits is None else np.dtype(f"uint{bits}")

    @cache
    def ends() -> tuple[float, float]:
        mean, std = mean_and_std(micrograph.bands())
        reach = _REACH * std if std > _ROUNDING * abs(mean) else abs(mean) or 1.0
        return mean - reach, mean + reach

    return _converted(micrograph, lambda values: _stretch(values, *ends(), dtype), dtype=dtype)


def mean_and_std(parts: Iterable[np.ndarray]) -> tuple[float, float]:
    """Mean and standard deviation over all values of several arrays, one pass, in float64.

    Updated part by part (Chan, Golub and LeVeque, Am. Stat. 37, 242, 1983), which loses no digits
    where the mean is large. NaN of no values.
    """
    n, mean, squares = 0, 0.0, 0.0
    for part in parts:
        values = np.asarray(part, np.float64)
        if not values.size:
            continue
        total = n + values.size
        off = float(values.mean()) - mean
        squares += values.size * float(values.var()) + off**2 * n * values.size / total
        mean += off * values.size / total
        n = total
    return (mean, float(np.sqrt(squares / n))) if n else (float("nan"), float("nan"))


def _stretch(values: np.ndarray, low: float, high: float, dtype: np.dtype) -> np.ndarray:
    """Values with `low` at zero and `high` at white, clipped; rounded for integers."""
    top = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    share = (values.astype(np.float64) - low) / (high - low)
    stretched = np.clip(share, 0.0, 1.0) * top
    return (stretched if dtype.kind == "f" else np.rint(stretched)).astype(dtype)


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

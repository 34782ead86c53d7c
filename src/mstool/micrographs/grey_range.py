"""Grey levels of a set of micrographs, and whether those of another set mean the same."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np

from mstool.micrographs.own_greys import OWN_GREYS

QUANTILES = (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999)

_EVERY = 61  # pixels between those that count
_OTHER_SPAN = 3.0  # times wider or narrower: no longer a matter of contrast
_CLEARLY = 0.4  # of the distance as it is, to which turning round must bring it


def sample_greys(image: np.ndarray) -> np.ndarray:
    """Some stored values of an image, spread over it: shape (n,)."""
    return np.ravel(image)[::_EVERY].copy()


def describe_greys(samples: Iterable[np.ndarray]) -> tuple[float, ...]:
    """Quantiles of stored values over some images.

    Parameters
    ----------
    samples : iterable of ndarray, shape (n,)
        From `sample_greys`.

    Returns
    -------
    tuple of float
        At `QUANTILES`; empty without any.
    """
    values = [np.asarray(sample, np.float64) for sample in samples]
    if not values:
        return ()
    return tuple(np.quantile(np.concatenate(values), QUANTILES).tolist())


def levels_as_read(
    dtypes: Collection[str], bits: int | None, greys: tuple[float, float] | Literal["each"] | None
) -> tuple[float, float] | None:
    """Greys of files that are black and white once they are read.

    Parameters
    ----------
    dtypes : collection of str
        Types that the files have.
    bits : int or None
        8 or 16 that they are converted to, by `mstool.io.conversions.to_bits`.
    greys : tuple of float, or ``"each"``, or None
        That are asked for.

    Returns
    -------
    tuple of float, or None
        None where files have no such greys in common: of several types, or each its own.
    """
    if greys == OWN_GREYS:
        return None
    if greys is not None:
        return greys
    tops = {_top_of(f"uint{bits}" if bits and dtype == "float32" else dtype) for dtype in dtypes}
    return (0.0, tops.pop()) if len(tops) == 1 else None


def compare_greys(
    ours: Sequence[float],
    theirs: Sequence[float],
    dtype: str,
    levels: tuple[float, float] | None,
    verb: str = "tile",
) -> str | None:
    """Whether grey levels have another range, or the other sense, than those of training.

    Contrast, brightness and phase fractions differ from batch to batch; only what no batch of the
    same origin shows is told: a span three times wider or narrower, a median outside of all that
    training has seen, or a distribution that fits far better when it is turned round. A histogram
    that is its own mirror image cannot tell black from white.

    Parameters
    ----------
    ours : sequence of float
        Of the new micrographs as they are read, from `describe_greys`.
    theirs : sequence of float
        Of the training set.
    dtype : str
        Of both.
    levels : tuple of float, or None
        Greys of the files that are black and white in `ours`, from `levels_as_read`.
    verb : str
        That reads the files, and whose flag mends it.

    Returns
    -------
    str or None
        A clause that says what is odd, a semicolon, and what mends it; None where nothing is odd
        or nothing is known.
    """
    if not ours or not theirs:
        return None
    new, old = np.asarray(ours), np.asarray(theirs)
    if _is_other_range(new, old):
        return (
            f"grey levels lie between {new[0]:g} and {new[-1]:g}, those of training between "
            f"{old[0]:g} and {old[-1]:g}; {_remedy(new, old, dtype, levels, verb)} brings them "
            "there"
        )
    turned = new[0] + new[-1] - new[::-1]
    old_span = _span_of(old)
    distance, distance_turned = (np.abs(q - old)[1:-1].mean() / old_span for q in (new, turned))
    if distance > 0.1 and distance_turned < _CLEARLY * distance:
        remedy = _remedy(new[0] + new[-1] - new, old, dtype, levels, verb)
        return (
            "grey levels look turned round (bright phases dark) next to those of training; if they "
            f"are, {remedy} turns them back"
        )
    return None


def levels_beside_bits(
    ours: Sequence[float],
    theirs: Sequence[float],
    dtypes: tuple[str, str],
    levels: tuple[float, float] | None,
) -> tuple[float, float] | None:
    """Greys of files to be made black and white as their bits are converted.

    Parameters
    ----------
    ours, theirs, levels
        As of `compare_greys`.
    dtypes : tuple of str
        Of `ours`, and of `theirs`, which they are to have.

    Returns
    -------
    tuple of float, or None
        None where the conversion alone does, or nothing is known.
    """
    if not ours or not theirs or levels is None:
        return None
    new, old = np.asarray(ours), np.asarray(theirs)
    factor = 1.0 if dtypes[0] == "float32" else _top_of(dtypes[1]) / _top_of(dtypes[0])
    if new[0] == new[-1] or not _is_other_range(new * factor, old):
        return None
    return _matching_levels(new, old, dtypes, levels)


def _span_of(quantiles: np.ndarray) -> float:
    return (quantiles[-1] - quantiles[0]) or 1.0


def _is_other_range(new: np.ndarray, old: np.ndarray) -> bool:
    span, old_span = new[-1] - new[0], _span_of(old)
    is_outside = not old[0] - 0.1 * old_span <= new[3] <= old[-1] + 0.1 * old_span
    return is_outside or not 1 / _OTHER_SPAN < span / old_span < _OTHER_SPAN


def _remedy(
    new: np.ndarray, old: np.ndarray, dtype: str, levels: tuple[float, float] | None, verb: str
) -> str:
    """Command that makes the ends of `new` meet those of `old`; without numbers if none are."""
    if levels is None or new[0] == new[-1]:
        return f"mstool {verb} --rescale-greys with the greys of the files that count"
    low, high = _matching_levels(new, old, (dtype, dtype), levels)
    return f"mstool {verb} --rescale-greys {low:g},{high:g}"


def _matching_levels(
    new: np.ndarray, old: np.ndarray, dtypes: tuple[str, str], levels: tuple[float, float]
) -> tuple[float, float]:
    """Greys of files to be made black and white so that the ends of `new` meet those of `old`.

    A camera of 10 to 14 bits in a 16-bit file, beside training on all bits, has a round answer.
    """
    per_value = (levels[1] - levels[0]) / _top_of(dtypes[0])  # greys of files, in one of those read
    stored, top = levels[0] + new * per_value, _top_of(dtypes[1])
    most = max(stored[-1], stored[0]) - abs(per_value) / 2  # what rounding may have added
    white = 2 ** np.ceil(np.log2(max(most, 1) + 1)) - 1
    fills_alike = abs(stored[-1] / white - old[-1] / top) < 0.1
    if 4 * white <= levels[1] and fills_alike and stored[-1] > stored[0]:
        return 0.0, float(white)
    per_level = (stored[-1] - stored[0]) / _span_of(old)
    low = stored[0] - old[0] * per_level
    high = low + top * per_level
    digits = max(0, 2 - math.floor(math.log10(abs(high - low))))
    return round(float(low), digits), round(float(high), digits)


def _top_of(dtype: str) -> float:
    """White of a type."""
    return float(np.iinfo(dtype).max) if np.dtype(dtype).kind in "ui" else 1.0

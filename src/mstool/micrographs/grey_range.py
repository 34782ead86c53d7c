"""Grey levels of a set of micrographs, and whether those of another set mean the same."""

from collections.abc import Iterable, Sequence

import numpy as np

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


def compare_greys(ours: Sequence[float], theirs: Sequence[float], dtype: str) -> str | None:
    """Whether grey levels have another range, or the other sense, than those of training.

    Contrast, brightness and phase fractions differ from batch to batch; only what no batch of the
    same origin shows is told: a span three times wider or narrower, a median outside of all that
    training has seen, or a distribution that fits far better when it is turned round. A histogram
    that is its own mirror image cannot tell black from white.

    Parameters
    ----------
    ours : sequence of float
        Of the new micrographs, from `describe_greys`.
    theirs : sequence of float
        Of the training set.
    dtype : str
        Of the stored values.

    Returns
    -------
    str or None
        A clause that says what is odd, a semicolon, and what mends it; None where nothing is odd
        or nothing is known.
    """
    if not ours or not theirs:
        return None
    new, old = np.asarray(ours), np.asarray(theirs)
    span, old_span = new[-1] - new[0], (old[-1] - old[0]) or 1.0
    is_outside = not old[0] - 0.1 * old_span <= new[3] <= old[-1] + 0.1 * old_span
    if is_outside or not 1 / _OTHER_SPAN < span / old_span < _OTHER_SPAN:
        low, high = _matching_levels(new, old, dtype)
        return (
            f"grey levels lie between {new[0]:g} and {new[-1]:g}, those of training between "
            f"{old[0]:g} and {old[-1]:g}; mstool tile --rescale-greys {low:g},{high:g} brings them "
            "there"
        )
    turned = new[0] + new[-1] - new[::-1]
    distance, distance_turned = (np.abs(q - old)[1:-1].mean() / old_span for q in (new, turned))
    if distance > 0.1 and distance_turned < _CLEARLY * distance:
        low, high = _matching_levels(new[0] + new[-1] - new, old, dtype)
        return (
            "grey levels look turned round (bright phases dark) next to those of training; if they "
            f"are, mstool tile --rescale-greys {low:g},{high:g} turns them back"
        )
    return None


def _matching_levels(new: np.ndarray, old: np.ndarray, dtype: str) -> tuple[float, float]:
    """Stored values that must become black and white so that the ends of `new` meet those of `old`.

    A camera of 10 to 14 bits in a 16-bit file, beside training on all 16 bits, has a round answer.
    """
    is_whole = np.dtype(dtype).kind in "ui"
    top = float(np.iinfo(dtype).max) if is_whole else 1.0
    white = 2 ** np.ceil(np.log2(max(new[-1], new[0], 1) + 1)) - 1
    fills_alike = abs(new[-1] / white - old[-1] / top) < 0.1
    if is_whole and 4 * white <= top and fills_alike and new[-1] > new[0]:
        return 0.0, float(white)
    per_level = (new[-1] - new[0]) / ((old[-1] - old[0]) or 1.0)
    low = new[0] - old[0] * per_level
    high = low + top * per_level
    return (round(low), round(high)) if is_whole else (float(low), float(high))

"""Phase fractions: how much of a section each phase covers."""

import numpy as np

from mstool.errors import LabelError


def phase_fraction(labels: np.ndarray, n_classes: int, ignore_index: int = 255) -> np.ndarray:
    """Area fraction of each phase in a label map.

    On an isotropic, uniform random section it is an unbiased estimate of the volume fraction [1]_.

    Parameters
    ----------
    labels : ndarray of int, shape (H, W)
        Class index of each pixel: ``0 .. n_classes - 1``, or `ignore_index`, which is left out of
        numerator and denominator.

    Returns
    -------
    ndarray of float64, shape (C,)
        Fractions [1], summing to 1; all NaN if every pixel is ignored.

    Raises
    ------
    LabelError
        If `labels` holds a value that is neither a class nor `ignore_index`.

    References
    ----------
    .. [1] Delesse, A. (1847). C. R. Acad. Sci. Paris 25, 544-545.

    Examples
    --------
    >>> phase_fraction(np.array([[0, 0, 1, 255]]), n_classes=3)
    array([0.66666667, 0.33333333, 0.        ])
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "uib":
        raise LabelError(f"labels have type {labels.dtype}; give integers")
    used = labels[labels != ignore_index]
    is_wrong = (used < 0) | (used >= n_classes)
    if is_wrong.any():
        raise LabelError(
            f"label {used[is_wrong][0]} is neither a class, 0 to {n_classes - 1}, nor ignored "
            f"({ignore_index}); encode the label map with its legend first"
        )
    return phase_fraction_from_counts(np.bincount(used, minlength=n_classes))


def phase_fraction_from_counts(counts: np.ndarray) -> np.ndarray:
    """Area fraction of each phase from numbers of pixels.

    Parameters
    ----------
    counts : ndarray of int, shape (..., C)
        Pixels of each phase, ignored ones left out.

    Returns
    -------
    ndarray of float64, shape (..., C)
        Fractions [1], summing to 1 along the last axis; all NaN where there are no pixels.

    Examples
    --------
    >>> phase_fraction_from_counts(np.array([3, 1]))
    array([0.75, 0.25])
    """
    counts = np.asarray(counts, np.float64)
    total = counts.sum(axis=-1, keepdims=True)
    undefined = np.full_like(counts, np.nan)
    return np.divide(counts, total, out=undefined, where=total > 0)

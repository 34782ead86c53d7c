"""Confusion matrices, which every score of agreement is computed from."""

import numpy as np

from mstool.errors import LabelError

# Pixels whose codes are counted at once; they fit in the cache of a core.
_CHUNK = 2**18


def confusion_matrix(
    truth: np.ndarray, prediction: np.ndarray, n_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count of pixels of each true class that were predicted as each class.

    It is additive: the matrices of the bands of an image sum to the matrix of the image.

    Parameters
    ----------
    truth : ndarray of int, shape (H, W)
        True class of each pixel: ``0 .. n_classes - 1``, or `ignore_index` to leave it out.
    prediction : ndarray of int, shape (H, W)
        Predicted class of each pixel; anything where the truth is ignored.

    Returns
    -------
    ndarray of int64, shape (C, C)
        All zero if every pixel is ignored.

    Raises
    ------
    LabelError
        If the shapes differ, the values are not integers, a true value is neither a class nor
        `ignore_index`, or a prediction is no class where the truth is not ignored.

    Examples
    --------
    >>> confusion_matrix(np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]]), n_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise LabelError(
            f"prediction has shape {prediction.shape}, truth {truth.shape}; compare label maps of "
            "the same size"
        )
    if truth.dtype == prediction.dtype == np.uint8 and 0 <= ignore_index < 256:
        pairs = _count_pairs(truth.ravel(), prediction.ravel())
        pairs[ignore_index] = 0
        counts = pairs[:n_classes, :n_classes].copy()
        if counts.sum() == pairs.sum():
            return counts
    is_used = truth != ignore_index
    _check_labels(truth, is_used, n_classes, "truth")
    _check_labels(prediction, is_used, n_classes, "prediction")
    cells = truth[is_used].astype(np.int64) * n_classes + prediction[is_used]
    counts = np.bincount(cells, minlength=n_classes**2)
    return counts.astype(np.int64, copy=False).reshape(n_classes, n_classes)


def _count_pairs(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Count of each pair of bytes: int64 (256, 256), rows truth.

    The pair is one code of 16 bits, so that a pixel is touched once, and what is ignored or wrong
    shows in the table, not in the image.
    """
    counts = np.zeros(2**16, np.int64)
    for start in range(0, truth.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        codes = np.left_shift(truth[part], 8, dtype=np.uint16)
        codes |= prediction[part]
        counts += np.bincount(codes, minlength=2**16)
    return counts.reshape(256, 256)


def _check_labels(labels: np.ndarray, is_used: np.ndarray, n_classes: int, side: str) -> None:
    """Refuse values that are no class, where they count."""
    if labels.dtype.kind not in "uib":
        raise LabelError(f"{side} has values of type {labels.dtype}; give integers")
    is_wrong = is_used & ((labels < 0) | (labels >= n_classes))
    if is_wrong.any():
        first = np.unravel_index(np.argmax(is_wrong), labels.shape)
        rule = "neither a class nor ignored" if side == "truth" else "no class where truth has one"
        raise LabelError(
            f"{side} is {labels[first]} in {np.count_nonzero(is_wrong)} pixels, first at "
            f"{', '.join(map(str, map(int, first)))} (row, column), which is {rule}; classes are "
            f"0 to {n_classes - 1}"
        )

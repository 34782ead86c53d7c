"""Scores of agreement, each a formula over a confusion matrix.

What is undefined is NaN, never 0 or 1, so a class that is absent neither helps nor harms a mean.
All functions take any number of leading axes: a stack of matrices gives a stack of scores.
"""

from dataclasses import dataclass

import numpy as np

Margins = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Metrics:
    """Scores of one confusion matrix, or their mean over images.

    Attributes
    ----------
    mean_iou : float
        Mean over the classes that have an IoU [1].
    iou, dice, precision, recall : ndarray of float64, shape (C,)
        Per class [1]; NaN where undefined.
    accuracy : float
        Share of pixels that are right [1]; high for any prediction when one class is common.
    """

    mean_iou: float
    iou: np.ndarray
    dice: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    accuracy: float


def compute_metrics(confusion: np.ndarray) -> Metrics:
    """All scores of one confusion matrix.

    Parameters
    ----------
    confusion : ndarray of int, shape (C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    Metrics
        NaN where undefined.
    """
    return Metrics(
        mean_iou=float(mean_iou(confusion)),
        iou=iou(confusion),
        dice=dice(confusion),
        precision=precision(confusion),
        recall=recall(confusion),
        accuracy=float(accuracy(confusion)),
    )


def average_metrics(confusions: np.ndarray) -> Metrics:
    """Mean over images of each score, every image counting the same.

    Parameters
    ----------
    confusions : ndarray of int, shape (N, C, C)
        A confusion matrix for each image.

    Returns
    -------
    Metrics
        Means over the images in which the score is defined; NaN if it is defined in none.
    """
    return Metrics(
        mean_iou=float(nan_mean(mean_iou(confusions), axis=0)),
        iou=nan_mean(iou(confusions), axis=0),
        dice=nan_mean(dice(confusions), axis=0),
        precision=nan_mean(precision(confusions), axis=0),
        recall=nan_mean(recall(confusions), axis=0),
        accuracy=float(nan_mean(accuracy(confusions), axis=0)),
    )


def iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, tp / (tp + fp + fn), also called Jaccard index.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    ndarray of float64, shape (..., C)
        IoU [1]; NaN where the class is in neither truth nor prediction.
    """
    return iou_from_margins(margins(confusion))


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice coefficient of each class, 2 tp / (2 tp + fp + fn), also called F1.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    ndarray of float64, shape (..., C)
        Dice [1]; NaN where the class is in neither truth nor prediction.
    """
    hits, support, predicted = margins(confusion)
    return _ratio(2 * hits, support + predicted)


def precision(confusion: np.ndarray) -> np.ndarray:
    """Share of the pixels predicted as a class that are of that class.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    ndarray of float64, shape (..., C)
        Precision [1]; NaN where the class is never predicted.
    """
    hits, _, predicted = margins(confusion)
    return _ratio(hits, predicted)


def recall(confusion: np.ndarray) -> np.ndarray:
    """Share of the pixels of a class that are predicted as that class.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    ndarray of float64, shape (..., C)
        Recall [1]; NaN where the truth lacks the class.
    """
    hits, support, _ = margins(confusion)
    return _ratio(hits, support)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of pixels that are right.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    ndarray of float64, shape (...)
        Accuracy [1]; NaN where there are no pixels.
    """
    return accuracy_from_margins(margins(confusion))


def mean_iou(confusion: np.ndarray) -> np.ndarray:
    """Mean IoU over the classes that have one.

    A class that is predicted but nowhere in the truth has one, 0, and counts.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Counts, rows truth, columns prediction; sum over images first for the pooled mean IoU.

    Returns
    -------
    ndarray of float64, shape (...)
        Mean IoU [1]; NaN where there are no pixels.
    """
    return nan_mean(iou(confusion), axis=-1)


def margins(confusion: np.ndarray) -> Margins:
    """Right, true and predicted pixels of each class, which every score here is made of.

    Parameters
    ----------
    confusion : ndarray, shape (..., C, C)
        Counts, rows truth, columns prediction.

    Returns
    -------
    tuple of three ndarray, shape (..., C)
        Pixels that are right, pixels in the truth (support), and pixels predicted; additive as the
        matrix is.
    """
    confusion = np.asarray(confusion)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return hits, confusion.sum(axis=-1), confusion.sum(axis=-2)


def iou_from_margins(counts: Margins) -> np.ndarray:
    """IoU of each class; see `iou`.

    Parameters
    ----------
    counts : tuple of three ndarray, shape (..., C)
        As from `margins`.

    Returns
    -------
    ndarray of float64, shape (..., C)
        IoU [1]; NaN where undefined.
    """
    hits, support, predicted = counts
    return _ratio(hits, support + predicted - hits)


def accuracy_from_margins(counts: Margins) -> np.ndarray:
    """Accuracy; see `accuracy`.

    Parameters
    ----------
    counts : tuple of three ndarray, shape (..., C)
        As from `margins`.

    Returns
    -------
    ndarray of float64, shape (...)
        Accuracy [1]; NaN where there are no pixels.
    """
    hits, support, _ = counts
    return _ratio(hits.sum(axis=-1), support.sum(axis=-1))


def nan_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the values that are defined; like ``numpy.nanmean`` but silent if none is.

    Parameters
    ----------
    values : ndarray of float
        Scores.
    axis : int
        Axis to average over.

    Returns
    -------
    ndarray of float64
        Means, without that axis; NaN where all are NaN.
    """
    return _ratio(np.nansum(values, axis=axis), np.count_nonzero(~np.isnan(values), axis=axis))


def _ratio(numerator, denominator) -> np.ndarray:
    """Quotient; NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)[()]

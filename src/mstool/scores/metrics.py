"""Scores of agreement, each a formula over a confusion matrix.

Those of each class have shape (..., C), the others (...). An undefined one is NaN, so a class that
is absent neither helps nor harms a mean.
"""

from dataclasses import dataclass

import numpy as np

Margins = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Metrics:
    """Scores of one confusion matrix, or their mean over images; arrays have shape (C,)."""

    mean_iou: float
    iou: np.ndarray
    dice: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    accuracy: float  # high for any prediction when one class is common
    kappa: float
    mcc: float


def compute_metrics(confusion: np.ndarray) -> Metrics:
    """All scores of one confusion matrix, shape (C, C)."""
    return Metrics(
        mean_iou=float(mean_iou(confusion)),
        iou=iou(confusion),
        dice=dice(confusion),
        precision=precision(confusion),
        recall=recall(confusion),
        accuracy=float(accuracy(confusion)),
        kappa=float(kappa(confusion)),
        mcc=float(mcc(confusion)),
    )


def average_metrics(confusions: np.ndarray) -> Metrics:
    """Mean of each score over the images in which it is defined, every image counting the same."""
    each = [vars(compute_metrics(confusion)) for confusion in confusions]
    means = {name: nan_mean(np.array([one[name] for one in each]), axis=0) for name in each[0]}
    return Metrics(**means)


def iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, tp / (tp + fp + fn), also called Jaccard index.

    NaN where the class is in neither truth nor prediction.
    """
    return iou_from_margins(margins(confusion))


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice coefficient of each class, 2 tp / (2 tp + fp + fn), also called F1.

    NaN where the class is in neither truth nor prediction.
    """
    hits, support, predicted = margins(confusion)
    return safe_ratio(2 * hits, support + predicted)


def precision(confusion: np.ndarray) -> np.ndarray:
    """Share of the pixels predicted as a class that are of it; NaN where it is never predicted."""
    hits, _, predicted = margins(confusion)
    return safe_ratio(hits, predicted)


def recall(confusion: np.ndarray) -> np.ndarray:
    """Share of the pixels of a class that are predicted as it; NaN where the truth lacks it."""
    hits, support, _ = margins(confusion)
    return safe_ratio(hits, support)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of pixels that are right; NaN where there are no pixels."""
    return accuracy_from_margins(margins(confusion))


def kappa(confusion: np.ndarray) -> np.ndarray:
    """Cohen's kappa [1]_: accuracy beyond what the same shares of classes would reach by chance.

    It is 1 where all is right, 0 at the level of chance, and below 0 where chance does better; NaN
    where truth and prediction hold one and the same class alone, or nothing.

    References
    ----------
    .. [1] Cohen, J. (1960). Educ. Psychol. Meas. 20, 37-46.
    """
    hits, support, predicted = _float_margins(confusion)
    n_pixels = support.sum(axis=-1)
    by_chance = (support * predicted).sum(axis=-1)
    return safe_ratio(n_pixels * hits.sum(axis=-1) - by_chance, n_pixels**2 - by_chance)


def mcc(confusion: np.ndarray) -> np.ndarray:
    """Matthews correlation coefficient of any number of classes [1]_, from -1 to 1.

    NaN where the truth, or the prediction, holds one class alone.

    References
    ----------
    .. [1] Gorodkin, J. (2004). Comput. Biol. Chem. 28, 367-374.
    """
    hits, support, predicted = _float_margins(confusion)
    n_pixels = support.sum(axis=-1)
    covariance = n_pixels * hits.sum(axis=-1) - (support * predicted).sum(axis=-1)
    spreads = [n_pixels**2 - (one**2).sum(axis=-1) for one in (support, predicted)]
    return safe_ratio(covariance, np.sqrt(spreads[0]) * np.sqrt(spreads[1]))


def mean_iou(confusion: np.ndarray) -> np.ndarray:
    """Mean IoU over the classes that have one; NaN where there are no pixels.

    A class that is predicted but nowhere in the truth has one, 0, and counts. For the pooled mean
    IoU, sum the matrices over images first.
    """
    return nan_mean(iou(confusion), axis=-1)


def mean_iou_of_truth(confusion: np.ndarray) -> np.ndarray:
    """Mean IoU over the classes that the truth holds; NaN where it holds none.

    For comparing predictions with one truth: `mean_iou` falls by a share of 1 / C as soon as one
    pixel is taken for a class that is not there, and so prefers the worse of two predictions.
    """
    counts = margins(confusion)
    return nan_mean(np.where(counts[1] > 0, iou_from_margins(counts), np.nan), axis=-1)


def margins(confusion: np.ndarray) -> Margins:
    """Right, true and predicted pixels of each class, which every score here is made of.

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
    """`iou` from what `margins` gives."""
    hits, support, predicted = counts
    return safe_ratio(hits, support + predicted - hits)


def accuracy_from_margins(counts: Margins) -> np.ndarray:
    """`accuracy` from what `margins` gives."""
    hits, support, _ = counts
    return safe_ratio(hits.sum(axis=-1), support.sum(axis=-1))


def _float_margins(confusion: np.ndarray) -> Margins:
    """`margins` as floats, since products of counts of pixels would overflow."""
    return tuple(np.asarray(part, float) for part in margins(confusion))


def nan_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the values that are defined; like ``numpy.nanmean`` but silent if none is."""
    return safe_ratio(np.nansum(values, axis=axis), np.count_nonzero(~np.isnan(values), axis=axis))


def safe_ratio(numerator, denominator) -> np.ndarray:
    """Quotient; NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)[()]

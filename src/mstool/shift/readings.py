"""What can be read off the predictions of one micrograph, with and without its truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstool.labels.legend import IGNORE_INDEX
from mstool.scores.metrics import mean_iou

N_SCORES = 200  # bins of confidence


@dataclass(frozen=True)
class Reading:
    """Sums over the pixels of a micrograph, so that readings of fields and micrographs add up.

    Attributes
    ----------
    n_px : int
        Pixels.
    confidence, certainty : ndarray of int64, shape (200,)
        Pixels by largest probability, and by 1 less the entropy over its largest value, in bins
        from 0 to 1.
    counts : ndarray of int64, shape (K,)
        Pixels of each predicted class.
    mass : ndarray of float64, shape (K,)
        Sum of the probability of each class.
    soft_overlap : ndarray of float64, shape (K,)
        Sum of the probability of each class where it is predicted.
    agreement : ndarray of int64, shape (K, K)
        Prediction against prediction on changed views of the same image, all views added.
    confusion : ndarray of int64, shape (K, K), or None
        Truth (rows) against prediction; None without truth.
    """

    n_px: int
    confidence: np.ndarray
    certainty: np.ndarray
    counts: np.ndarray
    mass: np.ndarray
    soft_overlap: np.ndarray
    agreement: np.ndarray
    confusion: np.ndarray | None

    @property
    def mean_confidence(self) -> float:
        """Mean of the largest probability [1]."""
        return float(self.confidence @ _middles() / max(1, self.n_px))

    @property
    def fractions(self) -> np.ndarray:
        """Predicted phase fractions: (K,), summing to 1."""
        return self.counts / max(1, self.n_px)

    @property
    def soft_iou(self) -> float:
        """Mean over predicted classes of the IoU that the probabilities expect of themselves [1]_.

        References
        ----------
        .. [1] Borges, B. et al. (2024). Soft Dice confidence, arXiv:2402.10665.
        """
        union = self.mass + self.counts - self.soft_overlap
        present = self.counts > 0
        return float((self.soft_overlap[present] / union[present]).mean())

    @property
    def mean_iou(self) -> float:
        """Mean IoU with the truth [1]; NaN without."""
        return float("nan") if self.confusion is None else float(mean_iou(self.confusion))

    @property
    def self_consistency(self) -> float:
        """Mean IoU of the prediction with those on changed views [1]."""
        return float(mean_iou(self.agreement))


@dataclass(frozen=True)
class SetReadings:
    """What a network makes of a set.

    Attributes
    ----------
    readings : tuple of Reading
        Of each micrograph.
    features : ndarray of float32, shape (N, D)
        Of each micrograph.
    """

    readings: tuple[Reading, ...]
    features: np.ndarray

    @property
    def pooled(self) -> Reading:
        """Of all micrographs together."""
        return add_readings(self.readings)


def read_prediction(probabilities, views, truth=None):
    """Reading of one field.

    Parameters
    ----------
    probabilities : ndarray of float, shape (K, H, W)
        Of the field, summing to 1.
    views : sequence of ndarray of uint8, shape (H, W)
        Predicted classes on changed views, turned back.
    truth : ndarray of uint8, shape (H, W), optional
        Class indices, 255 ignored.

    Returns
    -------
    Reading
        The sums.
    """
    n_classes = len(probabilities)
    predicted = probabilities.argmax(axis=0)
    top = probabilities.max(axis=0)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=0)
    one_hot = np.arange(n_classes)[:, None, None] == predicted
    agreement = np.zeros((n_classes, n_classes), np.int64)
    for view in views:
        agreement += _cross(predicted, view, n_classes)
    confusion = None
    if truth is not None:
        known = truth != IGNORE_INDEX
        confusion = _cross(truth[known], predicted[known], n_classes)
    return Reading(
        n_px=predicted.size,
        confidence=_bins(top),
        certainty=_bins(1 - entropy / np.log(max(2, n_classes))),
        counts=np.bincount(predicted.ravel(), minlength=n_classes),
        mass=probabilities.sum(axis=(1, 2), dtype=float),
        soft_overlap=(probabilities * one_hot).sum(axis=(1, 2), dtype=float),
        agreement=agreement,
        confusion=confusion,
    )


def add_readings(readings: Sequence[Reading]) -> Reading:
    """Sum of readings; without truth if any is."""
    first = readings[0]
    total = {
        name: sum((getattr(reading, name) for reading in readings[1:]), getattr(first, name))
        for name in vars(first)
        if name != "confusion"
    }
    truths = [reading.confusion for reading in readings]
    confusion = None if any(truth is None for truth in truths) else np.sum(truths, axis=0)
    return Reading(**total, confusion=confusion)


def _cross(rows, cols, n_classes):
    index = rows.ravel().astype(np.int64) * n_classes + cols.ravel()
    return np.bincount(index, minlength=n_classes**2).reshape(n_classes, n_classes)


def _bins(scores):
    index = np.clip((scores * N_SCORES).astype(np.int64), 0, N_SCORES - 1)
    return np.bincount(index.ravel(), minlength=N_SCORES)


def _middles():
    return (np.arange(N_SCORES) + 0.5) / N_SCORES

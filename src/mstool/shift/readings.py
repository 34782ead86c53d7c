"""What can be read off the predictions of one micrograph, with and without its truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mstool.labels.legend import IGNORE_INDEX
from mstool.scores.metrics import mean_iou

N_SCORES = 200  # bins of confidence


@dataclass(frozen=True)
class Reading:
    """Sums over the pixels of a micrograph, so that readings of fields and micrographs add up."""

    n_px: int
    confidence: np.ndarray  # pixels by largest probability, in bins from 0 to 1: (200,)
    certainty: np.ndarray  # pixels by 1 less the entropy over its largest value: (200,)
    counts: np.ndarray  # pixels of each predicted class: (K,)
    mass: np.ndarray  # sum of the probability of each class: (K,)
    soft_overlap: np.ndarray  # the same where the class is predicted: (K,)
    agreement: np.ndarray  # prediction against those on changed views, all added: (K, K)
    confusion: np.ndarray | None  # truth (rows) against prediction, if it is known: (K, K)

    @property
    def mean_confidence(self) -> float:
        """Mean of the largest probability [1]."""
        middles = (np.arange(N_SCORES) + 0.5) / N_SCORES
        return float(self.confidence @ middles / max(1, self.n_px))

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
    """What a network makes of each micrograph of a set."""

    readings: tuple[Reading, ...]
    features: np.ndarray  # (N, D)

    @property
    def pooled(self) -> Reading:
        """Of all micrographs together."""
        return add_readings(self.readings)


def read_prediction(probabilities, views, truth=None) -> Reading:
    """Reading of one field.

    Parameters
    ----------
    probabilities : ndarray of float, shape (K, H, W)
        Of the field, summing to 1.
    views : sequence of ndarray of uint8, shape (H, W)
        Predicted classes on changed views, turned back.
    truth : ndarray of uint8, shape (H, W), optional
        Its labels.
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
    columns = zip(*(vars(reading).values() for reading in readings), strict=True)
    return Reading(*(None if any(v is None for v in values) else sum(values) for values in columns))


def _cross(rows, cols, n_classes):
    index = rows.ravel().astype(np.int64) * n_classes + cols.ravel()
    return np.bincount(index, minlength=n_classes**2).reshape(n_classes, n_classes)


def _bins(scores):
    index = np.clip((scores * N_SCORES).astype(np.int64), 0, N_SCORES - 1)
    return np.bincount(index.ravel(), minlength=N_SCORES)

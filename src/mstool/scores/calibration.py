"""Whether probabilities are frequencies, and what leaving out the unsure pixels buys.

The confidence of a pixel is its largest probability. Counts are kept in bins of confidence, so that
bands and micrographs can be added up.

probabilities : ndarray of float, shape (C, H, W)
    Positive, and divided by their sum over classes here, which rounding moves away from 1.
labels : ndarray of uint8, shape (H, W)
    True class of each pixel; `ignore_index` is left out.
"""

from dataclasses import dataclass

import numpy as np

from mstool.errors import LabelError
from mstool.scores.metrics import accuracy, mean_iou

N_BINS = 20  # of calibration errors, each of 0.05
_N_FINE = 200  # in which pixels are counted, each of 0.005
ROUNDING = 1e-6  # of blended probabilities; what is so near to a threshold has reached it


@dataclass(frozen=True, eq=False)
class ConfidenceCounts:
    """Sums over labelled pixels, by bin of confidence (B bins over 0 to 1).

    Attributes
    ----------
    confusion : ndarray of int64, shape (B, C, C)
        Rows truth, columns the class of largest probability.
    confidence : ndarray of float64, shape (B,)
        Sum of the largest probabilities.
    class_pixels, class_hits : ndarray of int64, shape (C, B)
        By bin of the probability of each class: pixels, and those that are of this class.
    class_probability : ndarray of float64, shape (C, B)
        Sum of the probabilities of each class.
    class_squares : ndarray of float64, shape (C,)
        Sum of the squared differences of probability and truth (1 or 0).
    """

    confusion: np.ndarray
    confidence: np.ndarray
    class_pixels: np.ndarray
    class_hits: np.ndarray
    class_probability: np.ndarray
    class_squares: np.ndarray

    def __add__(self, other: "ConfidenceCounts") -> "ConfidenceCounts":
        ours, theirs = vars(self), vars(other)
        return ConfidenceCounts(**{name: ours[name] + theirs[name] for name in ours})

    @property
    def n_pixels(self) -> int:
        """Labelled pixels."""
        return int(self.confusion.sum())


@dataclass(frozen=True, eq=False)
class Coverage:
    """What is left, and how good it is, when pixels below a confidence are left out.

    Attributes
    ----------
    threshold : ndarray of float64, shape (B,)
        Least confidence that is kept, rising from 0.
    coverage : ndarray of float64, shape (B,)
        Share of the labelled pixels that is kept.
    mean_iou, accuracy : ndarray of float64, shape (B,)
        Of the kept pixels; NaN where none is kept.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    mean_iou: np.ndarray
    accuracy: np.ndarray


def count_confidence(
    probabilities: np.ndarray, labels: np.ndarray, ignore_index: int = 255
) -> ConfidenceCounts:
    """Count the pixels of an image, or of a band of it.

    Raises
    ------
    LabelError
        If sizes differ, or a label is no class.
    """
    n_classes = len(probabilities)
    if probabilities.shape[1:] != labels.shape:
        raise LabelError(
            f"probabilities are of {probabilities.shape[1:]} pixels, labels of {labels.shape}; "
            "compare the same size"
        )
    is_used = labels != ignore_index
    truth = labels[is_used].astype(np.int64)
    if truth.size and truth.max() >= n_classes:
        raise LabelError(f"label {truth.max()} is no class; classes are 0 to {n_classes - 1}")
    values = probabilities[:, is_used].astype(np.float64)
    values /= values.sum(axis=0)
    best = values.argmax(axis=0)
    confidence = np.take_along_axis(values, best[None], axis=0)[0]
    bins = _bin(confidence)
    cells = (bins * n_classes + truth) * n_classes + best
    confusion = np.bincount(cells, minlength=_N_FINE * n_classes**2)
    by_class = [_count_class(row, truth == index) for index, row in enumerate(values)]
    pixels, hits, sums, squares = (np.array(column) for column in zip(*by_class, strict=True))
    return ConfidenceCounts(
        confusion.reshape(_N_FINE, n_classes, n_classes),
        np.bincount(bins, confidence, _N_FINE),
        pixels,
        hits,
        sums,
        squares,
    )


def calibration_error(counts: ConfidenceCounts) -> float:
    """Expected calibration error of the largest probability [1]_; NaN without a labelled pixel.

    The mean over pixels of how far, in their bin of 0.05, the mean confidence is from the share of
    right pixels.

    References
    ----------
    .. [1] Guo, C. et al. (2017). ICML, PMLR 70, 1321-1330.
    """
    pixels, confidence, hits = reliability(counts)
    return _gap(pixels, confidence * pixels, hits * pixels)


def reliability(counts: ConfidenceCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, mean confidence and share of right pixels of each bin of 0.05, shape (20,) each.

    NaN, but for the number of pixels, where a bin is empty.
    """
    pixels = _coarse(counts.confusion.sum(axis=(1, 2)))
    hits = _coarse(np.trace(counts.confusion, axis1=1, axis2=2))
    with np.errstate(invalid="ignore"):
        return pixels, _coarse(counts.confidence) / pixels, hits / pixels


def class_reliability(counts: ConfidenceCounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, mean probability and share of right pixels by class and bin, shape (C, 20) each.

    NaN, but for the number of pixels, where a bin is empty.
    """
    rows = counts.class_pixels, counts.class_probability, counts.class_hits
    pixels, probability, hits = (np.array([_coarse(row) for row in table]) for table in rows)
    with np.errstate(invalid="ignore"):
        return pixels, probability / pixels, hits / pixels


def class_calibration_errors(counts: ConfidenceCounts) -> np.ndarray:
    """Expected calibration error of the probability of each class [1]_, float64, shape (C,).

    References
    ----------
    .. [1] Kull, M. et al. (2019). NeurIPS, arXiv:1910.12656.
    """
    rows = zip(*class_reliability(counts), strict=True)
    return np.array([_gap(pixels, p * pixels, hits * pixels) for pixels, p, hits in rows])


def brier_scores(counts: ConfidenceCounts) -> np.ndarray:
    """Mean squared difference of probability and truth of each class, float64, shape (C,) [1]_.

    The score of all classes is their sum, from 0 to 2; NaN without a labelled pixel.

    References
    ----------
    .. [1] Brier, G. W. (1950). Mon. Weather Rev. 78, 1-3.
    """
    n_pixels = counts.n_pixels
    return (
        counts.class_squares / n_pixels if n_pixels else np.full(len(counts.class_squares), np.nan)
    )


def coverage_curve(counts: ConfidenceCounts) -> Coverage:
    """What is kept at each threshold of confidence, and how good it is."""
    kept = counts.confusion[::-1].cumsum(axis=0)[::-1]
    total = counts.n_pixels
    return Coverage(
        np.arange(_N_FINE) / _N_FINE,
        kept.sum(axis=(1, 2)) / total if total else np.full(_N_FINE, np.nan),
        mean_iou(kept),
        accuracy(kept),
    )


def _count_class(values: np.ndarray, is_class: np.ndarray) -> tuple:
    """Pixels, hits and sum of probabilities by bin, and the sum of squared differences."""
    bins = _bin(values)
    return (
        np.bincount(bins, minlength=_N_FINE),
        np.bincount(bins[is_class], minlength=_N_FINE),
        np.bincount(bins, values, _N_FINE),
        np.square(values - is_class).sum(),
    )


def _bin(values: np.ndarray) -> np.ndarray:
    return np.minimum(((values + ROUNDING) * _N_FINE).astype(np.int64), _N_FINE - 1)


def _coarse(fine: np.ndarray) -> np.ndarray:
    return fine.reshape(N_BINS, -1).sum(axis=1)


def _gap(pixels: np.ndarray, probability: np.ndarray, hits: np.ndarray) -> float:
    """Mean over pixels of the distance of mean probability and frequency in their bin."""
    total = pixels.sum()
    return float(np.nansum(np.abs(probability - hits)) / total) if total else float("nan")

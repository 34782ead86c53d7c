"""Trivial segmentations that a score must beat before it means anything."""

from math import comb

import numpy as np
from skimage.filters import threshold_multiotsu

from mstool.errors import InputError
from mstool.scores.metrics import mean_iou

# ITU-R Recommendation BT.709 (2015).
_LUMINANCE = (0.2125, 0.7154, 0.0721)
_MOST_BINS = 256
# Multi-Otsu tries every choice of thresholds among the bins; this many take about 0.1 s.
_MOST_THRESHOLD_CHOICES = 5_000_000
_MOST_CLASSES_TO_TRY_ALL = 5


def majority_baseline(confusions: np.ndarray) -> np.ndarray:
    """Confusion matrices of a prediction that is everywhere the commonest true class.

    It is the commonest of all images (the first, if equal). `confusions` may be of any prediction:
    only their row sums are used.
    """
    support = np.asarray(confusions).sum(axis=-1)
    baseline = np.zeros(np.shape(confusions), np.int64)
    baseline[..., support.sum(axis=0).argmax()] = support
    return baseline


def otsu_labels(image: np.ndarray, n_classes: int) -> np.ndarray:
    """Regions of like brightness, by Otsu's thresholds [1]_ or their extension to many [2]_.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, 3) or (H, W, 4)
        Micrograph, 8 bits, 16 bits or float; of colours the luminance is taken, alpha dropped.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Region of each pixel, 0 the darkest. There are as many as classes, or fewer if the image has
        fewer grey levels; a constant image is region 0. From five on the thresholds are coarse.

    Raises
    ------
    InputError
        If a pixel is NaN or infinite.

    References
    ----------
    .. [1] Otsu, N. (1979). IEEE Trans. Syst. Man Cybern. 9, 62-66.
    .. [2] Liao, P.-S., Chen, T.-S. & Chung, P.-C. (2001). J. Inf. Sci. Eng. 17, 713-727.
    """
    levels, n_bins = _quantise(_luminance(image), _choose_bins(n_classes))
    counts = np.bincount(levels.ravel(), minlength=n_bins)
    is_filled = counts > 0
    if np.count_nonzero(is_filled) <= n_classes:
        region_of_level = np.cumsum(is_filled) - 1
    elif n_classes == 1:
        region_of_level = np.zeros(n_bins)
    else:
        histogram = (counts, np.arange(n_bins))
        thresholds = threshold_multiotsu(classes=n_classes, hist=histogram)
        region_of_level = np.searchsorted(thresholds, np.arange(n_bins), side="left")
    return region_of_level.astype(np.uint8)[levels]


def match_regions(confusion: np.ndarray) -> np.ndarray:
    """Class to give each region so that the mean IoU is as high as can be.

    It looks at the truth, as no real segmentation may: what comes out is the best that these
    regions can score, and says nothing of others, as of other thresholds. Up to five classes every
    map of regions to classes is tried, with several regions to one class too; beyond, only the best
    one-to-one map and the map of regions to their commonest class.

    Parameters
    ----------
    confusion : ndarray of int, shape (C, C)
        Columns are regions; summed over all images.

    Returns
    -------
    ndarray of int64, shape (C,)
        Class of each region.
    """
    confusion = np.asarray(confusion)
    n_classes = len(confusion)
    if n_classes <= _MOST_CLASSES_TO_TRY_ALL:
        candidates = np.indices((n_classes,) * n_classes).reshape(n_classes, -1).T
    else:
        from scipy.optimize import linear_sum_assignment  # 0.1 s that few classes do not need

        pair_iou = _iou_of_pairs(confusion)
        _, one_to_one = linear_sum_assignment(pair_iou.T, maximize=True)
        candidates = np.stack([one_to_one, confusion.argmax(axis=0)])
    scores = mean_iou(relabel_regions(confusion, candidates))
    return candidates[np.argmax(np.nan_to_num(scores))]


def relabel_regions(confusion: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Confusion matrix after each region is given a class.

    Parameters
    ----------
    confusion : ndarray of int, shape (..., C, C)
        Columns are regions.
    classes : ndarray of int, shape (C,) or (..., C)
        Class of each region, as from `match_regions`.
    """
    n_classes = np.shape(confusion)[-1]
    is_given = np.asarray(classes)[..., None] == np.arange(n_classes)
    return np.asarray(confusion, np.int64) @ is_given.astype(np.int64)


def _iou_of_pairs(confusion: np.ndarray) -> np.ndarray:
    """IoU of each true class with each region, shape (C, C); 0 where both are empty."""
    union = confusion.sum(axis=1)[:, None] + confusion.sum(axis=0) - confusion
    return confusion / np.maximum(union, 1)


def _luminance(image: np.ndarray) -> np.ndarray:
    """Grey image, integers left as they are."""
    image = np.asarray(image)
    if image.ndim == 3:
        return image[..., :3] @ np.array(_LUMINANCE)
    return image


def _choose_bins(n_classes: int) -> int:
    """Most grey levels at which multi-Otsu is quick, more than there are regions."""
    n_bins = _MOST_BINS
    while n_bins > n_classes + 1 and comb(n_bins, n_classes - 1) > _MOST_THRESHOLD_CHOICES:
        n_bins -= 1
    return n_bins


def _quantise(grey: np.ndarray, n_bins: int) -> tuple[np.ndarray, int]:
    """Grey level of each pixel, 0 .. n_bins - 1, and the number of levels."""
    if not np.isfinite(grey).all():
        n_wrong = np.count_nonzero(~np.isfinite(grey))
        raise InputError(f"{n_wrong} pixels are NaN or infinite; replace them")
    low, high = float(grey.min()), float(grey.max())
    if low == high:
        return np.zeros(grey.shape, np.intp), 1
    if grey.dtype.kind in "uib" and high - low < n_bins:
        return grey.astype(np.intp) - int(low), int(high - low) + 1
    # A few hot pixels must not squeeze all others into one level.
    inner_low, inner_high = np.percentile(grey, [0.1, 99.9])
    if inner_low < inner_high:
        low, high = inner_low, inner_high
    levels = (np.clip(grey, low, high) - low) * (n_bins / (high - low))
    return np.minimum(levels.astype(np.intp), n_bins - 1), n_bins

"""Intervals of scores and of their differences, over micrographs."""

import numpy as np

from mstool.shift.readings import iou_of, mean_iou_of


def resampled_scores(confusions, seed, units=None, n_resamples=1000):
    """Mean IoU and IoU of each class, pooled over micrographs drawn with replacement.

    Parameters
    ----------
    confusions : ndarray of int, shape (N, K, K)
        Of each micrograph, truth in rows.
    seed : int
        Of the draws.
    units : sequence, length N, optional
        What is drawn; each micrograph by default.
    n_resamples : int
        Draws.

    Returns
    -------
    mean_iou : ndarray of float64, shape (B,)
    iou : ndarray of float64, shape (B, K)
        NaN for a class that no drawn micrograph has.
    """
    confusions = np.asarray(confusions)
    names = list(range(len(confusions))) if units is None else list(units)
    keys = list(dict.fromkeys(names))
    pooled = np.stack(
        [sum(c for c, name in zip(confusions, names, strict=True) if name == key) for key in keys]
    )
    draws = np.random.default_rng(seed).integers(0, len(keys), (n_resamples, len(keys)))
    iou = iou_of(pooled[draws].sum(axis=1))
    known = np.isfinite(iou)
    total = np.where(known, iou, 0).sum(axis=1)
    return total / np.maximum(known.sum(axis=1), 1), iou


def percentile_interval(values, level=0.95):
    """Low and high end of the middle share of values; NaN, NaN if there are fewer than two."""
    finite = np.asarray(values)[np.isfinite(values)]
    if finite.size < 2 or np.ptp(finite) == 0:
        return (float("nan"), float("nan")) if finite.size < 2 else (float(finite[0]),) * 2
    low, high = np.percentile(finite, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def score_interval(confusions, seed, units=None):
    """Mean IoU of pooled counts and its 95 % interval; NaN ends for one unit."""
    names = range(len(confusions)) if units is None else units
    middle = mean_iou_of(np.sum(confusions, axis=0))
    if len(set(names)) < 2:
        return middle, (float("nan"), float("nan"))
    return middle, percentile_interval(resampled_scores(confusions, seed, units)[0])

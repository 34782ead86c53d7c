"""Confidence intervals of scores, by resampling whole images or whole specimens.

Pixels of one image, and images of one specimen, are alike; only units that could have been drawn
independently tell how far a score would move on new material.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mstool.scores.metrics import (
    accuracy_from_margins,
    iou_from_margins,
    margins,
    mean_iou,
    nan_mean,
)

METHOD = "percentile bootstrap"


@dataclass(frozen=True, eq=False)
class Intervals:
    """Confidence intervals of scores of pooled counts, and of the mean over images.

    Each is low, high, shape (2,), and NaN, NaN where undefined.
    """

    level: float
    n_units: int  # that were resampled: images, or groups of images
    mean_iou: np.ndarray
    iou: np.ndarray  # of each class, shape (C, 2)
    accuracy: np.ndarray
    image_mean_iou: np.ndarray  # of the mean over images of each image's mean IoU


def bootstrap_intervals(
    confusions: np.ndarray,
    seed: int,
    units: Sequence | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> Intervals:
    """Percentile bootstrap intervals [1]_ over images, or over groups of images.

    Each resample draws as many units as there are, with replacement, pools their counts and
    computes the scores. A class that no drawn unit has, in truth or prediction, has no IoU in that
    resample: it is left out of that resample's mean IoU, and that resample out of the class's
    interval. The same holds for images without a labelled pixel. With fewer than about 20 units
    such intervals are too narrow; treat them as a lower bound of the uncertainty.

    Returns
    -------
    Intervals
        All NaN if there is but one unit, which tells nothing of how units vary.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 13.
    """
    confusions = np.asarray(confusions)
    drawn = _draw_images(len(confusions), seed, units, n_resamples)
    pooled = tuple(drawn @ counts for counts in margins(confusions))
    class_iou = iou_from_margins(pooled)
    return Intervals(
        level=level,
        n_units=len(set(range(len(confusions)) if units is None else units)),
        mean_iou=percentile_interval(nan_mean(class_iou, axis=-1), level),
        iou=percentile_interval(class_iou, level),
        accuracy=percentile_interval(accuracy_from_margins(pooled), level),
        image_mean_iou=percentile_interval(_weighted_mean(drawn, mean_iou(confusions)), level),
    )


def resample_iou(
    confusions: np.ndarray, seed: int, units: Sequence | None = None, n_resamples: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """Mean IoU and IoU of each class in each resample, of which differences can be taken.

    Returns
    -------
    mean_iou : ndarray of float64, shape (B,)
        Empty with one unit.
    iou : ndarray of float64, shape (B, C)
        NaN for a class that no drawn unit has.
    """
    confusions = np.asarray(confusions)
    drawn = _draw_images(len(confusions), seed, units, n_resamples)
    class_iou = iou_from_margins(tuple(drawn @ counts for counts in margins(confusions)))
    return nan_mean(class_iou, axis=-1), class_iou


def resample_mean(
    values: np.ndarray, seed: int, units: Sequence | None = None, n_resamples: int = 2000
) -> np.ndarray:
    """Mean over the images of each resample.

    Parameters
    ----------
    values : ndarray of float, shape (N, D)
        One row an image, all defined.

    Returns
    -------
    ndarray of float64, shape (B, D)
        Empty with one unit.
    """
    drawn = _draw_images(len(values), seed, units, n_resamples)
    return drawn @ values / drawn.sum(axis=1, keepdims=True)


def mean_iou_with_interval(
    confusions: np.ndarray, seed: int, units: Sequence | None = None, level: float = 0.95
) -> tuple[float, np.ndarray]:
    """Mean IoU of pooled counts, and its interval, shape (2,); see `bootstrap_intervals`."""
    resampled, _ = resample_iou(confusions, seed, units)
    pooled = np.asarray(confusions).sum(axis=0)
    return float(mean_iou(pooled)), percentile_interval(resampled, level)


def percentile_interval(resampled: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Low and high over the first axis, on a new last axis; resamples that are NaN left out."""
    columns = resampled.reshape(len(resampled), prod(resampled.shape[1:]))
    interval = np.full((columns.shape[1], 2), np.nan)
    is_defined = ~np.isnan(columns).all(axis=0)
    if is_defined.any():
        percentiles = [50 * (1 - level), 50 * (1 + level)]
        interval[is_defined] = np.nanpercentile(columns[:, is_defined], percentiles, axis=0).T
    return interval.reshape(*resampled.shape[1:], 2)


def _draw_images(n_images: int, seed: int, units: Sequence | None, n_resamples: int) -> np.ndarray:
    """How often each image is drawn in each resample, shape (B, N)."""
    units = range(n_images) if units is None else units
    if len(units) != n_images:
        raise ValueError(f"{len(units)} units for {n_images} images; give one an image")
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    n_units = len(numbers)
    if n_units < 2:
        return np.zeros((0, n_images))  # without resamples every interval is NaN
    shares = np.full(n_units, 1 / n_units)
    draws = np.random.default_rng(seed).multinomial(n_units, shares, size=n_resamples)
    return draws[:, [numbers[unit] for unit in units]].astype(float)


def _weighted_mean(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Mean of the defined scores under each row of weights; NaN where none has weight."""
    is_defined = ~np.isnan(scores)
    total = weights[:, is_defined].sum(axis=1)
    undefined = np.full(len(weights), np.nan)
    return np.divide(
        weights[:, is_defined] @ scores[is_defined], total, out=undefined, where=total > 0
    )

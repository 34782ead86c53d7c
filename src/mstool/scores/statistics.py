"""Intervals of scores, the micrograph or the specimen being the unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mstool.chance.intervals import LEAST_UNITS, difference_interval, jackknife_interval
from mstool.chance.units import sum_by_unit
from mstool.scores.metrics import (
    accuracy_from_margins,
    iou_from_margins,
    margins,
    mean_iou,
    nan_mean,
)


@dataclass(frozen=True, eq=False)
class Scored:
    """A value of each score that has an interval: of pooled counts, and of the mean over images.

    The values may be plain, intervals of shape (2,) or any others; `iou` has one a class, first.
    """

    mean_iou: np.ndarray
    image_mean_iou: np.ndarray  # of the mean over images of each image's mean IoU
    accuracy: np.ndarray
    iou: np.ndarray  # of each class, shape (C, ...)

    @classmethod
    def from_vector(cls, vector: np.ndarray) -> "Scored":
        """From what `scores_of_sums` gives, or anything with a row for each of its scores."""
        return cls(*vector[:3], vector[3:])


@dataclass(frozen=True, eq=False)
class Intervals:
    """Confidence intervals, each low, high, shape (2,), and NaN, NaN where undefined."""

    level: float
    n_units: int  # images, or groups of images
    n_units_with: np.ndarray  # those that have each class, (C,)
    scores: Scored


def unit_sums(confusions: np.ndarray, units: Sequence | None = None) -> np.ndarray:
    """What the scores of pooled counts and of the mean over images are made of, and adds up.

    Returns
    -------
    ndarray of float64, shape (U, 3 C + 2)
        Right, true and predicted pixels of each class, sum of the mean IoU of images, and number of
        images that have one.
    """
    confusions = np.asarray(confusions)
    of_images = np.atleast_1d(mean_iou(confusions))
    is_defined = ~np.isnan(of_images)
    columns = [*margins(confusions), np.nan_to_num(of_images)[:, None], is_defined[:, None]]
    return sum_by_unit(np.concatenate(columns, axis=1).astype(float), units)


def scores_of_sums(sums: np.ndarray) -> np.ndarray:
    """Scores of sums (..., 3 C + 2) over `unit_sums`.

    Returns
    -------
    ndarray of float64, shape (..., 3 + C)
        Mean IoU, mean over images, accuracy, IoU of each class.
    """
    n_classes = sums.shape[-1] // 3
    counts = tuple(sums[..., k * n_classes : (k + 1) * n_classes] for k in range(3))
    class_iou = iou_from_margins(counts)
    total, n_images = sums[..., -2], sums[..., -1]
    over_images = np.divide(
        total, n_images, out=np.full(np.shape(total), np.nan), where=n_images > 0.5
    )
    first = (nan_mean(class_iou, axis=-1), over_images, accuracy_from_margins(counts))
    return np.concatenate([np.stack(first, axis=-1), class_iou], axis=-1)


def leave_out(
    sums: np.ndarray, of: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """What `of` gives without each of U rows in turn, (U, S), and of all of them, (S,)."""
    total = sums.sum(axis=0)
    return of(total - sums), of(total)


def count_units_with(sums: np.ndarray) -> np.ndarray:
    """Number of units that have each class, in truth or prediction: (C,)."""
    n_classes = sums.shape[1] // 3
    union = sums[:, n_classes : 2 * n_classes] + sums[:, 2 * n_classes : 3 * n_classes]
    return np.count_nonzero(union > 0, axis=0)


def score_intervals(
    confusions: np.ndarray,
    units: Sequence | None = None,
    level: float = 0.95,
    by_run: np.ndarray | None = None,
) -> Intervals:
    """Intervals over images, or over groups of images; see `jackknife_interval`.

    A class that fewer than four units have, in truth or prediction, has none. The mean IoU is that
    of the classes that there are. Where `confusions` are the sums over several runs, their own,
    shape (R, N, C, C), add what differs between runs.
    """
    sums = unit_sums(confusions, units)
    runs = () if by_run is None else by_run
    of_runs = np.array([scores_of_sums(unit_sums(one, units).sum(axis=0)) for one in runs])
    found = jackknife_interval(*leave_out(sums, scores_of_sums), level, by_run=of_runs)
    n_units_with = count_units_with(sums)
    found[3:][n_units_with < LEAST_UNITS] = np.nan
    return Intervals(level, len(sums), n_units_with, Scored.from_vector(found))


def difference_of_sets(
    ours: np.ndarray,
    theirs: np.ndarray,
    units: tuple[Sequence | None, Sequence | None] = (None, None),
    level: float = 0.95,
) -> Scored:
    """Intervals of the scores of one set less those of another; see `difference_interval`.

    A class has one if four units of each set have it, in truth or prediction.

    Parameters
    ----------
    ours, theirs : ndarray of int, shape (N, C, C) and (M, C, C)
        Confusion matrices of images that have nothing in common.
    units : tuple of sequence, optional
        Unit of each image of either set, where these are not the units.
    """
    sums = [unit_sums(*one) for one in zip((ours, theirs), units, strict=True)]
    found = difference_interval(*(leave_out(one, scores_of_sums) for one in sums), level)
    is_rare = np.minimum(*map(count_units_with, sums)) < LEAST_UNITS
    found[3:][is_rare] = np.nan
    return Scored.from_vector(found)


def mean_iou_with_interval(
    confusions: np.ndarray, units: Sequence | None = None, level: float = 0.95
) -> tuple[float, np.ndarray]:
    """Mean IoU of pooled counts, and its interval, shape (2,); see `score_intervals`."""
    pooled = np.asarray(confusions).sum(axis=0)
    return float(mean_iou(pooled)), score_intervals(confusions, units, level).scores.mean_iou

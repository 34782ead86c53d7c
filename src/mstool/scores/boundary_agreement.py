"""How well the contours of a mask follow those of the truth, class by class.

What the scores mean is said in `mstool.scores.contract`. Counts of several label maps add up, so
that pooled scores weigh every contour pixel the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mstool.scores.contours import grow, trace_contours
from mstool.scores.metrics import safe_ratio

_IGNORED = 255
_SHARE = 0.95  # of contour pixels that the 95 % Hausdorff distance holds for


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of contour pixels to the other contour, each with how often it occurs."""

    lengths: np.ndarray  # float64, shape (n,), ascending
    counts: np.ndarray  # int64, shape (n,)

    def mean(self) -> float:
        """NaN where there is none."""
        return float(safe_ratio(self.lengths @ self.counts, self.counts.sum()))

    def quantile(self, share: float) -> float:
        """As ``numpy.quantile`` of the distances one by one; NaN where there is none."""
        n_pixels = int(self.counts.sum())
        if not n_pixels:
            return np.nan
        position = share * (n_pixels - 1)
        below, above = np.floor(position), np.ceil(position)
        low, high = self.lengths[np.searchsorted(self.counts.cumsum(), [below, above], "right")]
        return float(low + (high - low) * (position - below))

    def scaled(self, factor: float) -> "Distances":
        """The same in another unit."""
        return replace(self, lengths=self.lengths * factor)


@dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """What boundary scores are made of; arrays are int64, shape (C,).

    `distances` are those of the contour pixels of both sides, of each class, in pixels, or in what
    they were scaled to.
    """

    n_truth: np.ndarray  # contour pixels
    n_mask: np.ndarray
    near_truth: np.ndarray  # of these, those within the tolerance of the other contour
    near_mask: np.ndarray
    n_unmatched: np.ndarray  # those without any contour of the class on the other side
    rim_both: np.ndarray  # pixels of the rim of the class on both sides
    rim_any: np.ndarray  # pixels of the rim of the class on one side, or both
    distances: tuple[Distances, ...]

    def scaled(self, factor: float) -> "BoundaryCounts":
        """The same with distances in another unit."""
        return replace(self, distances=tuple(one.scaled(factor) for one in self.distances))


@dataclass(frozen=True, eq=False)
class BoundaryScores:
    """Boundary scores of each class, shape (C,); NaN where undefined."""

    boundary_iou: np.ndarray
    boundary_f1: np.ndarray
    boundary_precision: np.ndarray
    boundary_recall: np.ndarray
    hausdorff95: np.ndarray  # [px], or what the counts were scaled to
    surface_distance: np.ndarray  # the same unit


def count_boundaries(
    truth: np.ndarray, mask: np.ndarray, n_classes: int, tolerance: float
) -> BoundaryCounts:
    """Compare the contours of two label maps.

    Parameters
    ----------
    tolerance : float
        Width of the rim of a class, and the distance up to which contours agree [px].
    """
    mask = np.where(truth == _IGNORED, np.uint8(_IGNORED), mask)
    contours = trace_contours(truth), trace_contours(mask)
    both, either = _count_rims((truth, mask), contours, n_classes, tolerance)
    places = [np.argwhere(contour) for contour in contours]
    classes = [labels[contour] for labels, contour in zip((truth, mask), contours, strict=True)]
    found = []
    for index in range(n_classes):
        sides = [at[names == index] for at, names in zip(places, classes, strict=True)]
        found.append(_compare(*sides, tolerance))
    columns = [
        np.array(column, np.int64) for column in zip(*(one[0] for one in found), strict=True)
    ]
    return BoundaryCounts(*columns, both, either, tuple(one[1] for one in found))


def pool_boundaries(counts: Sequence[BoundaryCounts]) -> BoundaryCounts:
    """Counts of several label maps as if their pixels lay side by side."""
    sums = {
        name: np.sum([getattr(one, name) for one in counts], axis=0)
        for name in BoundaryCounts.__dataclass_fields__
        if name != "distances"
    }
    by_class = zip(*(one.distances for one in counts), strict=True)
    return BoundaryCounts(**sums, distances=tuple(map(_merge, by_class)))


def score_boundaries(counts: BoundaryCounts) -> BoundaryScores:
    """Scores of one label map, or of what `pool_boundaries` gives."""
    precision = safe_ratio(counts.near_mask, counts.n_mask)
    recall = safe_ratio(counts.near_truth, counts.n_truth)
    total = counts.n_truth + counts.n_mask
    both = np.nan_to_num(precision) + np.nan_to_num(recall)
    f1 = safe_ratio(2 * np.nan_to_num(precision) * np.nan_to_num(recall), both)
    return BoundaryScores(
        boundary_iou=safe_ratio(counts.rim_both, counts.rim_any),
        boundary_f1=np.where((total > 0) & (both == 0), 0.0, f1),
        boundary_precision=precision,
        boundary_recall=recall,
        hausdorff95=np.array([one.quantile(_SHARE) for one in counts.distances]),
        surface_distance=np.array([one.mean() for one in counts.distances]),
    )


def _count_rims(labels, contours, n_classes, width) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in the rim of each class on both sides, and on any side."""
    truth, mask = labels
    near_truth, near_mask = (grow(contour, width) for contour in contours)
    both = np.bincount(truth[near_truth & near_mask & (truth == mask)], minlength=256)
    sides = [
        np.bincount(one[near], minlength=256)
        for one, near in zip(labels, (near_truth, near_mask), strict=True)
    ]
    return both[:n_classes], (sides[0] + sides[1] - both)[:n_classes]


def _compare(truth: np.ndarray, mask: np.ndarray, tolerance: float):
    """Counts of contour pixels of one class, and their distances; from places, shape (n, 2)."""
    n_truth, n_mask = len(truth), len(mask)
    if not (n_truth and n_mask):
        return (n_truth, n_mask, 0, 0, n_truth + n_mask), _tally(np.empty(0, np.int64))
    squared = [_squared_distances(*pair) for pair in ((truth, mask), (mask, truth))]
    near = [np.count_nonzero(one <= tolerance**2) for one in squared]
    return (n_truth, n_mask, *near, 0), _tally(np.concatenate(squared))


def _squared_distances(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distance [px^2] of each place to the nearest other; int64, exact."""
    from scipy.spatial import cKDTree  # 0.1 s that scores without boundaries do not need

    found, _ = cKDTree(others, balanced_tree=False, compact_nodes=False).query(places)
    return np.rint(found**2).astype(np.int64)


def _tally(squared: np.ndarray) -> Distances:
    values, counts = np.unique(squared, return_counts=True)
    return Distances(np.sqrt(values), counts)


def _merge(parts: Sequence[Distances]) -> Distances:
    lengths, places = np.unique(np.concatenate([one.lengths for one in parts]), return_inverse=True)
    counts = np.concatenate([one.counts for one in parts])
    return Distances(lengths, np.bincount(places, counts, len(lengths)).astype(np.int64))

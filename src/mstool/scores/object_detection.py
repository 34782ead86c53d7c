"""Objects of a class, such as particles, that a mask finds, misses or makes up."""

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import label

from mstool.scores.metrics import safe_ratio

_IGNORED = 255
_EIGHT_NEIGHBOURS = np.ones((3, 3))


@dataclass(frozen=True)
class ObjectCounts:
    """Objects of one class; counts of several label maps add up."""

    n_truth: int = 0
    n_mask: int = 0
    n_matched: int = 0
    iou_sum: float = 0.0  # of the matched pairs

    def __add__(self, other: "ObjectCounts") -> "ObjectCounts":
        return ObjectCounts(
            *(getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        )


@dataclass(frozen=True)
class DetectionScores:
    """Scores of detection; NaN where undefined."""

    precision: float
    recall: float
    f1: float
    matched_iou: float  # mean IoU of the matched pairs


def count_objects(truth: np.ndarray, mask: np.ndarray, index: int) -> ObjectCounts:
    """Match the objects of a class: pieces that hang together, over corners too.

    A piece of the mask and one of the truth match if their IoU is above 1/2, so that none can match
    two others [1]_. Pixels that the truth leaves out belong to no object.

    Parameters
    ----------
    index : int
        The class.

    References
    ----------
    .. [1] Kirillov, A. et al. (2019). Panoptic segmentation. CVPR, 9404-9413.
    """
    is_used = truth != _IGNORED
    true_pieces, n_truth = label(truth == index, _EIGHT_NEIGHBOURS)
    mask_pieces, n_mask = label((mask == index) & is_used, _EIGHT_NEIGHBOURS)
    areas = [
        np.bincount(one.ravel(), minlength=n + 1)
        for one, n in ((true_pieces, n_truth), (mask_pieces, n_mask))
    ]
    is_shared = (true_pieces > 0) & (mask_pieces > 0)
    pairs = true_pieces[is_shared].astype(np.int64) * (n_mask + 1) + mask_pieces[is_shared]
    codes, shared = np.unique(pairs, return_counts=True)
    union = areas[0][codes // (n_mask + 1)] + areas[1][codes % (n_mask + 1)] - shared
    is_match = 2 * shared > union
    iou_sum = float((shared[is_match] / union[is_match]).sum())
    return ObjectCounts(n_truth, n_mask, int(is_match.sum()), iou_sum)


def score_objects(counts: ObjectCounts) -> DetectionScores:
    """Scores of one label map, or of the sum over several."""
    return DetectionScores(
        precision=float(safe_ratio(counts.n_matched, counts.n_mask)),
        recall=float(safe_ratio(counts.n_matched, counts.n_truth)),
        f1=float(safe_ratio(2 * counts.n_matched, counts.n_mask + counts.n_truth)),
        matched_iou=float(safe_ratio(counts.iou_sum, counts.n_matched)),
    )

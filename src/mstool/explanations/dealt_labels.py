"""Labels that mean nothing, on the same shapes, and whether maps notice."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mstool.explanations.means import finite_mean
from mstool.explanations.similarity import spearman
from mstool.explanations.verdicts import judge_labels
from mstool.labels.legend import IGNORE_INDEX


@dataclass(frozen=True)
class LabelDependence:
    """How far a map depends on what labels mean.

    Absolute rank correlation with the map of a network with true labels, and of one with permuted
    labels [1]; NaN if either has no map.
    """

    retrained: float
    permuted: float
    gap: float  # their difference
    verdict: str  # pass or inconclusive


@dataclass(frozen=True)
class LabelRandomisation:
    """What fresh networks with true and with permuted labels show."""

    n_units: int
    n_regions: int
    n_windows: int  # that both networks were fitted to
    source: str  # of what they were fitted to: labels or prediction
    changed_share: float  # of the pixels, by the permutation [1]
    accuracy: dict[str, float]  # of retrained and permuted on what they were fitted to [1]
    methods: dict[str, LabelDependence]
    left_out: tuple[str, ...] = ()


def permute_components(labels, rng):
    """Deal the classes of the connected components of a label map among them, in a copy.

    Borders stay where they are, so that a network can learn the result as well as the truth, but
    not from what distinguishes the phases. Ignored pixels stay.

    Examples
    --------
    >>> labels = np.array([[0, 0, 1, 1, 0, 2]], np.uint8)
    >>> permute_components(labels, np.random.default_rng(2))
    array([[2, 2, 0, 0, 1, 0]], dtype=uint8)
    """
    numbers = np.zeros(labels.shape, np.int64)
    classes = [IGNORE_INDEX]
    for index in np.unique(labels[labels != IGNORE_INDEX]):
        components, n = ndimage.label(labels == index)
        numbers[components > 0] = components[components > 0] + len(classes) - 1
        classes += [index] * n
    dealt = np.array([IGNORE_INDEX, *rng.permutation(classes[1:])], np.uint8)
    return dealt[numbers]


def weigh_labels(own, retrained, permuted, windows, accuracy, limits) -> LabelDependence:
    """Which of two networks the maps of one method are nearer to, and the verdict.

    Parameters
    ----------
    own, retrained, permuted : sequence of ndarray of float, shape (H, W)
        Maps of the network itself, of one with true, and of one with permuted labels.
    windows : sequence of ndarray of bool, shape (H, W)
        Where they are compared.
    accuracy : float
        The lesser accuracy of the two on what they were fitted to [1].
    """
    to_true, to_false = (
        finite_mean(map(abs, map(spearman, own, others, windows)))
        for others in (retrained, permuted)
    )
    gap = to_true - to_false
    return LabelDependence(to_true, to_false, gap, judge_labels(gap, accuracy, limits))

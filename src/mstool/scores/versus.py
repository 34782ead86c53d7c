"""Whether one segmentation of the same micrographs is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from mstool.chance.intervals import LEAST_UNITS, jackknife_error, jackknife_interval
from mstool.chance.p_values import holm, p_value
from mstool.chance.power import ALPHA, least_difference, units_needed
from mstool.chance.swaps import smallest_swap_p, swap_pairs
from mstool.scores.statistics import (
    Scored,
    count_units_with,
    leave_out,
    scores_of_sums,
    unit_sums,
)

# Two models fail on the same micrographs; in the sets of benchmarks/coverage.py no score of two
# correlates by less.
ASSUMED_CORRELATION = 0.75


@dataclass(frozen=True, eq=False)
class Versus:
    """Scores of ours less those of others, paired by unit; each has one row a score.

    The rows are those of `scores_of_sums`.
    """

    n_units: int
    smallest_p: float  # that so many units can give
    theirs: np.ndarray  # scores of the others
    difference: np.ndarray
    interval: np.ndarray  # low and high: (S, 2)
    p: np.ndarray  # two-sided, of swapping the two in whole units
    least_difference: np.ndarray  # that so many units find in 80 of 100 studies
    n_needed: tuple[int | None, ...]  # units to find the difference in 80 of 100 studies


def compare_scores(
    ours: np.ndarray,
    theirs: np.ndarray,
    units: Sequence | None,
    seed: int,
    level: float = 0.95,
    by_run: np.ndarray | None = None,
) -> Versus:
    """Differences of scores with intervals and permutation tests.

    Parameters
    ----------
    ours, theirs : ndarray of int, shape (N, C, C)
        Confusion matrices of the same micrographs, segmented in two ways.
    by_run : ndarray of float, shape (R, S), optional
        Difference of each score in each run, where the matrices are sums over several: what differs
        between runs is then added to the interval, and to nothing else.

    Raises
    ------
    ValueError
        If the truth is not the same.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or (ours.sum(axis=2) != theirs.sum(axis=2)).any():
        raise ValueError("two segmentations of the same truth can be compared, and no others")
    sums = [unit_sums(one, units) for one in (ours, theirs)]
    (left_ours, of_ours), (left_theirs, of_theirs) = (leave_out(s, scores_of_sums) for s in sums)
    left_out, difference = left_ours - left_theirs, of_ours - of_theirs
    interval = jackknife_interval(left_out, difference, level, False, by_run)
    interval[3:][count_units_with(sums[0] + sums[1]) < LEAST_UNITS] = np.nan
    spread = jackknife_error(left_out)[0] * np.sqrt(len(left_out))
    n_units = len(left_out)
    return Versus(
        n_units,
        smallest_swap_p(n_units),
        of_theirs,
        difference,
        interval,
        _p_of_swaps(*sums, seed),
        np.array([least_difference(one, n_units) for one in spread]),
        tuple(map(_units_needed, difference, spread)),
    )


def correct_for_number(comparisons: Sequence[Versus]) -> list[np.ndarray]:
    """P of each score after Holm's correction for the number of comparisons, (S,) each.

    Scores of classes are corrected for the number of classes as well.
    """
    p = np.stack([one.p for one in comparisons])
    families = [slice(0, 1), slice(1, 2), slice(2, 3), slice(3, None)]
    return [*np.hstack([_corrected(p[:, family]) for family in families])]


def _corrected(p: np.ndarray) -> np.ndarray:
    corrected = holm(dict(enumerate(p.ravel())))
    return np.array([*corrected.values()]).reshape(p.shape)


def can_distinguish(n_units: int, n_comparisons: int = 1) -> bool:
    """Whether so many units can give a corrected p of 5 %."""
    return smallest_swap_p(n_units) * n_comparisons <= ALPHA


def assumed_least_difference(confusions: np.ndarray, units: Sequence | None) -> Scored:
    """Smallest differences that so many units could show, of a model that is not at hand.

    It is taken to vary between units as this one does, and to correlate with it by
    `ASSUMED_CORRELATION`.
    """
    left_out, _ = leave_out(unit_sums(confusions, units), scores_of_sums)
    n_units = len(left_out)
    spread = jackknife_error(left_out)[0] * np.sqrt(n_units * 2 * (1 - ASSUMED_CORRELATION))
    return Scored.from_vector(np.array([least_difference(one, n_units) for one in spread]))


def _units_needed(difference: float, spread: float) -> int | None:
    """Units to find a difference in 80 of 100 studies; not fewer than give a p of 5 %."""
    needed = units_needed(difference, spread)
    return needed and max(needed, next(filter(can_distinguish, count(1))))


def _p_of_swaps(ours: np.ndarray, theirs: np.ndarray, seed: int) -> np.ndarray:
    sizes = np.abs(swap_pairs(ours, theirs, scores_of_sums, seed))
    sizes[1:][np.isnan(sizes[1:])] = np.inf  # where swaps leave a score undefined, it tells nothing
    return np.array([p_value(column) for column in sizes.T])

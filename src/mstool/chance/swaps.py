"""Whether pairs differ by more than chance: a unit may swap its two sides, or change its sign."""

from collections.abc import Callable, Sequence

import numpy as np

_MOST_ENUMERATED_UNITS = 15
_DRAWS = 9999
_SIGN_FLIPS = 2**13  # all of them, up to 13 differences


def swap_pairs(
    ours: np.ndarray, theirs: np.ndarray, of: Callable[[np.ndarray], np.ndarray], seed: int
) -> np.ndarray:
    """Differences of what is measured of the sums of two sides, each unit swapped or not.

    Up to 15 units every way to swap is taken, beyond 9999 are drawn. To swap all units only turns
    the sign of a difference, so that the first unit stays where it is.

    Parameters
    ----------
    ours, theirs : ndarray, shape (U, D)
        Counts of each unit on either side, which add up.
    of : callable
        Gives S measures, (..., S), of sums (..., D).

    Returns
    -------
    ndarray of float64, shape (B, S)
        Ours less theirs; the first as it was seen.
    """
    swapped = _draw_swaps(len(ours), seed).astype(float)
    moved = swapped @ (theirs - ours)
    return of(ours.sum(axis=0) + moved) - of(theirs.sum(axis=0) - moved)


def is_enumerated(n_units: int) -> bool:
    """Whether `swap_pairs` takes every way to swap, so that its p is exact."""
    return n_units <= _MOST_ENUMERATED_UNITS


def smallest_swap_p(n_units: int) -> float:
    """Smallest two-sided p that `swap_pairs` of so many units can give.

    Examples
    --------
    >>> smallest_swap_p(4)
    0.125
    """
    return 2.0 ** (1 - n_units) if is_enumerated(n_units) else 1 / (_DRAWS + 1)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Probability of so large a mean difference if the sign of each were chance.

    It is one-sided, exact up to 13 differences, and NaN for fewer than two.

    Examples
    --------
    >>> sign_flip_p([0.5, 0.2, 0.1])
    0.125
    """
    if len(differences) < 2:
        return float("nan")
    from scipy import stats  # 0.5 s that most scores do not need

    result = stats.permutation_test(
        (np.asarray(differences, float),),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        alternative="greater",
        n_resamples=_SIGN_FLIPS,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def least_attainable_p(n: int) -> float:
    """Smallest one-sided p that `sign_flip_p` of n pairs can give.

    Examples
    --------
    >>> least_attainable_p(4)
    0.0625
    """
    return max(2.0**-n, 1 / (_SIGN_FLIPS + 1))


def least_pairs(alpha: float) -> int:
    """Fewest pairs that can show anything when the better, or worse, of two measures is picked.

    Each of the two then has half of `alpha`.

    Examples
    --------
    >>> least_pairs(0.05)
    6
    """
    return int(np.floor(np.log2(2 / alpha))) + 1


def _draw_swaps(n_units: int, seed: int) -> np.ndarray:
    """Which units are swapped, bool (B, U); none of them in the first row."""
    if is_enumerated(n_units):
        ways = np.arange(2 ** (n_units - 1))[:, None]
        return (ways >> np.arange(n_units) & 1)[:, ::-1].astype(bool)
    swaps = np.random.default_rng(seed).integers(0, 2, (_DRAWS + 1, n_units)).astype(bool)
    swaps[0] = False
    return swaps

"""How small a difference so many units can show, and how many units a difference needs."""

from functools import cache

import numpy as np

from mstool.chance.intervals import LEAST_UNITS

ALPHA, POWER = 0.05, 0.8
_MOST_UNITS = 100_000
_MANY = 1000  # from here on Student's t is the normal distribution


def least_difference(spread: float, n_units: int) -> float:
    """Smallest mean difference that a paired t test at 5 % finds in 80 of 100 studies.

    Parameters
    ----------
    spread : float
        Standard deviation of the difference between units.

    Returns
    -------
    float
        In the unit of `spread`; NaN with fewer than four units.

    Examples
    --------
    >>> round(least_difference(0.1, 10), 3)
    0.1
    """
    if n_units < LEAST_UNITS or not np.isfinite(spread):
        return float("nan")
    return float(_shift_needed(n_units) * spread / np.sqrt(n_units))


def units_needed(difference: float, spread: float) -> int | None:
    """Fewest units with which `difference` would be found in 80 of 100 studies.

    None if it takes more than 100,000, or is undefined.

    Examples
    --------
    >>> units_needed(0.1, 0.1)
    10
    """
    difference = abs(difference)
    if not (np.isfinite(spread) and difference > 0):
        return None
    low, high = LEAST_UNITS, _MOST_UNITS
    if least_difference(spread, high) > difference:
        return None
    while low < high:
        middle = (low + high) // 2
        enough = least_difference(spread, middle) <= difference
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


@cache
def _shift_needed(n_units: int) -> float:
    """Mean difference, in standard errors, that a t test at 5 % finds in 80 of 100 studies."""
    from scipy.optimize import brentq  # 0.1 s that most scores do not need

    return brentq(lambda shift: _power(shift, n_units) - POWER, 0, 100, xtol=1e-6)


def _power(noncentrality: float, n_units: int) -> float:
    """Chance that a two-sided t test at 5 % finds a shift of so many standard errors."""
    from scipy import stats  # 0.5 s that most scores do not need

    if n_units > _MANY:
        return float(stats.norm.sf(stats.norm.isf(ALPHA / 2) - noncentrality))
    freedom = n_units - 1
    return float(stats.nct.sf(stats.t.isf(ALPHA / 2, freedom), freedom, noncentrality))

"""Intervals that hold with few units, from what is measured without each unit in turn."""

import numpy as np
from scipy.special import expit, logit, stdtrit

from mstool.chance.coverage import COVERAGE

METHOD = "jackknife t, logit scale"
METHOD_OF_DIFFERENCES = "jackknife t"
LEAST_UNITS = 4  # fewer tell next to nothing of how units vary
# Chosen on simulated studies (benchmarks/coverage.py) so that intervals cover 95 % from 6 units on.
_FREEDOM_PER_UNIT = 1.2
_LEAST_FREEDOM = 1.5
_ROUNDING = 1e-12
_EDGE = 1e-6  # scores nearer to 0 or 1 have no finite logit


def jackknife_interval(
    left_out: np.ndarray,
    estimate: np.ndarray,
    level: float = 0.95,
    is_share: bool = True,
    by_run: np.ndarray | None = None,
) -> np.ndarray:
    """Interval of Student's t with the standard error of the jackknife [1]_.

    Shares from 0 to 1 are taken on the logit scale, where they vary more evenly, and the interval
    stays between 0 and 1. The degrees of freedom are those of the units that make the error: with
    one micrograph that is unlike the others there is little to go by, however many the others are.

    Where the same was measured in several runs, which share the units and differ in seeds or
    splits, the variance of their mean is added, and degrees of freedom are combined [2]_: the
    interval is then one for other units and other runs.

    Parameters
    ----------
    estimate : ndarray of float, shape (...)
        What is measured of all units.
    is_share : bool
        Whether it is a share; otherwise, such as a difference, it is taken as it is.
    by_run : ndarray of float, shape (R, ...), optional
        What is measured in each run; of one run, as without.

    Returns
    -------
    ndarray of float64, shape (..., 2)
        Low and high; NaN with fewer than four units, where a value is undefined without one of
        them, and where leaving out changes nothing, which says not how units vary.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 11.
    .. [2] Satterthwaite, F. E. (1946). Biometrics Bull. 2, 110-114.
    """
    estimate = np.asarray(estimate, float)
    if len(left_out) < LEAST_UNITS:
        return np.full((*estimate.shape, 2), np.nan)
    scaled = _to_logit if is_share else np.asarray
    middle = scaled(estimate)
    error, freedom = jackknife_error(scaled(left_out))
    if by_run is not None and len(by_run) > 1:
        error, freedom = _with_runs(error, freedom, scaled(by_run))
    interval = _interval_of_t(middle, error, freedom, level)
    return expit(interval) if is_share else interval


def mean_interval(
    values: np.ndarray, level: float = 0.95, by_run: np.ndarray | None = None
) -> np.ndarray:
    """Interval of the mean over units, low and high; `jackknife_interval` of what is no share.

    Parameters
    ----------
    values : ndarray of float, shape (U,)
        One of each unit, all defined.
    by_run : ndarray of float, shape (R,), optional
        The mean in each run.
    """
    values = np.asarray(values, float)
    if len(values) < LEAST_UNITS:
        return np.full(2, np.nan)
    mean = values.mean()
    left_out = mean + (mean - values) / (len(values) - 1)
    return jackknife_interval(left_out, mean, level, is_share=False, by_run=by_run)


def difference_interval(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray], level: float = 0.95
) -> np.ndarray:
    """Interval of what is measured of one set less that of another, which shares no unit with it.

    It is that of Welch's t [1]_, with the errors and degrees of freedom of `jackknife_error`.

    Parameters
    ----------
    ours, theirs : tuple of ndarray
        What is measured without each of the units in turn, (U, ...), and of all of them, (...).

    Returns
    -------
    ndarray of float64, shape (..., 2)
        Low and high; NaN with fewer than four units in either set, where a value is undefined
        without one of them, and where leaving out changes nothing in either.

    References
    ----------
    .. [1] Welch, B. L. (1947). Biometrika 34, 28-35.
    """
    difference = np.asarray(ours[1] - theirs[1], float)
    if min(len(ours[0]), len(theirs[0])) < LEAST_UNITS:
        return np.full((*difference.shape, 2), np.nan)
    parts = [jackknife_error(np.asarray(left_out)) for left_out, _ in (ours, theirs)]
    return _interval_of_t(difference, *_add_errors(*parts), level)


def _interval_of_t(middle, error, freedom, level: float) -> np.ndarray:
    """Interval of Student's t, (..., 2); NaN where the error is 0 or undefined."""
    interval = np.full((*middle.shape, 2), np.nan)
    is_known = np.isfinite(error) & np.isfinite(middle) & (error > _ROUNDING)
    reach = stdtrit(freedom[is_known], (1 + level) / 2) * error[is_known]
    interval[is_known] = middle[is_known][..., None] + reach[..., None] * np.array([-1, 1])
    return interval


def jackknife_error(left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard error, and the degrees of freedom that it is known with; shapes (...).

    Of the changes d that leaving out makes, (sum of d^2)^2 / sum of d^4 counts those that matter.
    """
    n_units = len(left_out)
    squares = (left_out - left_out.mean(axis=0)) ** 2
    total = squares.sum(axis=0)
    error = np.sqrt((n_units - 1) / n_units * total)
    fourth = (squares**2).sum(axis=0)
    n_that_matter = np.divide(
        total**2, fourth, out=np.full(np.shape(total), float(n_units)), where=fourth > 0
    )
    return error, np.clip(_FREEDOM_PER_UNIT * n_that_matter, _LEAST_FREEDOM, n_units - 1)


def _with_runs(
    error: np.ndarray, freedom: np.ndarray, by_run: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard error and degrees of freedom with the variance of the mean of R runs, (R, ...)."""
    n_runs = len(by_run)
    of_runs = by_run.std(axis=0, ddof=1) / np.sqrt(n_runs)
    return _add_errors((error, freedom), (of_runs, n_runs - 1))


def _add_errors(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Standard error of a sum of independent parts, and its degrees of freedom, by theirs."""
    total = sum(error**2 for error, _ in parts)
    shares = sum(error**4 / freedom for error, freedom in parts)
    freedom = np.array(np.broadcast_to(parts[0][1], np.shape(total)), float)
    return np.sqrt(total), np.divide(total**2, shares, out=freedom, where=shares > 0)


def simulated_coverage(score: str, n_units: int) -> tuple[float, float]:
    """How often intervals at 95 % held in simulated studies with so many units: lowest, highest.

    Parameters
    ----------
    score : str
        ``mean_iou``, ``image_mean_iou``, ``accuracy``, ``iou`` or ``difference``.

    Returns
    -------
    tuple of float
        That of the next smaller number that was simulated; NaN with fewer than four units.
    """
    smaller = [n for n in COVERAGE[score] if n <= n_units]
    return COVERAGE[score][max(smaller)] if smaller else (float("nan"), float("nan"))


def _to_logit(share: np.ndarray) -> np.ndarray:
    return logit(np.clip(share, _EDGE, 1 - _EDGE))

"""How far results move when units are drawn again, with replacement."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from mstool.chance.units import number_of_each


def draw_counts(
    n_rows: int, seed: int, units: Sequence | None = None, n_resamples: int = 2000
) -> np.ndarray:
    """How often each row is drawn in each resample, which has as many units as there are.

    Returns
    -------
    ndarray of float64, shape (B, N)
        Without rows if there is but one unit, so that every interval is undefined.
    """
    number = number_of_each(n_rows, units)
    n_units = len(set(number.tolist()))
    if n_units < 2:
        return np.zeros((0, n_rows))
    shares = np.full(n_units, 1 / n_units)
    draws = np.random.default_rng(seed).multinomial(n_units, shares, size=n_resamples)
    return draws[:, number].astype(float)


def resample_mean(
    values: np.ndarray, seed: int, units: Sequence | None = None, n_resamples: int = 2000
) -> np.ndarray:
    """Mean over the rows of each resample.

    Parameters
    ----------
    values : ndarray of float, shape (N, D)
        One row an image, all defined.

    Returns
    -------
    ndarray of float64, shape (B, D)
        Empty with one unit.
    """
    drawn = draw_counts(len(values), seed, units, n_resamples)
    return drawn @ values / drawn.sum(axis=1, keepdims=True)


def percentile_interval(resampled: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Low and high over the first axis, on a new last axis; resamples that are NaN left out.

    With fewer than about 20 units it is too narrow [1]_; `intervals.jackknife_interval` is not.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapter 13.
    """
    columns = resampled.reshape(len(resampled), prod(resampled.shape[1:]))
    interval = np.full((columns.shape[1], 2), np.nan)
    is_defined = ~np.isnan(columns).all(axis=0)
    if is_defined.any():
        percentiles = [50 * (1 - level), 50 * (1 + level)]
        interval[is_defined] = np.nanpercentile(columns[:, is_defined], percentiles, axis=0).T
    return interval.reshape(*resampled.shape[1:], 2)


def resample_sets(source, target, n_resamples: int, seed: int) -> Iterator[list[np.ndarray]]:
    """Two sets, (n, D) and (m, D), as many times, with rows drawn with replacement."""
    rng = np.random.default_rng(seed)
    for _ in range(n_resamples):
        yield [rows[rng.integers(0, len(rows), len(rows))] for rows in (source, target)]


def interval_around(taken, draws):
    """2.5 and 97.5 percentiles of draws (R, ...), widened to what was taken: (..., 2)."""
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return np.stack([np.minimum(low, taken), np.maximum(high, taken)], axis=-1)


def chance_difference(source, target):
    """Root mean square over columns of the standard error of a difference of means.

    Sets have one row a unit, (n, D) and (m, D). A single row is taken to vary as those of the other
    set; 0 where both sets have one row, which tells nothing.
    """
    spreads = [rows.var(axis=0, ddof=1) if len(rows) > 1 else None for rows in (source, target)]
    known = [spread for spread in spreads if spread is not None]
    if not known:
        return 0.0
    filled = [known[0] if spread is None else spread for spread in spreads]
    total = filled[0] / len(source) + filled[1] / len(target)
    return float(np.sqrt(total.mean()))

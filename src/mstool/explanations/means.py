"""Means over what is defined, and over regions that are not independent."""

from collections.abc import Iterable, Sequence

import numpy as np


def finite_mean(values: Iterable[float]) -> float:
    """Mean of what is a number; NaN if nothing is."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def unit_means(values, units: Sequence[str]) -> np.ndarray:
    """Mean over the regions of each unit.

    Regions of one micrograph are alike; only micrographs, or groups of them, could have been drawn
    independently, so that only they are compared and counted.

    Parameters
    ----------
    values : array of float, shape (n, ...)
        A row a region; NaN is left out.

    Returns
    -------
    ndarray of float64, shape (n_units, ...)
        In the order in which units first occur; NaN where a unit has no number.

    Examples
    --------
    >>> unit_means([1.0, 3.0, 5.0], ["a", "a", "b"])
    array([2., 5.])
    """
    values, units = np.asarray(values, float), np.asarray(units)
    rows = [values[units == unit] for unit in dict.fromkeys(units.tolist())]
    counts = [np.isfinite(row).sum(axis=0) for row in rows]
    sums = [np.where(np.isfinite(row), row, 0).sum(axis=0) for row in rows]
    with np.errstate(invalid="ignore"):
        return np.array(sums) / np.array(counts)

"""Units, and sums over them, of which what is measured of pooled counts is made."""

from collections.abc import Sequence

import numpy as np


def number_of_each(n_rows: int, units: Sequence | None = None) -> np.ndarray:
    """Number of the unit of each row, in the order in which units first occur.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        If there is not one unit a row.

    Examples
    --------
    >>> number_of_each(4, ["b", "a", "b", "c"])
    array([0, 1, 0, 2])
    """
    units = range(n_rows) if units is None else units
    if len(units) != n_rows:
        raise ValueError(f"{len(units)} units for {n_rows} images; give one an image")
    numbers = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
    return np.array([numbers[unit] for unit in units], np.int64)


def sum_by_unit(rows: np.ndarray, units: Sequence | None = None) -> np.ndarray:
    """Sum of the rows, shape (N, ...), of each unit, shape (U, ...).

    Examples
    --------
    >>> sum_by_unit(np.array([1, 2, 4]), ["a", "b", "a"])
    array([5, 2])
    """
    numbers = number_of_each(len(rows), units)
    sums = np.zeros((numbers.max(initial=-1) + 1, *rows.shape[1:]), rows.dtype)
    np.add.at(sums, numbers, rows)
    return sums

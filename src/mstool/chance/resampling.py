"""How far results move when units are drawn again, with replacement."""

from collections.abc import Iterator

import numpy as np


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

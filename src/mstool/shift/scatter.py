"""How far means of two sets lie apart by the chance of what was drawn."""

import numpy as np


def chance_difference(source, target):
    """Root mean square over columns of the standard error of a difference of means.

    Parameters
    ----------
    source, target : ndarray of float, shape (n, D) and (m, D)
        One row a micrograph or specimen. A single row is taken to vary as those of the other set.

    Returns
    -------
    float
        0 where both have one row, which tells nothing.
    """
    spreads = [rows.var(axis=0, ddof=1) if len(rows) > 1 else None for rows in (source, target)]
    known = [spread for spread in spreads if spread is not None]
    if not known:
        return 0.0
    filled = [known[0] if spread is None else spread for spread in spreads]
    total = filled[0] / len(source) + filled[1] / len(target)
    return float(np.sqrt(total.mean()))

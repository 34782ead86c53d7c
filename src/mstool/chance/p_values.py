"""P-values of what was seen among what chance alone would give, one or many."""

from collections.abc import Mapping

import numpy as np


def p_value(statistics):
    """Share of what chance gives, (B,), that is at least the first, which is what was seen.

    It is above 0 [1]_, and NaN if what was seen is; what is undefined by chance counts as so large.

    References
    ----------
    .. [1] Phipson, B. & Smyth, G. (2010). Stat. Appl. Genet. Mol. Biol. 9, 39.
    """
    if not np.isfinite(statistics[0]):
        return float("nan")
    tolerance = 1e-12 * max(1.0, abs(statistics[0]))  # the mirrored division gives the same value
    return float(np.mean(~(statistics < statistics[0] - tolerance)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for their number [1]_; NaN stays, and does not count.

    References
    ----------
    .. [1] Holm, S. (1979). Scand. J. Stat. 6, 65.

    Examples
    --------
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    order = sorted((p, name) for name, p in p_values.items() if np.isfinite(p))
    corrected = {name: float("nan") for name in p_values}
    running = 0.0
    for rank, (p, name) in enumerate(order):
        running = max(running, min(1.0, p * (len(order) - rank)))
        corrected[name] = running
    return corrected

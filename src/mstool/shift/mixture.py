"""Power spectra of a set as they would be with its phases in other shares."""

from collections.abc import Sequence

import numpy as np

from mstool.shift.appearance import piece_powers
from mstool.shift.phase_fractions import true_fractions

_LEAST = 0.05  # of the power: what a change of fractions leaves at least


def power_by_phase(greys: Sequence[np.ndarray], labels: Sequence[np.ndarray], n_classes: int):
    """Change of power with the fraction of each phase, from pieces that hold more or less of it.

    Powers of phases add up, so that the power of a piece is linear in its phase fractions.

    Parameters
    ----------
    greys, labels : sequence of ndarray, shape (H, W)
        Of fields of view.
    n_classes : int
        Number of phases, K.

    Returns
    -------
    ndarray of float64, shape (K, 32)
        Least squares; a phase whose fraction is everywhere the same has 0.
    """
    powers, fractions = [], []
    for grey, values in zip(greys, labels, strict=True):
        for power, cut in piece_powers(grey):
            shares = true_fractions([values[cut]], n_classes)
            if np.isfinite(shares).all():
                powers.append(power)
                fractions.append(shares)
    if not powers:
        return np.zeros((n_classes, 32))
    centred = [np.array(rows) - np.mean(rows, axis=0) for rows in (fractions, powers)]
    return np.linalg.lstsq(*centred, rcond=1e-6)[0]


def mix_power(log_power, by_phase, change):
    """Logarithm of power, (N, 32), after a change of phase fractions, (K,), that sums to 0.

    The change by phase is that of `power_by_phase`.
    """
    mean = np.exp(log_power).mean(axis=0)
    factor = np.maximum(1 + np.asarray(change) @ by_phase / mean, _LEAST)
    return log_power + np.log(factor)

"""The temperature that makes probabilities fit labels best.

logits : ndarray of float, shape (P, C)
    A row a pixel.
labels : ndarray of int, shape (P,)
    True classes, none ignored.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

MOST_SHARPENED = 20.0  # times that a temperature may sharpen or soften


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Number to divide logits by so that the labels are most likely (temperature scaling [1]_).

    Returns
    -------
    float
        From 1/20 to 20; above 1 where the network was too sure.

    References
    ----------
    .. [1] Guo, C. et al. (2017). ICML, PMLR 70, 1321-1330.
    """
    logits = np.asarray(logits, np.float64)
    limits = -np.log(MOST_SHARPENED), np.log(MOST_SHARPENED)
    found = minimize_scalar(
        lambda power: negative_log_likelihood(logits / np.exp(power), labels),
        bounds=limits,
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over pixels of -log of the probability of the true class [nat]."""
    log_probabilities = log_softmax(logits, axis=1)
    return float(-np.take_along_axis(log_probabilities, labels[:, None].astype(int), axis=1).mean())

"""Grey levels: the same histogram for every class, so that no threshold can tell them apart."""

import numpy as np

from mstool.errors import UsageError

N_QUANTILES = 1024
MAX_HISTOGRAM_KS = 0.02  # promised between the histograms of two classes at dose 0 [1]


def match_classes(image, labels, mean, spread):
    """Image in which every class has the same grey histogram.

    The pixels of a class keep their order and take the greys of a common target: the quantile
    functions of the classes, averaged, which is the histogram that moves the pixels least [1]_.

    Parameters
    ----------
    image : ndarray of float, shape (H, W)
        Greys in any unit.
    mean, spread : float
        Mean and standard deviation of the target [1].

    Returns
    -------
    ndarray of float64, shape (H, W)
        Greys of every class agree to a Kolmogorov-Smirnov distance of about ``1 / n`` pixels, or
        1 / 1024 if that is more.

    References
    ----------
    .. [1] Agueh, M., Carlier, G. (2011). SIAM J. Math. Anal. 43, 904-924.

    Examples
    --------
    >>> labels = np.array([[0, 0], [1, 1]])
    >>> match_classes(np.array([[1, 2], [30, 10]]), labels, mean=0.0, spread=1.0).round(2)
    array([[-0.87,  0.87],
           [ 0.87, -0.87]])
    """
    classes = np.unique(labels)
    levels = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    members = [labels == index for index in classes]
    target = np.mean([np.quantile(image[own], levels) for own in members], axis=0)
    target = mean + spread * (target - target.mean()) / max(target.std(), 1e-12)
    matched = np.empty(image.shape)
    for own in members:
        values = image[own]
        rank = np.empty(len(values))
        rank[np.argsort(values, kind="stable")] = (np.arange(len(values)) + 0.5) / len(values)
        matched[own] = np.interp(rank, levels, target)
    return matched


def histogram_distance(image, labels, n_classes) -> float:
    """Largest Kolmogorov-Smirnov distance [1] between the grey levels of two classes.

    It is NaN when fewer than two classes are present; labels from `n_classes` up are ignored.

    Examples
    --------
    >>> histogram_distance(np.array([[1, 2, 3, 4]]), np.array([[0, 0, 1, 1]]), n_classes=2)
    1.0
    """
    groups = [np.sort(image[labels == index]) for index in range(n_classes)]
    groups = [group for group in groups if len(group)]
    distances = [
        _smirnov(first, second)
        for number, first in enumerate(groups)
        for second in groups[number + 1 :]
    ]
    return max(distances, default=float("nan"))


def quantise(image, bit_depth=8):
    """Image in whole grey levels, rounded to the nearest: uint8 to 255, or uint16 to 65535.

    Raises
    ------
    UsageError
        If `bit_depth` is neither 8 nor 16.

    Examples
    --------
    >>> quantise(np.array([[0.0, 0.5, 1.0]]), bit_depth=16)
    array([[    0, 32768, 65535]], dtype=uint16)
    """
    if bit_depth not in (8, 16):
        raise UsageError(f"bit_depth is {bit_depth}; it must be 8 or 16")
    levels = 2**bit_depth - 1
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    return np.rint(image.astype(np.float64) * levels).astype(dtype)


def _smirnov(first, second):
    """Kolmogorov-Smirnov distance of two sorted samples."""
    both = np.concatenate([first, second])
    shares = [np.searchsorted(group, both, side="right") / len(group) for group in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())

"""How alike two maps are, inside a window.

Outside of what the region can see every map is zero, and zeros agree with zeros: over whole images
any two maps look alike.
"""

import warnings

import numpy as np
from scipy import stats
from skimage.metrics import structural_similarity as skimage_ssim

SSIM_SIDE_PX = 7


def is_degenerate(attribution, window) -> bool:
    """Whether a map says nothing in a window: constant, not numbers, or the window is empty."""
    values = attribution[window]
    return bool(values.size == 0 or not np.isfinite(values).all() or np.ptp(values) == 0)


def spearman(first, second, window) -> float:
    """Rank correlation of two maps, signs included; NaN if either is degenerate in the window.

    Examples
    --------
    >>> ramp = np.arange(9.0).reshape(3, 3)
    >>> round(spearman(ramp, -ramp, ramp >= 0), 6)
    -1.0
    """
    if is_degenerate(first, window) or is_degenerate(second, window):
        return float("nan")
    return float(stats.spearmanr(first[window], second[window]).statistic)


def structural_similarity(first, second, window, *, is_signed) -> float:
    """Structural similarity of two maps, scaled by their 99th percentiles, mean over the window.

    It is NaN if either map is degenerate there, or smaller than 7 pixels. `is_signed` tells whether
    values below 0 mean something.
    """
    if is_degenerate(first, window) or is_degenerate(second, window):
        return float("nan")
    if min(first.shape) < SSIM_SIDE_PX:
        return float("nan")
    low = -1.0 if is_signed else 0.0
    scaled = [_scale(values, window, low) for values in (first, second)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        local = skimage_ssim(*scaled, win_size=SSIM_SIDE_PX, data_range=1.0 - low, full=True)[1]
    return float(local[window].mean())


def _scale(values, window, low):
    top = np.percentile(np.abs(values[window]), 99)
    top = top if top > 0 else np.abs(values[window]).max()
    return np.clip(values.astype(float) / top, low, 1.0)

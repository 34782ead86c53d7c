"""Micrographs without the brightness and contrast that imaging lends them."""

import numpy as np
from scipy import ndimage

_FLOOR = 0.3  # of the median contrast: what is flatter is noise, and is not blown up


def local_structure(
    grey: np.ndarray, is_known: np.ndarray | None, finest: float, coarsest: float
) -> np.ndarray:
    """Grey values with local mean and local contrast taken out.

    Parameters
    ----------
    grey : ndarray, shape (H, W)
        Grey values.
    is_known : ndarray of bool, shape (H, W), or None
        Where they are; None for everywhere.
    finest, coarsest : float
        Standard deviations of the Gaussians [px] between which structure is kept: noise lies
        below, uneven lighting above.

    Returns
    -------
    ndarray of float32, shape (H, W)
        Of about unit size, at most 3; 0 where nothing is known.
    """
    weight = np.ones(grey.shape, np.float32) if is_known is None else is_known.astype(np.float32)
    values = grey.astype(np.float32)
    values -= values.mean()

    def smooth(numbers: np.ndarray, width: float) -> np.ndarray:
        return ndimage.gaussian_filter(numbers, width, mode="constant", truncate=3)

    share = np.maximum(smooth(weight, coarsest), 1e-3)
    fine = smooth(values * weight, finest) / np.maximum(smooth(weight, finest), 1e-3)
    detail = (fine - smooth(values * weight, coarsest) / share) * weight
    size = np.sqrt(np.maximum(smooth(detail**2, coarsest) / share, 0))
    typical = float(np.median(size[weight > 0])) if weight.any() else 0.0
    return np.clip(detail / (size + _FLOOR * typical + 1e-6), -3, 3)


def turned(image: np.ndarray, turn: int) -> np.ndarray:
    """Lay an image (H, W) on itself; see the package for `turn`."""
    return np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)

"""Where the classes of a label map meet."""

import numpy as np
from scipy.ndimage import distance_transform_edt

_IGNORED = 255
_BAND_PIXELS = 2**20


def trace_contours(labels: np.ndarray) -> np.ndarray:
    """Pixels that touch a pixel of another class above, below, left or right.

    A contour is two pixels wide, one on each side. The edge of the label map is no contour, and
    neither is the rim of what is left out, since nobody drew them.

    Parameters
    ----------
    labels : ndarray of uint8, shape (H, W)
        Classes, and 255 for what is left out.

    Returns
    -------
    ndarray of bool, shape (H, W)

    Examples
    --------
    >>> trace_contours(np.array([[0, 0, 1, 1, 255, 2]], np.uint8)).astype(int)
    array([[0, 1, 1, 0, 0, 0]])
    """
    is_used = labels != _IGNORED
    is_contour = np.zeros(labels.shape, bool)
    down, across = (slice(1, None), slice(None)), (slice(None), slice(1, None))
    up, back = (slice(None, -1), slice(None)), (slice(None), slice(None, -1))
    for here, there in ((down, up), (across, back)):
        differs = (labels[here] != labels[there]) & is_used[here] & is_used[there]
        is_contour[here] |= differs
        is_contour[there] |= differs
    return is_contour


def grow(is_contour: np.ndarray, reach: float) -> np.ndarray:
    """Pixels less than `reach` pixels from a contour: bool, (H, W).

    The distance is Euclidean, between the middles of pixels.
    """
    height, width = is_contour.shape
    n_rows = max(1, _BAND_PIXELS // max(1, width))
    halo = int(np.ceil(reach))
    is_near = np.zeros(is_contour.shape, bool)
    for row in range(0, height, n_rows):  # the distances of a whole large map would fill memory
        first, end = max(0, row - halo), min(height, row + n_rows + halo)
        part = is_contour[first:end]
        if part.any():
            near = distance_transform_edt(~part) < reach
            is_near[row : row + n_rows] = near[row - first : row - first + n_rows]
    return is_near

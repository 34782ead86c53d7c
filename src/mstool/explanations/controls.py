"""Maps that know nothing of the network: what any explanation has to beat."""

import numpy as np
from scipy import ndimage
from skimage.filters import sobel

EDGE, RANDOM, DISTANCE = "edge detector", "random", "distance"
CONTROLS = (EDGE, RANDOM, DISTANCE)


def control_maps(image, region, rng):
    """All controls for one image, float64 (H, W) each: by name, in the order of `CONTROLS`.

    Parameters
    ----------
    region : ndarray of bool, shape (H, W)
        Pixels whose class is explained; at least one.
    """
    return {
        EDGE: edge_map(image),
        RANDOM: rng.uniform(size=region.shape),
        DISTANCE: distance_map(region),
    }


def edge_map(image):
    """Sobel magnitude, averaged over channels: (H, W, C) to float64 (H, W)."""
    return np.mean([sobel(image[..., c].astype(float)) for c in range(image.shape[2])], axis=0)


def distance_map(region):
    """Map that falls with the distance d [px] to a region, as 1 / (1 + d).

    Examples
    --------
    >>> distance_map(np.array([[True, False, False]]))
    array([[1.        , 0.5       , 0.33333333]])
    """
    return 1.0 / (1.0 + ndimage.distance_transform_edt(~region))

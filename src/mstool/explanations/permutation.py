"""Labels that mean nothing, on the same shapes."""

import numpy as np
from scipy import ndimage

_IGNORED = 255


def permute_components(labels, rng):
    """Deal the classes of the connected components of a label map among them.

    Borders stay where they are, so that a network can learn the result as well as the truth, but
    not from what distinguishes the phases.

    Parameters
    ----------
    labels : ndarray of uint8, shape (H, W)
        Class indices, or 255 for ignored, which stays.
    rng : numpy.random.Generator
        Deals.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        A copy; the same where there is one component, or one class.

    Examples
    --------
    >>> labels = np.array([[0, 0, 1, 1, 0, 2]], np.uint8)
    >>> permute_components(labels, np.random.default_rng(2))
    array([[2, 2, 0, 0, 1, 0]], dtype=uint8)
    """
    numbers = np.zeros(labels.shape, np.int64)
    classes = [_IGNORED]
    for index in np.unique(labels[labels != _IGNORED]):
        components, n = ndimage.label(labels == index)
        numbers[components > 0] = components[components > 0] + len(classes) - 1
        classes += [index] * n
    dealt = np.array([_IGNORED, *rng.permutation(classes[1:])], np.uint8)
    return dealt[numbers]

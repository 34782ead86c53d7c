"""The same micrograph without one of the things that may have decided."""

import numpy as np
from scipy import ndimage

BOUNDARY, GREY, TEXTURE = "boundary", "grey level", "texture"
CAUSES = (BOUNDARY, GREY, TEXTURE)
MIXED, NOT_TESTABLE = "mixed", "not testable"


def drop_specks(labels, least_px=60):
    """Give components below a size to the class that surrounds most of them.

    Parameters
    ----------
    labels : ndarray of uint8, shape (H, W)
        Class indices, or 255 for ignored, which is left alone.
    least_px : int
        Smallest component that stays [px].

    Returns
    -------
    ndarray of uint8, shape (H, W)
        A copy.
    """
    tidy = labels.copy()
    for index in np.unique(labels[labels != 255]):
        components, _ = ndimage.label(labels == index)
        sizes = np.bincount(components.ravel())
        for number, where in enumerate(ndimage.find_objects(components), start=1):
            if sizes[number] >= least_px:
                continue
            grown = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in where)
            inside = components[grown] == number
            ring = ndimage.binary_dilation(inside) & ~inside & (labels[grown] != 255)
            if ring.any():
                tidy[grown][inside] = np.bincount(labels[grown][ring]).argmax()
    return tidy


def grey_of_rest(image, region):
    """Mean grey outside of a region, or of all if the region is all: (C,)."""
    return image[~region].mean(axis=0) if not region.all() else image.mean(axis=(0, 1))


def equalise_grey(image, components, editable, target):
    """Shift each component so that its mean grey is a target, its texture kept.

    Parameters
    ----------
    image : ndarray of float, shape (H, W, C)
        Greys.
    components : ndarray of int, shape (H, W)
        1 to n; 0 is left alone.
    editable : ndarray of bool, shape (H, W)
        Pixels that are changed, such as all but a band along the boundary.
    target : ndarray of float, shape (C,)
        Mean that the editable pixels of each component get, as far as clipping to the range of the
        image allows.

    Returns
    -------
    ndarray of float32, shape (H, W, C)
        Changed image.
    """
    means = _component_means(image, components, editable)
    changed = np.array(image, np.float32)
    own = editable & (components > 0)
    changed[own] += target - means[components[own]]
    return np.clip(changed, image.min(), image.max())


def flatten_texture(image, components, editable):
    """Give the editable pixels of each component their mean grey."""
    means = _component_means(image, components, editable)
    changed = np.array(image, np.float32)
    own = editable & (components > 0)
    changed[own] = means[components[own]]
    return changed


def region_drops(before, after, components, core):
    """Loss of probability in the core of each component.

    Parameters
    ----------
    before, after : ndarray of float, shape (H, W)
        Probability of the class.
    components : ndarray of int, shape (H, W)
        1 to n.
    core : ndarray of bool, shape (H, W)
        Pixels that count.

    Returns
    -------
    ndarray of float64, shape (n,)
        Mean loss [1]; NaN for components without core.

    Examples
    --------
    >>> components = np.array([[1, 1, 2]])
    >>> region_drops(np.ones((1, 3)), np.zeros((1, 3)), components, components == 1)
    array([ 1., nan])
    """
    n = int(components.max())
    where = components[core]
    count = np.bincount(where, minlength=n + 1)[1:]
    total = np.bincount(where, (before - after)[core], minlength=n + 1)[1:]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def bootstrap_interval(values, seed=0, level=0.95, n_resamples=2000):
    """Percentile interval of the mean over units; NaN values are left out.

    Returns
    -------
    tuple of float
        (low, high); NaN for fewer than two values.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(0, len(values), (n_resamples, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def decide_cause(drops, *, least=0.2, ratio=2.0):
    """Name what decided, by what the network misses most.

    Parameters
    ----------
    drops : dict of str to array of float
        Loss of probability of each region, by cause.
    least : float
        Mean loss below which nothing is found [1].
    ratio : float
        How many times the next largest loss the largest must be.

    Returns
    -------
    str
        One of `CAUSES`, ``mixed`` or ``not testable``.

    Examples
    --------
    >>> decide_cause({"boundary": [0.9, 0.8], "grey level": [0.1, 0.0], "texture": [0.0, 0.0]})
    'boundary'
    """
    effects = {}
    for cause, values in drops.items():
        finite = np.asarray(values, float)
        finite = finite[np.isfinite(finite)]
        if not len(finite):
            return NOT_TESTABLE
        effects[cause] = float(finite.mean())
    first, second = sorted(effects.values(), reverse=True)[:2]
    if first < least:
        return NOT_TESTABLE
    return max(effects, key=effects.get) if first >= ratio * max(second, 0.0) else MIXED


def _component_means(image, components, editable):
    """Mean grey of the editable pixels of each component, float64 (n + 1, C); row 0 is unused."""
    n = int(components.max())
    where = components[editable]
    count = np.maximum(np.bincount(where, minlength=n + 1), 1)
    return np.stack(
        [
            np.bincount(where, image[..., c][editable], minlength=n + 1) / count
            for c in range(image.shape[2])
        ],
        axis=1,
    )

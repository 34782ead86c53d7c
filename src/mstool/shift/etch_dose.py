"""Too long and too short an etch, drawn onto a micrograph."""

import numpy as np
from scipy import ndimage

from mstool.labels.legend import IGNORE_INDEX
from mstool.phantoms.smooth_noise import smooth_noise
from mstool.scores.contours import trace_contours

DARKENING = 0.35  # grey lost on a phase boundary at dose 1 [1]
STAINING = 0.25  # grey lost in the middle of a stain at dose 1 [1]
ROUGHENING = 0.08  # standard deviation of the grey of the attacked phase at dose 1 [1]
FADING = 0.9  # contrast inside the attacked phase is 1 / (1 + 0.9) at dose 1 [1]


def etch(image, labels, dose, rng):
    """Micrograph after too long (dose above 0) or too short an etch (below 0).

    Too long: phase boundaries and dark lines widen and darken, the phase that the etchant attacks
    most, the darkest, roughens and loses its inner contrast, and stains remain. Too short: lines
    and boundaries fade into what surrounds them.

    A dose of 1 is clearly over-etched, one of -1 has no dark lines left. Labels may be None, `rng`
    draws stains and roughness, and the image (H, W, C) that comes out is not clipped.
    """
    return _over_etch(image, labels, dose, rng) if dose > 0 else _under_etch(image, -dose)


def _over_etch(image, labels, dose, rng):
    shape = image.shape[:2]
    attacked = _attacked_phase(image, labels)
    blotch = smooth_noise(shape, max(24.0, max(shape) / 8), rng)
    stain = 1 / (1 + np.exp(-4 * (blotch - 0.7)))
    rough = ndimage.gaussian_filter(rng.standard_normal(shape), 0.8)
    rough /= max(rough.std(), 1e-9)
    mean = ndimage.gaussian_filter(image, (6, 6, 0))
    fade = attacked * (1 - 1 / (1 + FADING * dose))
    changed = image + fade[..., None] * (mean - image)
    wider = ndimage.grey_erosion(changed, size=(3, 3, 1))
    changed = changed + min(1.0, dose) * 0.6 * (wider - changed)
    reach = 0.5 + 2 * dose
    band = np.exp(-((_boundary_distance(image, labels) / reach) ** 2))
    change = DARKENING * band + STAINING * stain - ROUGHENING * attacked * rough
    return changed - dose * change[..., None]


def _under_etch(image, dose):
    """Dark lines filled from both sides, and less contrast over all."""
    filled = ndimage.grey_closing(image, size=(7, 7, 1))
    changed = image + min(1.0, dose) * (filled - image)
    mean = changed.mean()
    return mean + (1 - 0.4 * min(1.0, dose)) * (changed - mean)


def _attacked_phase(image, labels):
    """Where the darkest phase is: float (H, W); everywhere with one phase."""
    if labels is None:
        return np.ones(image.shape[:2])
    grey = image.mean(axis=2)
    phases = [index for index in np.unique(labels) if index != IGNORE_INDEX]
    if len(phases) < 2:
        return np.ones(image.shape[:2])
    darkest = min(phases, key=lambda index: grey[labels == index].mean())
    return (labels == darkest).astype(float)


def _boundary_distance(image, labels):
    """Distance to the nearest phase boundary [px], or without one to the strongest edges.

    The rim of what is left out is no boundary; infinite where there is no edge at all.
    """
    edge = np.zeros(image.shape[:2], bool) if labels is None else trace_contours(labels)
    if not edge.any():
        slope = ndimage.gaussian_gradient_magnitude(image.mean(axis=2), 1.5)
        edge = slope > np.percentile(slope, 92)
    return ndimage.distance_transform_edt(~edge) if edge.any() else np.full(edge.shape, np.inf)

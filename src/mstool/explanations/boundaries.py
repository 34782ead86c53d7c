"""Attribution against the distance to a phase boundary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mstool.explanations.means import finite_mean, unit_means
from mstool.labels.legend import IGNORE_INDEX

EDGES_PX = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
INSIDE_PX, OUTSIDE_PX = 4.0, 2.0


@dataclass(frozen=True)
class Profile:
    """How a map is spread over n bins of signed distance from the boundary, float64 (n,) each.

    Distances are in px, above 0 inside the class.
    """

    from_px: np.ndarray  # where a bin begins
    to_px: np.ndarray  # where it ends
    mass_share: np.ndarray  # of the absolute attribution [1]; NaN for a map of zeros
    area_share: np.ndarray  # of the window [1]
    enrichment: np.ndarray  # mass over area [1]; NaN in empty bins


def signed_distance(labels, class_index):
    """Distance of each pixel to the boundary of a class.

    The border of the image, and of ignored pixels, is no boundary.

    Returns
    -------
    ndarray of float64, shape (H, W)
        From the centre of the pixel to the edge between pixels [px]: positive inside the class,
        negative in the others, infinite where there is no boundary, NaN where ignored.

    Examples
    --------
    >>> signed_distance(np.array([[0, 0, 1, 1]]), 1)
    array([[-1.5, -0.5,  0.5,  1.5]])
    """
    inside, other = labels == class_index, (labels != class_index) & (labels != IGNORE_INDEX)
    to_other, to_inside = (_distance_to(mask) - 0.5 for mask in (other, inside))
    distance = np.where(inside, to_other, -to_inside)
    return np.where(labels == IGNORE_INDEX, np.nan, distance)


def distance_profile(attribution, distance, window, *, edges=EDGES_PX) -> Profile:
    """Spread of a map over bins of signed distance, from far outside to far inside.

    Parameters
    ----------
    distance : ndarray of float, shape (H, W)
        From `signed_distance`.
    edges : sequence of float
        Borders of the bins on one side [px].
    """
    positive = np.asarray(edges, float)
    borders = np.concatenate([-positive[:0:-1], positive])
    size = np.abs(attribution) * window
    counted = window & ~np.isnan(distance)
    where = np.digitize(np.clip(np.nan_to_num(distance), -1e9, 1e9), borders) - 1
    n_bins = len(borders) - 1
    mass = np.bincount(where[counted], size[counted], minlength=n_bins)[:n_bins]
    area = np.bincount(where[counted], minlength=n_bins)[:n_bins].astype(float)
    total = mass.sum()
    share = mass / total if total > 0 else np.full(n_bins, np.nan)
    return _profile(borders[:-1], borders[1:], share, area / max(area.sum(), 1.0))


def mean_profile(profiles: Sequence[Profile], units: Sequence[str]) -> Profile:
    """Mean over units of the means over their regions; maps of zeros are left out."""
    mass, area = (
        np.apply_along_axis(finite_mean, 0, unit_means([getattr(p, name) for p in profiles], units))
        for name in ("mass_share", "area_share")
    )
    return _profile(profiles[0].from_px, profiles[0].to_px, mass, area)


def band_mask(distance, *, inside_px=INSIDE_PX, outside_px=OUTSIDE_PX):
    """Pixels near the boundary; none where there is no boundary."""
    with np.errstate(invalid="ignore"):
        return (distance <= inside_px) & (distance >= -outside_px)


def band_share(attribution, band, window) -> float:
    """Share of the absolute attribution of a window that lies in a band [1]; NaN for zeros."""
    size = np.abs(attribution)
    total = size[window].sum()
    return float(size[window & band].sum() / total) if total > 0 else float("nan")


def band_enrichment(attribution, band, window) -> float:
    """Share of the attribution over share of the area; NaN for zeros, or for an empty band."""
    area = (window & band).sum() / max(1, window.sum())
    return band_share(attribution, band, window) / area if area else float("nan")


def _profile(low, high, mass, area):
    with np.errstate(divide="ignore", invalid="ignore"):
        return Profile(low, high, mass, area, np.where(area > 0, mass / area, np.nan))


def _distance_to(mask):
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(~mask)

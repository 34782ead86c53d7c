"""How large phases are, to compare with what a network and its maps can resolve."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mstool.explanations.regions import LEAST_PX
from mstool.labels.legend import IGNORE_INDEX


@dataclass(frozen=True)
class PhaseSize:
    """Sizes of the regions of a phase, medians; NaN without regions."""

    n_regions: int
    thickness_px: float
    diameter_px: float  # of a circle of the same area


def measure_components(
    inside: np.ndarray, outside: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Area and thickness of each connected component of a mask.

    The thickness is twice the largest distance to what lies outside, less one. The frame of the
    image is no edge: what it cuts through goes on behind it, as if mirrored.

    Parameters
    ----------
    inside : ndarray of bool, shape (H, W)
        The mask.
    outside : ndarray of bool, shape (H, W), optional
        Where something else is known to be; by default all that is not inside.

    Returns
    -------
    areas : ndarray of int64, shape (n,)
        [px].
    thickness : ndarray of float64, shape (n,)
        [px]; infinite where nothing lies outside.

    Examples
    --------
    >>> inside = np.array([[True, True, False, True, False]])
    >>> measure_components(inside)
    (array([2, 1]), array([3., 1.]))
    """
    outside = ~inside if outside is None else outside
    components, n = ndimage.label(inside)
    areas = np.bincount(components.ravel(), minlength=n + 1)[1:]
    if not outside.any():
        return areas, np.full(n, np.inf)
    depth = ndimage.distance_transform_edt(~outside)
    deepest = ndimage.maximum(depth, components, np.arange(1, n + 1)) if n else np.zeros(0)
    return areas, 2 * np.asarray(deepest, float) - 1


def median_thickness(inside: np.ndarray, least_px: int = LEAST_PX) -> float:
    """Median thickness of the components of a mask [px]; NaN if none has an edge.

    Specks, smaller than `least_px`, do not count where there is anything larger.
    """
    areas, thickness = measure_components(inside)
    least_px = min(least_px, areas.max(initial=0))
    counted = thickness[(areas >= least_px) & np.isfinite(thickness)]
    return float(np.median(counted)) if len(counted) else float("nan")


def measure_phases(
    label_maps: Iterable[np.ndarray], classes: Sequence[str], least_px: int = LEAST_PX
) -> dict[str, PhaseSize]:
    """Median sizes of the regions of each class, by name.

    Parameters
    ----------
    label_maps : iterable of ndarray of uint8, shape (H, W)
        Class indices, or 255 for ignored, where nothing is known.
    classes : sequence of str
        Names.
    least_px : int
        Smaller regions are specks and do not count, nor do those without an edge [px].
    """
    found: dict[str, list[np.ndarray]] = {name: [np.zeros((2, 0))] for name in classes}
    for labels in label_maps:
        for index, name in enumerate(classes):
            outside = (labels != index) & (labels != IGNORE_INDEX)
            areas, thickness = measure_components(labels == index, outside)
            counted = (areas >= least_px) & np.isfinite(thickness)
            found[name].append(np.stack([thickness, 2 * np.sqrt(areas / np.pi)])[:, counted])
    return {name: _summary(np.concatenate(parts, axis=1)) for name, parts in found.items()}


def _summary(sizes: np.ndarray) -> PhaseSize:
    """Medians of (2, n): thickness and diameter."""
    n = sizes.shape[1]
    medians = np.median(sizes, axis=1) if n else (np.nan, np.nan)
    return PhaseSize(n, *map(float, medians))

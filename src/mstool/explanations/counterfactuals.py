"""The same micrograph without one of the things that may have decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mstool.chance.intervals import LEAST_UNITS, mean_interval
from mstool.explanations.boundaries import band_mask, signed_distance
from mstool.explanations.imputation import impute
from mstool.explanations.means import finite_mean, unit_means
from mstool.explanations.regions import LEAST_PX
from mstool.explanations.verdicts import Thresholds
from mstool.labels.legend import IGNORE_INDEX

BOUNDARY, GREY, TEXTURE = "boundary", "grey level", "texture"
CAUSES = (BOUNDARY, GREY, TEXTURE)
MIXED, NOT_TESTABLE = "mixed", "not testable"
CORE_PX = 4.5  # from there on a pixel counts as interior


@dataclass(frozen=True)
class Counterfactual:
    """What the network loses of its probability when a cause is taken away, by cause."""

    n_units: int
    n_regions: int  # that have an interior
    band_share_of_regions: float  # that lies in the band along their boundary [1]
    drop: dict[str, float]  # in the interior, mean over units [1]
    interval: dict[str, tuple[float, float]]  # 95 % of that mean; NaN for fewer than four units
    verdict: str  # one of `CAUSES`, mixed or not testable
    reason: str


@dataclass(frozen=True)
class Change:
    """A field of view with each of the causes taken away."""

    components: np.ndarray  # regions of the class, 1 to n; 0 elsewhere
    core: np.ndarray  # their interior, on which losses are measured
    band_share: float  # of the regions that lies in the band along the boundary [1]
    images: dict[str, np.ndarray]  # by cause


def remove_causes(image, prediction, class_index, rng) -> Change | None:
    """Micrograph without boundaries, without grain greys, without texture.

    Filled pixels get noise, a hundredth of the grey range strong. `prediction` is a label map.

    Returns
    -------
    Change or None
        None if nothing is of the class.
    """
    labels = drop_specks(prediction)
    components, n = ndimage.label(labels == class_index)
    if not n:
        return None
    distance = signed_distance(labels, class_index)
    band, inside = band_mask(distance), components > 0
    noise = 0.01 * float(np.ptp(image))
    images = {
        BOUNDARY: impute(image, band, noise=noise, rng=rng),
        GREY: equalise_grey(image, components, ~band, grey_of_rest(image, inside)),
        TEXTURE: flatten_texture(image, components, ~band),
    }
    core = inside & (distance > CORE_PX) & np.isfinite(distance)
    return Change(components, core, float((band & inside).sum() / inside.sum()), images)


def drop_specks(labels, least_px=LEAST_PX):
    """Give components below a size to the class that surrounds most of them.

    Parameters
    ----------
    least_px : int
        Smallest component that stays [px].

    Returns
    -------
    ndarray of uint8, shape (H, W)
        A copy; ignored pixels are left alone.
    """
    tidy = labels.copy()
    for index in np.unique(labels[labels != IGNORE_INDEX]):
        components, _ = ndimage.label(labels == index)
        sizes = np.bincount(components.ravel())
        for number, where in enumerate(ndimage.find_objects(components), start=1):
            if sizes[number] >= least_px:
                continue
            grown = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in where)
            inside = components[grown] == number
            ring = ndimage.binary_dilation(inside) & ~inside & (labels[grown] != IGNORE_INDEX)
            if ring.any():
                tidy[grown][inside] = np.bincount(labels[grown][ring]).argmax()
    return tidy


def grey_of_rest(image, region):
    """Mean grey (C,) outside of a region, or of all if the region is all."""
    return image[~region].mean(axis=0) if not region.all() else image.mean(axis=(0, 1))


def equalise_grey(image, components, editable, target):
    """Shift each component so that its mean grey is a target, its texture kept: float32 (H, W, C).

    Parameters
    ----------
    components : ndarray of int, shape (H, W)
        1 to n; 0 is left alone.
    editable : ndarray of bool, shape (H, W)
        Pixels that are changed, such as all but a band along the boundary.
    target : ndarray of float, shape (C,)
        Mean that the editable pixels of each component get, as far as clipping to the range of the
        image allows.
    """
    changed, own, means = _open_components(image, components, editable)
    changed[own] += target - means
    return np.clip(changed, image.min(), image.max())


def flatten_texture(image, components, editable):
    """Give the editable pixels of each component their mean grey: float32 (H, W, C)."""
    changed, own, means = _open_components(image, components, editable)
    changed[own] = means
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


def decide_cause(drops, *, least=0.2, ratio=2.0) -> str:
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
    effects = {cause: finite_mean(values) for cause, values in drops.items()}
    first, second = sorted(effects.values(), reverse=True)[:2]
    if np.isnan(list(effects.values())).any() or first < least:
        return NOT_TESTABLE
    return max(effects, key=effects.get) if first >= ratio * max(second, 0.0) else MIXED


def weigh_causes(
    drops: Mapping[str, Sequence[float]],
    units: Sequence[str],
    band_shares: Sequence[float],
    limits: Thresholds,
) -> Counterfactual:
    """Losses of regions to a verdict on the cause.

    Parameters
    ----------
    drops : mapping of str to sequence of float, length n
        Loss of each region by cause [1]; NaN without interior.
    band_shares : sequence of float
        Share of the regions in bands along their boundaries, by field of view [1].
    """
    by_unit = {cause: unit_means(values, units) for cause, values in drops.items()}
    n_regions, n_units = (int(np.isfinite(values[BOUNDARY]).sum()) for values in (drops, by_unit))
    dense = finite_mean(band_shares)
    verdict, reason = _judge(by_unit, n_units, dense, limits)
    return Counterfactual(
        n_units,
        n_regions,
        dense,
        {cause: finite_mean(values) for cause, values in by_unit.items()},
        {cause: _interval(values) for cause, values in by_unit.items()},
        verdict,
        reason,
    )


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over units; NaN is left out."""
    low, high = mean_interval(values[np.isfinite(values)])
    return float(low), float(high)


def _judge(drops, n_units: int, dense: float, limits: Thresholds) -> tuple[str, str]:
    if n_units < LEAST_UNITS:
        return NOT_TESTABLE, (
            f"regions with an interior lie in fewer than {LEAST_UNITS} micrographs or groups"
        )
    if dense > limits.dense_band:
        return NOT_TESTABLE, "bands along the boundaries cover most of the regions"
    verdict = decide_cause(drops, least=limits.cause_least, ratio=limits.cause_ratio)
    if verdict == NOT_TESTABLE:
        return verdict, "the network stays with its decision whatever is removed"
    by_loss = sorted(drops, key=lambda cause: -finite_mean(drops[cause]))
    first, second = (drops[cause] for cause in by_loss[:2])
    if _interval(first)[0] <= 0:
        return NOT_TESTABLE, (
            f"without {by_loss[0]} the network loses most, but not in all micrographs or groups: "
            "the interval of the loss reaches 0"
        )
    if verdict != MIXED and _interval(first - second)[0] <= 0:
        return MIXED, (
            f"the loss without {by_loss[0]} is not shown to be larger than that without "
            f"{by_loss[1]}: the interval of the difference reaches 0"
        )
    return verdict, "largest loss of probability in the interior of the regions"


def _open_components(image, components, editable):
    """Copy to change, its pixels that may be, bool (H, W), and the mean of their component."""
    own = editable & (components > 0)
    where = components[own]
    count = np.maximum(np.bincount(where), 1)
    totals = [np.bincount(where, channel[own]) for channel in np.moveaxis(image, 2, 0)]
    return np.array(image, np.float32), own, (np.stack(totals, axis=1) / count[:, None])[where]

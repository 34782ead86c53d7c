"""Simulated annotators: each shifts boundaries and overlooks small regions in its own way."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from mstool.errors import LabelError, UsageError
from mstool.phantoms.bars import IGNORE_INDEX
from mstool.phantoms.smooth_noise import smooth_noise
from mstool.phantoms.streams import Stream, open_stream


@dataclass(frozen=True)
class RaterHabits:
    """How one annotator departs from the truth."""

    shift_rms_um: float = 0.3  # of a boundary along any one direction, so also along its normal
    shift_length_um: float = 4.0  # over which the shift changes
    small_area_um2: float = 10.0  # below this a region may be overlooked
    miss_probability: float = 0.5  # with which it is

    def __post_init__(self):
        """Refuse values that mean nothing."""
        lower_bounds = {"shift_rms_um": 0.0, "shift_length_um": 1e-9, "small_area_um2": 0.0}
        for name, least in lower_bounds.items():
            value = getattr(self, name)
            if not least <= value < np.inf:
                raise UsageError(f"{name} is {value}; it must be at least {least:g} and finite")
        if not 0 <= self.miss_probability <= 1:
            msg = f"miss_probability is {self.miss_probability}; it must lie between 0 and 1"
            raise UsageError(msg)


@dataclass(frozen=True)
class Rating:
    """What one annotator drew."""

    labels: np.ndarray
    parameters: dict  # habits, and what they did to this image; ready for JSON


def draw_habits(seed, rater) -> RaterHabits:
    """Habits of annotator number `rater`, from 0, the same for every image of the seed.

    They lie between careful (0.1 um, hardly misses) and hasty (0.6 um, misses most small regions).
    """
    rng = open_stream(seed, Stream.RATER_HABITS, rater)
    haste = rng.uniform()
    return RaterHabits(
        shift_rms_um=round(0.1 + 0.5 * haste, 3),
        shift_length_um=round(rng.uniform(2.5, 6.0), 3),
        small_area_um2=round(rng.uniform(5.0, 30.0), 3),
        miss_probability=round(0.1 + 0.7 * haste, 3),
    )


def rate_labels(labels, pixel_size_um, habits, *, seed, index, rater) -> Rating:
    """Label map as one annotator would have drawn it.

    Ignored pixels stay where they are.

    Parameters
    ----------
    habits : RaterHabits
        How the annotator departs from the truth.
    rater : int
        Number of the annotator, at least 0.

    Raises
    ------
    LabelError
        If every pixel is ignored.
    """
    if np.all(labels == IGNORE_INDEX):
        raise LabelError("every pixel is ignored; there is nothing to rate")
    rng = open_stream(seed, index, Stream.RATING, rater)
    shift_px = _draw_shift(labels.shape, pixel_size_um, habits, rng)
    seen, missed_areas = miss_regions(labels, habits, pixel_size_um, rng)
    rated = _shift_labels(fill_ignored(seen), shift_px)
    rated[labels == IGNORE_INDEX] = IGNORE_INDEX
    parameters = {
        **asdict(habits),
        "rater": int(rater),
        "applied_shift_rms_um": [float(np.sqrt(np.mean(s**2)) * pixel_size_um) for s in shift_px],
        "n_missed_regions": len(missed_areas),
        "missed_area_um2": missed_areas,
        "changed_fraction": float(np.mean(rated != labels)),
    }
    return Rating(rated, parameters)


def _draw_shift(shape, pixel_size_um, habits, rng):
    """Smooth displacement of rows and columns [px], float64 (2, H, W), as strong as the habits."""
    rms_px = habits.shift_rms_um / pixel_size_um
    length_px = habits.shift_length_um / pixel_size_um
    return rms_px * np.stack([smooth_noise(shape, length_px, rng) for _ in range(2)])


def _shift_labels(labels, shift_px):
    """Label map read at positions displaced by float64 (2, H, W) [px], the nearest pixel taken.

    Examples
    --------
    >>> _shift_labels(np.array([[0, 0, 1, 1]]), np.stack([np.zeros((1, 4)), np.ones((1, 4))]))
    array([[0, 1, 1, 1]])
    """
    rows, cols = np.rint(np.indices(labels.shape) + shift_px).astype(int)
    return labels[rows.clip(0, labels.shape[0] - 1), cols.clip(0, labels.shape[1] - 1)]


def fill_ignored(labels):
    """Label map with every ignored pixel given the label of the nearest one that is not.

    There is at least one that is not.
    """
    is_ignored = labels == IGNORE_INDEX
    if not is_ignored.any():
        return labels
    nearest = ndimage.distance_transform_edt(
        is_ignored, return_distances=False, return_indices=True
    )
    return labels[tuple(nearest)]


def miss_regions(labels, habits, pixel_size_um, rng):
    """Label map in which some small regions of the foreground classes are overlooked.

    A region is a 4-connected component of one class, as far as it is not ignored. An overlooked
    region takes the commonest label along its rim. There is one draw for each region, small or not.

    Returns
    -------
    labels : ndarray of uint8, shape (H, W)
        What was seen.
    missed_area_um2 : list of float
        Area of each overlooked region [um^2].
    """
    seen, missed = labels.copy(), []
    is_ignored = labels == IGNORE_INDEX
    for index in range(1, int(labels[~is_ignored].max()) + 1):
        regions, n_regions = ndimage.label(labels == index)
        draws = rng.random(n_regions)
        area_um2 = np.bincount(regions.ravel(), minlength=n_regions + 1)[1:] * pixel_size_um**2
        is_missed = (area_um2 < habits.small_area_um2) & (draws < habits.miss_probability)
        boxes = ndimage.find_objects(regions)
        for number in np.flatnonzero(is_missed):
            window = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in boxes[number])
            region = regions[window] == number + 1
            rim = ndimage.binary_dilation(region) & ~region & ~is_ignored[window]
            if rim.any():  # a region without a neighbour cannot be overlooked
                seen[window][region] = np.bincount(labels[window][rim]).argmax()
                missed.append(float(area_um2[number]))
    return seen, missed

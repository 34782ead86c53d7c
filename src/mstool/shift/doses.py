"""Changes of a micrograph in growing doses: dose 0 is the micrograph itself."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import imagecodecs
import numpy as np
from scipy import ndimage

from mstool.errors import UsageError
from mstool.phantoms.smooth_noise import smooth_noise
from mstool.shift.etch_dose import etch

_MOST_DOSES = 50
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"

# takes an image, labels or None, a dose and a generator; gives an image, not clipped
Change = Callable[[np.ndarray, np.ndarray | None, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Family:
    """A kind of change."""

    unit: str  # what a dose means
    doses: tuple[float, ...]  # usual ones, 0 left out
    change: Change
    moves_labels: bool = False  # along with structures


def apply_dose(family, dose, image, labels, seed):
    """Change an image by a dose.

    Parameters
    ----------
    family, dose : str, float
        One of `FAMILIES`, and how much in its unit; 0 gives the image as it is.
    image, labels : ndarray
        (H, W, C) and (H, W), or None; over-etching attacks the borders of labels.
    seed : int
        Of random fields, which are drawn once and grow with the dose.

    Returns
    -------
    image, labels : ndarray
        Clipped, as float32; and moved along with the image.
    """
    if dose == 0:
        return image, labels
    rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
    changed = FAMILIES[family].change(np.asarray(image, np.float64), labels, dose, rng)
    if FAMILIES[family].moves_labels and labels is not None:
        labels = _magnify(labels, 2.0**dose, order=0)
    return np.clip(changed, 0, 1).astype(np.float32), labels


def parse_doses(text: str) -> tuple[str, tuple[float, ...]]:
    """Family and doses of ``etch``, ``etch=0:1:0.2`` or ``gamma=-0.5,0.5``.

    Raises
    ------
    UsageError
        If the family is unknown or the doses are no numbers.

    Examples
    --------
    >>> parse_doses("etch=0:0.4:0.2")
    ('etch', (0.0, 0.2, 0.4))
    """
    name, given, doses = text.partition("=")
    if name not in FAMILIES:
        raise UsageError(f"--simulate {text}: use {', '.join(FAMILIES)}")
    if not given:
        return name, FAMILIES[name].doses
    is_span = doses.count(":") == 2
    parts = doses.split(":" if is_span else ",")
    if not all(re.fullmatch(_NUMBER, part.strip()) for part in parts):
        raise UsageError(
            f"--simulate {text}: write {name}=START:STOP:STEP or {name}=A,B,..., "
            "in plain decimal numbers"
        )
    numbers = tuple(map(float, parts))
    found = _spread(*numbers, text) if is_span else numbers
    _check_range(name, found, text)
    return name, found


def breaking_dose(doses: Sequence[float], drops: Sequence[float], least: float = 0.05) -> float:
    """Dose at which the loss `drops` first exceeds the least that counts; NaN if it never does.

    Doses are by rising size, from 0, and all of one sign; between them the loss is interpolated.

    Examples
    --------
    >>> breaking_dose([0, 1, 2], [0.0, 0.0, 0.1])
    1.5
    """
    for index, drop in enumerate(drops):
        if drop > least:
            if index == 0:
                return float(doses[0])
            before = drops[index - 1]
            share = (least - before) / (drop - before)
            return float(doses[index - 1] + share * (doses[index] - doses[index - 1]))
    return float("nan")


def _spread(start: float, stop: float, step: float, text: str) -> tuple[float, ...]:
    n = round((stop - start) / step) if step else -1
    if n < 0 or abs(start + n * step - stop) > 1e-6 * abs(step) or n >= _MOST_DOSES:
        raise UsageError(
            f"--simulate {text}: the step must lead from start to stop in at most "
            f"{_MOST_DOSES} doses"
        )
    return tuple(round(start + index * step, 9) for index in range(n + 1))


def _check_range(name: str, doses: tuple[float, ...], text: str) -> None:
    low, high = min(FAMILIES[name].doses), max(FAMILIES[name].doses)
    low, high = (0.0 if low > 0 else 4 * low), 4 * high
    high = {"jpeg": 1.0, "brightness": 1.0}.get(name, high)
    if not all(low <= dose <= high for dose in doses):
        raise UsageError(f"--simulate {text}: doses of {name} lie between {low:g} and {high:g}")


def _gamma(image, labels, dose, rng):
    return image ** (2.0**dose)


def _contrast(image, labels, dose, rng):
    mean = image.mean()
    return mean + 2.0**dose * (image - mean)


def _brightness(image, labels, dose, rng):
    return image + dose


def _blur(image, labels, dose, rng):
    return ndimage.gaussian_filter(image, (dose, dose, 0))


def _noise(image, labels, dose, rng):
    return image + dose * rng.standard_normal(image.shape[:2])[..., None]


def _illumination(image, labels, dose, rng):
    field = smooth_noise(image.shape[:2], max(image.shape[:2]) / 2, rng)
    return image * (1 + dose * field[..., None])


def _scratches(image, labels, dose, rng):
    height, width = image.shape[:2]
    rows, cols = np.indices((height, width), sparse=True)
    changed = image.copy()
    for _ in range(round(dose)):
        angle, row, col = rng.uniform(0, np.pi), rng.uniform(0, height), rng.uniform(0, width)
        wide, depth = rng.uniform(0.6, 1.6), rng.choice([-0.35, 0.35])
        distance = (rows - row) * np.cos(angle) - (cols - col) * np.sin(angle)
        changed += (depth * np.exp(-((distance / wide) ** 2)))[..., None]
    return changed


def _charging(image, labels, dose, rng):
    """Bright streaks behind bright places along the scan, and rows that drift."""
    grey = image.mean(axis=2)
    bright = np.clip(grey - np.percentile(grey, 80), 0, None)
    decay = np.exp(-np.arange(64) / 24.0)
    tail = ndimage.convolve1d(bright, decay, axis=1, origin=-32 + 64 % 2, mode="constant")
    tail /= max(tail.max(), 1e-9)
    drift = ndimage.gaussian_filter1d(rng.standard_normal(len(grey)), 1.5)
    return image + dose * (0.4 * tail + 0.12 * drift[:, None])[..., None]


def _magnification(image, labels, dose, rng):
    return _magnify(image, 2.0**dose, order=1)


def _jpeg(image, labels, dose, rng):
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    levels = levels[..., 0] if levels.shape[2] == 1 else levels
    quality = max(1, round(95 - 90 * dose))
    decoded = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(levels, level=quality))
    return decoded.reshape(image.shape) / 255.0


def _magnify(values, factor, order):
    """Zoom about the middle, in the same shape; what comes into view is mirrored."""
    n_axes = values.ndim - 2
    middle = [(length - 1) / 2 for length in values.shape[:2]]
    if factor < 1 and order:  # what shrinks is averaged first
        values = ndimage.gaussian_filter(values, (0.5 / factor, 0.5 / factor, 0))
    offset = [centre * (1 - 1 / factor) for centre in middle] + [0.0] * n_axes
    scale = [1 / factor, 1 / factor] + [1.0] * n_axes
    return ndimage.affine_transform(values, scale, offset, order=order, mode="mirror")


FAMILIES = {
    "gamma": Family(
        "binary logarithm of the exponent", (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0), _gamma
    ),
    "contrast": Family("binary logarithm of the factor", (-1.5, -1.0, -0.5, 0.5, 1.0), _contrast),
    "brightness": Family("shift of grey [of the range]", (-0.3, -0.15, 0.15, 0.3), _brightness),
    "blur": Family("Gaussian sigma [px]", (0.5, 1.0, 1.5, 2.5), _blur),
    "noise": Family("standard deviation [of the grey range]", (0.02, 0.04, 0.08, 0.15), _noise),
    "illumination": Family("rms of the field [1]", (0.1, 0.2, 0.4), _illumination),
    "etch": Family(
        "over-etching, below 0 under-etching [1]", (-1.0, -0.5, 0.25, 0.5, 0.75, 1.0), etch
    ),
    "scratches": Family("scratches", (2.0, 5.0, 10.0), _scratches),
    "charging": Family("strength of streaks [1]", (0.25, 0.5, 1.0), _charging),
    "magnification": Family(
        "binary logarithm of the factor", (-1.0, -0.5, 0.5, 1.0), _magnification, moves_labels=True
    ),
    "jpeg": Family("0 untouched, 1 quality 5", (0.5, 0.8, 1.0), _jpeg),
}
